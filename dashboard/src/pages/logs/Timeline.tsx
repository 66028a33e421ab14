import { Tooltip } from 'antd';
import type { Span } from '../../api/types';
import { milliseconds } from '../../format/units';
import { texts } from '../../texts';
import style from './Logs.module.css';
import { placed } from './timeline';

const PROCESSES: readonly Span['process'][] = ['gateway', 'supervisor', 'worker'];

/** A call's service and method, without its package. */
const shortOf = (name: string): string => name.replace(/^[\w.]+\.(\w+\/\w+)$/, '$1');

/** A request's way through the processes, on one scale of time. */
export function Timeline({ spans, tookMs }: { spans: readonly Span[]; tookMs: number }) {
  const end = Math.max(tookMs, 0.001, ...spans.map((span) => span.start_ms + span.took_ms));
  const at = (ms: number): string => `${(ms / end) * 100}%`;
  return (
    <>
      <ol className={style.timeline}>
        {placed(spans).map(({ span, depth }, i) => (
          <li key={i}>
            <span className="break" style={{ paddingLeft: depth * 12 }}>
              {shortOf(span.name)}
              <span className="hidden">
                {texts.requests.spanSaid(span.process, milliseconds(span.start_ms))}
              </span>
            </span>
            <div className={style.track}>
              <Tooltip title={<Attributes span={span} />}>
                <span
                  className={style.bar}
                  data-process={span.process}
                  data-failed={span.error != null || undefined}
                  style={{ left: at(span.start_ms), width: at(span.took_ms) }}
                />
              </Tooltip>
              {span.events.map((event, j) => (
                <Tooltip key={j} title={`${event.name} · ${milliseconds(event.at_ms)}`}>
                  <span className={style.tick} style={{ left: at(event.at_ms) }} />
                </Tooltip>
              ))}
            </div>
            <span className={`${style.took} number`}>{milliseconds(span.took_ms)}</span>
          </li>
        ))}
      </ol>
      <p className="row" style={{ marginTop: 12 }}>
        {PROCESSES.map((process) => (
          <span key={process} className={style.key}>
            <i className={style.bar} data-process={process} aria-hidden />
            {process}
          </span>
        ))}
      </p>
    </>
  );
}

function Attributes({ span }: { span: Span }) {
  const rows = Object.entries(span.attributes).map(([name, value]) => `${name}: ${String(value)}`);
  const all = [`${span.process} · ${span.name}`, ...(span.error ? [span.error] : []), ...rows];
  return all.map((row) => <div key={row}>{row}</div>);
}
