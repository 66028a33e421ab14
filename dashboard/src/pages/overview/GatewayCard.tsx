import { Button, Popconfirm } from 'antd';
import { api, dataOf } from '../../api/client';
import { bytes } from '../../format/units';
import { useLive } from '../../live/feed';
import { Mark, type Tone } from '../../parts/Dot';
import { Facts } from '../../parts/Facts';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import style from './Workers.module.css';

const TONE: Record<string, Tone> = { starting: 'busy', ready: 'good', backoff: 'warn' };

/** The process that speaks HTTP. */
export function GatewayCard() {
  const gateway = useLive(({ status }) => status?.gateway);
  const { busy, run } = useAction();
  const words = texts.overview.worker;
  if (!gateway) return null;
  return (
    <li className={style.card}>
      <div className={style.top}>
        <div>
          <h3>{texts.overview.gateway}</h3>
          <p className={`${style.id} break`}>{gateway.listen}</p>
        </div>
        <Mark tone={TONE[gateway.state] ?? 'quiet'}>{texts.state(gateway.state)}</Mark>
      </div>
      <Facts
        dense
        facts={[
          [words.memory, bytes(gateway.rss_bytes)],
          [words.restarts, gateway.restarts],
        ]}
      />
      {gateway.last_exit && (
        <p className={`${style.exit} break`}>{words.lastExit(gateway.last_exit)}</p>
      )}
      <div className={style.actions}>
        <Popconfirm
          title={texts.overview.gatewayRestart}
          description={texts.overview.gatewayRestartCost}
          okText={words.restart}
          onConfirm={() =>
            void run(
              () => dataOf(api.POST('/admin/restart', { body: { target: 'gateway' } })),
              words.restarted(texts.overview.gateway),
            )
          }
        >
          <Button
            type="text"
            size="small"
            loading={busy}
            aria-label={words.restartNamed(texts.overview.gateway)}
          >
            {words.restart}
          </Button>
        </Popconfirm>
      </div>
    </li>
  );
}
