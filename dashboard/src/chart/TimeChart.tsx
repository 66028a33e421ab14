/** A few lines over time, drawn as SVG: Ant Design's chart package alone is more than the whole page may weigh. */
import { memo, type PointerEvent, useMemo, useState } from 'react';
import { texts } from '../texts';
import { clock } from '../format/units';
import { nearest, pathOf, type Point, roundUp } from './scale';
import style from './TimeChart.module.css';
import { useWidth } from './useWidth';

export interface Line {
  name: string;
  /** One of the theme's: `c1` to `c6`. */
  color: string;
  dashed?: boolean;
  /** One value for each of the chart's times. */
  values: readonly (number | null)[];
}

interface TimeChartProps {
  title: string;
  /** Seconds since 1970, ascending. */
  times: readonly number[];
  /** Seconds from one to the next. */
  step: number;
  /** Seconds that the chart shows. */
  span: number;
  lines: readonly Line[];
  format: (value: number | null) => string;
  base?: 10 | 1024;
}

const HEIGHT = 132;
const TOP = 8;
const BOTTOM = 20;
const N_TIMES = 4;

export const TimeChart = memo(function TimeChart(props: TimeChartProps) {
  const { title, times, step, span, lines, format, base = 10 } = props;
  const [element, width] = useWidth<HTMLDivElement>();
  const [pointed, setPointed] = useState<number | null>(null);

  const end = times.at(-1) ?? 0;
  const start = end - span;
  const most = Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const top = roundUp(most, base);
  const x = (at: number): number => ((at - start) / span) * width;
  const y = (value: number): number => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);

  const paths = useMemo(
    () =>
      lines.map((line) => {
        const points: Point[] = times.map((at, i) => ({ at, value: line.values[i] ?? null }));
        return pathOf(points, step, x, y);
      }),
    // x and y are functions of these.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [lines, times, step, start, span, width, top],
  );

  const index = pointed === null ? times.length - 1 : pointed;
  const shownAt = times[index];
  const point = (event: PointerEvent<SVGSVGElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    setPointed(nearest(times, start + ((event.clientX - box.left) / box.width) * span));
  };
  /** The value that is pointed at, or else the latest that is known. */
  const shown = (values: Line['values']): number | null =>
    (pointed === null ? values.findLast((value) => value !== null) : values[index]) ?? null;
  const said = lines.map(({ name, values }) => `${name} ${format(shown(values))}`);

  return (
    <figure className={style.chart}>
      <figcaption>
        <span className={style.title}>{title}</span>
        <span className={style.at}>
          {pointed !== null && shownAt !== undefined ? clock(shownAt * 1000) : ''}
        </span>
      </figcaption>
      <ul className={style.legend}>
        {lines.map(({ name, color, dashed, values }) => (
          <li key={name}>
            <svg width="14" height="8" aria-hidden>
              <line
                x2="14"
                y1="4"
                y2="4"
                stroke={`var(--${color})`}
                strokeWidth="2"
                strokeDasharray={dashed ? '4 3' : undefined}
              />
            </svg>
            {name} <b className="number">{format(shown(values))}</b>
          </li>
        ))}
      </ul>
      <div ref={element} className={style.plot}>
        {width > 0 && (
          <svg
            width={width}
            height={HEIGHT}
            role="img"
            aria-label={texts.chart.said(title, said.join(', '))}
            onPointerMove={point}
            onPointerLeave={() => setPointed(null)}
          >
            {[0, top / 2, top].map((value) => (
              <line key={value} className={style.grid} x2={width} y1={y(value)} y2={y(value)} />
            ))}
            {Array.from({ length: N_TIMES }, (_, i) => {
              const at = start + (span * (i + 1)) / N_TIMES;
              const isLast = i === N_TIMES - 1;
              return (
                <text
                  key={i}
                  className={style.label}
                  x={x(at)}
                  y={HEIGHT - 4}
                  textAnchor={isLast ? 'end' : 'middle'}
                >
                  {end === 0 ? '' : clock(at * 1000, end * 1000).slice(0, span > 900 ? 5 : 8)}
                </text>
              );
            })}
            {lines.map(({ name, color, dashed }, i) => (
              <path
                key={name}
                className={style.line}
                d={paths[i]}
                stroke={`var(--${color})`}
                strokeDasharray={dashed ? '4 3' : undefined}
              />
            ))}
            <text className={style.label} x={0} y={y(top) + 12}>
              {format(top)}
            </text>
            {pointed !== null && shownAt !== undefined && (
              <line
                className={style.cross}
                x1={x(shownAt)}
                x2={x(shownAt)}
                y1={TOP}
                y2={HEIGHT - BOTTOM}
              />
            )}
          </svg>
        )}
      </div>
      {times.length === 0 && <p className={style.empty}>{texts.chart.empty}</p>}
    </figure>
  );
});
