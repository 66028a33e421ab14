import { Button } from 'antd';
import { api, dataOf } from '../../api/client';
import type { Worker } from '../../api/types';
import { bytes, duration, rate } from '../../format/units';
import { useLive } from '../../live/feed';
import type { Speed } from '../../live/speed';
import { Mark } from '../../parts/Dot';
import { type Fact, Facts } from '../../parts/Facts';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import { WORKER_TONE } from './states';
import style from './Workers.module.css';

/** One worker process: what it serves, how busy it is, and what happened to it. */
export function WorkerCard({ id }: { id: string }) {
  const worker = useLive(({ status }) => status?.workers.find((one) => one.id === id));
  const speed = useLive(({ speeds }) => speeds.get(id));
  if (!worker) return null;
  const words = texts.overview.worker;
  return (
    <li className={style.card} data-standby={worker.model === null || undefined}>
      <div className={style.top}>
        <div>
          <h3 className="break">{worker.model ?? words.standby(worker.format)}</h3>
          <p className={style.id}>
            {worker.id} · {worker.format}
            {worker.role && ` · ${texts.words(worker.role)}`}
          </p>
        </div>
        <Mark tone={WORKER_TONE[worker.state] ?? 'quiet'}>{texts.state(worker.state)}</Mark>
      </div>
      {worker.detail && <p className="muted break">{worker.detail}</p>}
      {worker.slots?.total != null && (
        <Slots busy={worker.slots.busy ?? 0} total={worker.slots.total} />
      )}
      <Facts dense facts={factsOf(worker, speed)} />
      {worker.last_exit && !worker.detail?.includes(worker.last_exit) && (
        <p className={`${style.exit} break`}>{words.lastExit(worker.last_exit)}</p>
      )}
      {worker.model !== null && <Actions worker={worker} model={worker.model} />}
    </li>
  );
}

function factsOf(worker: Worker, speed: Speed | undefined): Fact[] {
  const words = texts.overview.worker;
  if (worker.model === null) {
    return [
      [words.memory, bytes(worker.rss_bytes)],
      [words.restarts, worker.restarts],
    ];
  }
  return [
    [words.speed, rate(speed?.completion)],
    [words.memory, bytes(worker.rss_bytes ?? worker.footprint_bytes)],
    [words.waiting, worker.waiting],
    [words.restarts, worker.restarts],
    [words.serving, duration(worker.serving_s ?? worker.uptime_s)],
    [words.leaves, leavingOf(worker)],
  ];
}

/** When a model leaves that nobody uses. */
function leavingOf({ leaves_in_s, stay_s }: Worker): string {
  const words = texts.overview.worker;
  if (leaves_in_s != null) return duration(leaves_in_s);
  return stay_s == null ? words.stays : words.inUse;
}

const MOST_MARKS = 32;

function Slots({ busy, total }: { busy: number; total: number }) {
  return (
    <div>
      <p className="row" style={{ justifyContent: 'space-between', fontSize: 12 }}>
        <span className="muted">{texts.overview.worker.slots}</span>
        <span className="number">{texts.overview.worker.busy(busy, total)}</span>
      </p>
      <div className={style.slots} aria-hidden>
        {Array.from({ length: Math.min(total, MOST_MARKS) }, (_, i) => (
          <i key={i} data-busy={i < (busy * Math.min(total, MOST_MARKS)) / total || undefined} />
        ))}
      </div>
    </div>
  );
}

function Actions({ worker, model }: { worker: Worker; model: string }) {
  const { busy, run } = useAction();
  const words = texts.overview.worker;
  const path = { name: model };
  return (
    <div className={style.actions}>
      <Button
        type="text"
        size="small"
        loading={busy}
        aria-label={words.restartNamed(worker.id)}
        onClick={() =>
          void run(
            () => dataOf(api.POST('/admin/restart', { body: { target: worker.id } })),
            words.restarted(worker.id),
          )
        }
      >
        {words.restart}
      </Button>
      <Button
        type="text"
        size="small"
        disabled={busy}
        aria-label={words.unloadNamed(model)}
        onClick={() =>
          void run(
            () => dataOf(api.POST('/admin/models/{name}/unload', { params: { path } })),
            texts.models.unloaded(model),
          )
        }
      >
        {words.unload}
      </Button>
    </div>
  );
}
