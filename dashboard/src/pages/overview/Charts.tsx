import { Segmented } from 'antd';
import { useState } from 'react';
import { TimeChart } from '../../chart/TimeChart';
import { bytes, milliseconds, rate } from '../../format/units';
import { Panel } from '../../parts/Panel';
import { texts } from '../../texts';
import style from './Charts.module.css';
import { useMemoryLines, useSeries } from './series';
import { RANGES, type Range, useHistory } from './useHistory';

/** The last minutes and hours. */
export function Charts() {
  const [range, setRange] = useState<Range>(RANGES[1]);
  const history = useHistory(range);
  const { times, throughput, firstToken, interToken, queue, requests } = useSeries(history);
  const memory = useMemoryLines(history);
  const shared = { times, step: range.step, span: range.span };
  const words = texts.overview.charts;
  return (
    <Panel
      title={words.title}
      extra={
        <Segmented<Range['name']>
          aria-label={words.range}
          size="small"
          value={range.name}
          options={RANGES.map(({ name }) => ({ value: name, label: words.ranges[name] }))}
          onChange={(name) => setRange(RANGES.find((one) => one.name === name) ?? RANGES[1])}
        />
      }
    >
      <div className={style.grid}>
        <TimeChart title={words.throughput} lines={throughput} format={rate} {...shared} />
        <TimeChart title={words.queue} lines={queue} format={rate} {...shared} />
        <TimeChart title={words.firstToken} lines={firstToken} format={milliseconds} {...shared} />
        <TimeChart title={words.interToken} lines={interToken} format={milliseconds} {...shared} />
        <TimeChart title={words.requests} lines={requests} format={rate} {...shared} />
        {memory.map(({ pool, lines }) => (
          <TimeChart
            key={pool}
            title={words.memory(pool)}
            lines={lines}
            format={bytes}
            base={1024}
            {...shared}
          />
        ))}
      </div>
    </Panel>
  );
}
