import { PauseOutlined, CaretRightOutlined } from '@ant-design/icons';
import { Alert, Button, Input, Select } from 'antd';
import { memo, useEffect, useMemo, useRef, useState } from 'react';
import type { LogLine } from '../../api/types';
import { clock } from '../../format/units';
import { useLive } from '../../live/feed';
import { Panel } from '../../parts/Panel';
import { hrefOf } from '../../shell/route';
import { texts } from '../../texts';
import { useDelayed } from './useDelayed';
import { useFollowed } from './followed';
import style from './Logs.module.css';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];

/** The lines of all processes, followed. */
export function Lines() {
  const [source, setSource] = useState('');
  const [level, setLevel] = useState('');
  const [requestId, setRequestId] = useState('');
  const [text, setText] = useState('');
  const [isPaused, setPaused] = useState(false);
  const sources = useSources();
  const asked = { source, level, requestId: useDelayed(requestId.trim(), 400) };
  const { lines, link } = useFollowed(asked, isPaused);
  const found = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return wanted ? lines.filter((line) => line.text.toLowerCase().includes(wanted)) : lines;
  }, [lines, text]);
  const words = texts.logs.filter;
  return (
    <Panel>
      <div className={style.filters} role="search">
        <Select
          className={style.choice}
          showSearch
          aria-label={words.source}
          value={source}
          onChange={setSource}
          options={[
            { value: '', label: words.allSources },
            ...sources.map((value) => ({ value, label: value })),
          ]}
        />
        <Select
          className={style.choice}
          aria-label={words.level}
          value={level}
          onChange={setLevel}
          options={[
            { value: '', label: words.allLevels },
            ...LEVELS.map((value) => ({ value, label: words.andWorse(value) })),
          ]}
        />
        <Input
          className={style.grow}
          allowClear
          aria-label={words.requestId}
          placeholder={words.requestId}
          value={requestId}
          onChange={({ target }) => setRequestId(target.value)}
        />
        <Input
          className={style.grow}
          allowClear
          aria-label={words.text}
          placeholder={words.text}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <Button
          icon={isPaused ? <CaretRightOutlined aria-hidden /> : <PauseOutlined aria-hidden />}
          aria-pressed={isPaused}
          onClick={() => setPaused(!isPaused)}
        >
          {isPaused ? words.goOn : words.pause}
        </Button>
      </div>
      {(link.kind === 'waiting' || link.kind === 'refused') && (
        <Alert type="warning" showIcon message={link.message} style={{ marginBottom: 12 }} />
      )}
      <LineList lines={found} />
    </Panel>
  );
}

function useSources(): string[] {
  const names = useLive(({ status }) => {
    const workers = status?.workers ?? [];
    return ['supervisor', 'gateway', ...workers.map(({ id }) => id)].join('\n');
  });
  return useMemo(() => names.split('\n'), [names]);
}

/** The end stays in view until the person scrolls away from it. */
export function LineList({ lines, isShort }: { lines: readonly LogLine[]; isShort?: boolean }) {
  const list = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    const element = list.current;
    if (element && follows.current) element.scrollTop = element.scrollHeight;
  }, [lines]);
  return (
    // It scrolls, so a keyboard has to reach it; a live region would chatter.
    <div
      ref={list}
      className={style.lines}
      data-short={isShort || undefined}
      role="log"
      aria-live="off"
      aria-label={texts.logs.lines}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        follows.current = scrollHeight - scrollTop - clientHeight < 30;
      }}
    >
      {lines.length === 0 && <p className={style.none}>{texts.logs.noLines}</p>}
      {lines.map((line) => (
        <LineView key={`${line.source} ${line.number}`} line={line} />
      ))}
    </div>
  );
}

const shown = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');

const LineView = memo(function LineView({ line }: { line: LogLine }) {
  return (
    <div className={style.line}>
      <span className={style.time}>{clock(line.unix_ms)}</span>
      <span className={style.level} data-level={line.level ?? undefined}>
        {line.level ?? ''}
      </span>
      <span className={style.source}>{line.source}</span>
      <span>
        {line.message}
        {Object.entries(line.fields).map(([name, value]) => (
          <span key={name} className={style.field}>
            {` ${name}=`}
            {shown(value)}
          </span>
        ))}
        {line.request_id && ' '}
        {line.request_id && (
          <a className={style.field} href={hrefOf('logs', 'requests', line.request_id)}>
            {line.request_id}
          </a>
        )}
      </span>
    </div>
  );
});
