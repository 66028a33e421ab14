import { Button, Popconfirm, Progress } from 'antd';
import { api, dataOf } from '../../api/client';
import type { Pull } from '../../api/types';
import { bytes, duration } from '../../format/units';
import { useLive } from '../../live/feed';
import { Panel } from '../../parts/Panel';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import style from './Models.module.css';

/** What is being fetched, and what could go on. */
export function Pulls() {
  const pulls = useLive((live) => live.pulls);
  if (pulls.length === 0) return null;
  return (
    <Panel title={texts.pulls.title}>
      <ul>
        {pulls.map((pull) => (
          <PullRow key={pull.id} pull={pull} />
        ))}
      </ul>
    </Panel>
  );
}

function PullRow({ pull }: { pull: Pull }) {
  const { busy, run } = useAction();
  const words = texts.pulls;
  const label = pull.name ?? pull.model;
  const end = (discard: boolean): Promise<boolean> =>
    run(() =>
      dataOf(
        api.DELETE('/admin/pulls/{id}', { params: { path: { id: pull.id }, query: { discard } } }),
      ),
    );
  const goOn = (): Promise<boolean> => {
    const body = { model: pull.model, stream: false, ...(pull.name && { name: pull.name }) };
    return run(() => dataOf(api.POST('/admin/pulls', { body })));
  };
  return (
    <li className={style.pull}>
      <div>
        <b className="break">{label}</b>
        <p className={`${style.sub} number`}>{progressOf(pull)}</p>
      </div>
      <div className={style.actions}>
        {pull.state === 'running' ? (
          <Button size="small" loading={busy} onClick={() => void end(false)}>
            {words.stop}
          </Button>
        ) : (
          <Button size="small" loading={busy} onClick={() => void goOn()}>
            {words.goOn}
          </Button>
        )}
        <Popconfirm
          title={words.discardTitle}
          okText={words.discard}
          onConfirm={() => void end(true)}
        >
          <Button size="small" type="text" danger disabled={busy}>
            {words.discard}
          </Button>
        </Popconfirm>
      </div>
      <Progress
        aria-label={words.progress(label)}
        percent={percentOf(pull)}
        status={pull.state === 'failed' ? 'exception' : 'normal'}
        strokeColor="var(--c1)"
        size="small"
        style={{ gridColumn: '1 / -1' }}
      />
    </li>
  );
}

function percentOf({ bytes: done, total_bytes: total }: Pull): number {
  return total ? Math.floor((done / total) * 100) : 0;
}

/** How far, how fast, how long: what is known of it. */
function progressOf(pull: Pull): string {
  const words = texts.pulls;
  const { bytes: done, total_bytes: total, bytes_per_s: speed, state, detail } = pull;
  const parts = [words.of(bytes(done), bytes(total))];
  if (state === 'running' && speed) {
    parts.push(words.speed(bytes(speed)));
    if (total) parts.push(words.left(duration((total - done) / speed)));
  }
  if (state !== 'running') parts.push(texts.words(state));
  if (detail) parts.push(detail);
  return parts.join(' · ');
}
