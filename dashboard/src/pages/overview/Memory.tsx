import type { Pool, Worker } from '../../api/types';
import { bytes } from '../../format/units';
import { useLive } from '../../live/feed';
import { Panel } from '../../parts/Panel';
import { type Portion, Stacked } from '../../parts/Stacked';
import { texts } from '../../texts';
import style from './Memory.module.css';

const COLORS = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6'] as const;
const NO_WORKERS: readonly Worker[] = [];
const NO_POOLS: readonly Pool[] = [];

/** Each pool: what models were given of the budget, and who holds the machine's memory. */
export function Memory() {
  const pools = useLive(({ status }) => status?.pools ?? NO_POOLS);
  const workers = useLive(({ status }) => status?.workers ?? NO_WORKERS);
  return (
    <Panel title={texts.overview.memory}>
      <div className={style.pools}>
        {pools.map((pool) => (
          <PoolBars key={pool.name} pool={pool} workers={workers} />
        ))}
      </div>
    </Panel>
  );
}

function PoolBars({ pool, workers }: { pool: Pool; workers: readonly Worker[] }) {
  const words = texts.overview.pool;
  const total = pool.total_bytes;
  return (
    <div className={style.pool}>
      <h3>{words.name(pool.name)}</h3>
      <div>
        <p className={style.line}>
          <span>{words.placed}</span>
          <span className="number">
            {words.of(bytes(pool.placed_bytes), bytes(pool.limit_bytes))}
          </span>
        </p>
        <Stacked
          label={words.placed}
          total={Math.max(pool.limit_bytes, pool.placed_bytes)}
          portions={placedIn(pool, workers)}
          format={bytes}
        />
      </div>
      {total != null && (
        <div>
          <p className={style.line}>
            <span>{words.machine}</span>
            <span className="number">{words.free(bytes(pool.available_bytes), bytes(total))}</span>
          </p>
          <Stacked label={words.machine} total={total} portions={heldOf(pool)} format={bytes} />
        </div>
      )}
    </div>
  );
}

/** The budget by who holds it. */
function placedIn(pool: Pool, workers: readonly Worker[]): Portion[] {
  const holders = workers.flatMap((worker) => {
    const share = worker.pools.find(({ name }) => name === pool.name);
    return share ? [{ name: worker.model ?? worker.id, bytes: share.footprint_bytes }] : [];
  });
  const byName = new Map<string, number>();
  for (const { name, bytes: share } of holders) {
    byName.set(name, (byName.get(name) ?? 0) + share);
  }
  const portions = [...byName].map(([name, share], i) => ({
    name,
    bytes: share,
    color: COLORS[i % COLORS.length] ?? 'c1',
  }));
  const held = holders.reduce((sum, one) => sum + one.bytes, 0);
  const rest = {
    name: texts.overview.pool.rest,
    bytes: pool.placed_bytes - held,
    color: 'foreign',
  };
  const free = pool.limit_bytes - pool.placed_bytes;
  return [...portions, rest, { name: texts.overview.pool.unplaced, bytes: free, color: 'sunken' }];
}

/** The machine's memory by whose it is; what is not measured is not told apart. */
function heldOf(pool: Pool): Portion[] {
  const words = texts.overview.pool;
  const used = (pool.total_bytes ?? 0) - (pool.available_bytes ?? 0);
  const portions: Portion[] =
    pool.measured_bytes == null
      ? [{ name: words.used, bytes: used, color: 'foreign' }]
      : [
          { name: words.measured, bytes: pool.measured_bytes, color: 'c1' },
          { name: words.foreign, bytes: pool.foreign_bytes ?? 0, color: 'foreign' },
        ];
  return [
    ...portions,
    { name: words.available, bytes: pool.available_bytes ?? 0, color: 'sunken' },
  ];
}
