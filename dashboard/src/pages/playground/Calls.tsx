import { Button, Input } from 'antd';
import { useState } from 'react';
import { texts } from '../../texts';
import style from './Playground.module.css';
import type { Call, Turn } from './turn';

interface CallsProps {
  calls: readonly Call[];
  /** Results can be given. */
  isOpen: boolean;
  onResults: (results: Turn[]) => void;
}

function readable(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

/** The tools that a model calls; the person answers in their place. */
export function Calls({ calls, isOpen, onResults }: CallsProps) {
  const [results, setResults] = useState<Record<number, string>>({});
  const words = texts.playground;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onResults(calls.map(({ id }, i) => ({ role: 'tool', callId: id, text: results[i] ?? '' })));
      }}
    >
      {calls.map((call, i) => (
        <div key={i} className={style.call}>
          <b className="mono">{call.name}</b>
          <pre>{readable(call.json)}</pre>
          {isOpen && (
            <Input
              size="small"
              aria-label={words.resultOf(call.name)}
              placeholder={words.resultOf(call.name)}
              value={results[i] ?? ''}
              onChange={({ target }) => setResults({ ...results, [i]: target.value })}
            />
          )}
        </div>
      ))}
      {isOpen && (
        <Button size="small" htmlType="submit" style={{ marginTop: 8 }}>
          {words.sendResults}
        </Button>
      )}
    </form>
  );
}
