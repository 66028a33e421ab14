import { memo } from 'react';
import { milliseconds, rate } from '../../format/units';
import { texts } from '../../texts';
import { Calls } from './Calls';
import { LongText } from './LongText';
import style from './Playground.module.css';
import { Tokens } from './Tokens';
import type { Answer, Turn } from './turn';

interface AnswerViewProps {
  answer: Answer;
  isLast: boolean;
  onResults: (results: Turn[]) => void;
}

/** What a model answered: thought, text, calls, and how fast. */
export const AnswerView = memo(
  function AnswerView({ answer, isLast, onResults }: AnswerViewProps) {
    const words = texts.playground;
    return (
      <div className={style.answer}>
        {answer.reasoning !== '' && (
          <details className={style.reasoning} open={answer.text === ''}>
            <summary>{words.reasoning}</summary>
            <LongText text={answer.reasoning} />
          </details>
        )}
        {answer.tokens.length > 0 ? (
          <Tokens tokens={answer.tokens} />
        ) : (
          <LongText text={answer.text} />
        )}
        {answer.state === 'waiting' && <p className="muted">{words.waiting}</p>}
        {answer.calls.length > 0 && (
          <Calls
            calls={answer.calls}
            isOpen={isLast && answer.state === 'done'}
            onResults={onResults}
          />
        )}
        {answer.error !== null && <p className={style.error}>{answer.error}</p>}
        <Meta answer={answer} />
      </div>
    );
  },
  (a, b) => a.answer === b.answer && a.isLast === b.isLast,
);

function Meta({ answer }: { answer: Answer }) {
  const words = texts.playground;
  const parts = [
    answer.state === 'stopped' && words.stopped,
    answer.firstTokenMs !== null && words.firstToken(milliseconds(answer.firstTokenMs)),
    answer.tokensPerSecond !== null && words.speed(rate(answer.tokensPerSecond)),
    answer.completionTokens !== null &&
      words.tokens(answer.promptTokens ?? 0, answer.completionTokens),
    answer.finish !== null && answer.finish !== 'stop' && words.finish(answer.finish),
  ].filter((part) => part !== false);
  if (parts.length === 0) return null;
  return (
    <p className={`${style.meta} number`}>
      {parts.map((part) => (
        <span key={part}>{part}</span>
      ))}
    </p>
  );
}
