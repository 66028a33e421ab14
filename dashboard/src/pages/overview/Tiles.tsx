import type { Sample } from '../../api/types';
import { milliseconds, rate } from '../../format/units';
import { useLive } from '../../live/feed';
import { texts } from '../../texts';
import style from './Tiles.module.css';

type Tile = [label: string, value: string, note: string];

function tilesOf(sample: Sample | undefined, first: Sample | undefined): Tile[] {
  const words = texts.overview.tiles;
  return [
    [words.tokens, rate(sample?.completion_tokens_per_s), words.perSecond],
    [words.prompt, rate(sample?.prompt_tokens_per_s), words.perSecond],
    [words.requests, rate(sample?.requests_per_s), words.errors(rate(sample?.errors_per_s))],
    [words.running, rate(sample?.running), words.ofSlots(sample?.slots ?? 0)],
    [words.waiting, rate(sample?.waiting), words.requestsWait],
    [
      words.firstToken,
      milliseconds(first?.first_token_ms?.p50),
      words.p99(milliseconds(first?.first_token_ms?.p99)),
    ],
  ];
}

/** The last second in numbers. */
export function Tiles() {
  const sample = useLive(({ seconds }) => seconds.at(-1));
  const first = useLive(({ seconds }) => seconds.findLast((one) => one.first_token_ms != null));
  return (
    <dl className={style.tiles}>
      {tilesOf(sample, first).map(([label, value, note]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>
            <b className="number">{value}</b> <span>{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}
