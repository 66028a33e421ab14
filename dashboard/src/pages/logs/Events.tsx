import { Input } from 'antd';
import { memo, useMemo, useState } from 'react';
import type { Happening } from '../../api/types';
import { clock } from '../../format/units';
import { useLive } from '../../live/feed';
import { Mark, type Tone } from '../../parts/Dot';
import { Panel } from '../../parts/Panel';
import { hrefOf } from '../../shell/route';
import { texts } from '../../texts';
import style from './Logs.module.css';

const BAD = new Set(['model.failed', 'pull.failed', 'config.refused', 'upgrade.failed']);
const WARN = new Set(['worker.exited', 'gateway.exited', 'model.evicted']);
const GOOD = new Set(['model.ready', 'gateway.ready', 'model.pulled', 'model.uploaded']);

function toneOf(kind: string): Tone {
  if (BAD.has(kind)) return 'bad';
  if (WARN.has(kind)) return 'warn';
  return GOOD.has(kind) ? 'good' : 'quiet';
}

/** What happened, the latest first. */
export function Events() {
  const happenings = useLive((live) => live.happenings);
  const missed = useLive((live) => live.missed);
  const [text, setText] = useState('');
  const found = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const all = happenings.filter(({ kind, subject, message }) =>
      `${kind} ${subject} ${message}`.toLowerCase().includes(wanted),
    );
    return all.reverse();
  }, [happenings, text]);
  return (
    <Panel>
      <div className={style.filters} role="search">
        <Input
          allowClear
          className={style.grow}
          aria-label={texts.logs.filter.text}
          placeholder={texts.logs.filter.text}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
      </div>
      {missed > 0 && <p className="muted">{texts.logs.missed(missed)}</p>}
      <ol>
        {found.map((one) => (
          <EventView key={`${one.unix_ms} ${one.number}`} happening={one} />
        ))}
      </ol>
      {found.length === 0 && <p className={style.none}>{texts.logs.noEvents}</p>}
    </Panel>
  );
}

const EventView = memo(function EventView({ happening }: { happening: Happening }) {
  const { kind, subject, message, fields, unix_ms } = happening;
  const { crash, ...others } = fields;
  return (
    <li className={style.event}>
      <span className="muted number">{clock(unix_ms)}</span>
      <Mark tone={toneOf(kind)}>{kind}</Mark>
      <div className="break">
        <b>{subject}</b> {message}
        <div className={style.fields}>
          {Object.entries(others)
            .filter(([, value]) => value !== '')
            .map(([name, value]) => (
              <span key={name}>
                {name} {value}
              </span>
            ))}
          {crash !== undefined && (
            <a href={hrefOf('logs', 'crashes', crash)}>{texts.logs.crashReport}</a>
          )}
        </div>
      </div>
    </li>
  );
});
