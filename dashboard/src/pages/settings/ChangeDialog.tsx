import { Alert, Modal, Skeleton } from 'antd';
import { useCallback } from 'react';
import { api, dataOf } from '../../api/client';
import { useAction } from '../../parts/useAction';
import { useLoaded } from '../../parts/useLoaded';
import { texts } from '../../texts';
import type { Changes } from './edit';
import style from './Settings.module.css';

interface ChangeDialogProps {
  /** What is to be changed; null: the dialog is closed. */
  changes: Changes | null;
  onClose: () => void;
  onDone: () => void;
}

const words = texts.configuration.dialog;

/** What a change would do, checked by the server, and then the change. */
export function ChangeDialog({ changes, onClose, onDone }: ChangeDialogProps) {
  const { busy, run } = useAction();
  const apply = async (): Promise<void> => {
    if (!changes) return;
    const body = { changes };
    const done = await run(() => dataOf(api.POST('/admin/config', { body })), words.done);
    if (done) onDone();
  };
  return (
    <Modal
      title={words.title}
      open={changes !== null}
      onCancel={onClose}
      onOk={() => void apply()}
      okText={words.apply}
      cancelText={texts.cancel}
      confirmLoading={busy}
      width={680}
      destroyOnHidden
    >
      {changes && <Checked changes={changes} />}
    </Modal>
  );
}

const KIND: Record<string, string> = { '+': 'added', '-': 'removed' };

function Checked({ changes }: { changes: Changes }) {
  const load = useCallback(
    (signal: AbortSignal) =>
      dataOf(api.POST('/admin/config', { body: { changes, dry_run: true }, signal })),
    [changes],
  );
  const { data, error } = useLoaded(load);
  if (error) return <Alert type="error" showIcon message={error} />;
  if (!data) return <Skeleton active />;
  return (
    <div className="stack">
      <p className="muted break">{texts.configuration.file(data.file)}</p>
      <pre className={style.diff}>
        {data.diff.split('\n').map((line, i) => (
          <div key={i} data-kind={KIND[line.charAt(0)]}>
            {line}
          </div>
        ))}
      </pre>
      {data.needs_restart.length > 0 && (
        <Alert type="warning" message={words.needsRestart(data.needs_restart.join(', '))} />
      )}
    </div>
  );
}
