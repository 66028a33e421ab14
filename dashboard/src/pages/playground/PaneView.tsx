import { CloseOutlined } from '@ant-design/icons';
import { Button, Select } from 'antd';
import { useEffect, useRef } from 'react';
import { useStore } from '../../live/store';
import { texts } from '../../texts';
import { AnswerView } from './AnswerView';
import type { Pane } from './pane';
import style from './Playground.module.css';
import type { Setup } from './setup';
import type { Turn } from './turn';

interface PaneViewProps {
  pane: Pane;
  setup: Setup;
  choices: { label: string; value: string }[];
  isOnly: boolean;
  /** Another model, or none. */
  onChange: (pane: Pane, model: string | null) => void;
}

export function PaneView({ pane, setup, choices, isOnly, onChange }: PaneViewProps) {
  const { turns, isRunning } = useStore(pane.chat, (chat) => chat);
  const list = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const words = texts.playground;

  // The end stays in view until the person scrolls away from it.
  useEffect(() => {
    const element = list.current;
    if (element && follows.current) element.scrollTop = element.scrollHeight;
  }, [turns]);

  return (
    <section className={style.pane} aria-label={words.chatWith(pane.model)}>
      <div className={style.head}>
        <Select
          variant="borderless"
          showSearch
          aria-label={words.model}
          value={pane.model}
          options={choices}
          onChange={(model) => onChange(pane, model)}
        />
        {!isOnly && (
          <Button
            type="text"
            size="small"
            icon={<CloseOutlined aria-hidden />}
            aria-label={words.close(pane.model)}
            onClick={() => onChange(pane, null)}
          />
        )}
      </div>
      {/* It scrolls, so a keyboard has to reach it. */}
      <div
        className={style.turns}
        ref={list}
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        role="log"
        aria-label={words.chatWith(pane.model)}
        aria-live="off"
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          follows.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {turns.length === 0 && <p className={style.empty}>{words.empty}</p>}
        {turns.map((turn, i) => (
          <TurnView
            key={i}
            turn={turn}
            isLast={i === turns.length - 1}
            onResults={(results) => void pane.say(setup, results)}
          />
        ))}
      </div>
      {/* Said once an answer is whole: each token would be chatter. */}
      <p className="hidden" role="status">
        {isRunning ? words.answering : turns.length > 0 ? words.answered : ''}
      </p>
    </section>
  );
}

interface TurnViewProps {
  turn: Turn;
  isLast: boolean;
  onResults: (results: Turn[]) => void;
}

function TurnView({ turn, isLast, onResults }: TurnViewProps) {
  if (turn.role === 'user') return <p className={style.user}>{turn.text}</p>;
  if (turn.role === 'tool') {
    return <p className={`${style.tool} mono`}>{texts.playground.result(turn.text)}</p>;
  }
  return <AnswerView answer={turn.answer} isLast={isLast} onResults={onResults} />;
}
