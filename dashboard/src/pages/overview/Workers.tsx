import { Panel } from '../../parts/Panel';
import { useLive } from '../../live/feed';
import { texts } from '../../texts';
import { GatewayCard } from './GatewayCard';
import { WorkerCard } from './WorkerCard';
import style from './Workers.module.css';

/** A card for the gateway and each worker, those with a model first. */
export function Workers() {
  // One text, so that the list is drawn anew only when a worker comes or goes.
  const ids = useLive(({ status }) => {
    const workers = [...(status?.workers ?? [])];
    workers.sort((a, b) => Number(a.model === null) - Number(b.model === null));
    return workers.map(({ id }) => id).join('\n');
  });
  return (
    <Panel title={texts.overview.workers}>
      <ul className={style.grid}>
        <GatewayCard />
        {ids
          .split('\n')
          .filter(Boolean)
          .map((id) => (
            <WorkerCard key={id} id={id} />
          ))}
      </ul>
    </Panel>
  );
}
