import { Alert, Button, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { api, dataOf } from '../../api/client';
import { messageOf } from '../../api/error';
import type { PullPlan } from '../../api/types';
import { bytes } from '../../format/units';
import { Facts } from '../../parts/Facts';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import { Fit } from './Fit';
import { HubSearch } from './HubSearch';
import style from './Models.module.css';

interface Wanted {
  model: string;
  name?: string;
}

interface PullDialogProps {
  open: boolean;
  onClose: () => void;
}

/** Fetches a model, after a look at what would come and whether it fits. */
export function PullDialog({ open, onClose }: PullDialogProps) {
  const words = texts.pulls.dialog;
  return (
    <Modal title={words.title} open={open} onCancel={onClose} footer={null} destroyOnHidden>
      <PullForm onClose={onClose} />
    </Modal>
  );
}

const bodyOf = ({ model, name }: Wanted) => ({
  model: model.trim(),
  ...(name?.trim() && { name: name.trim() }),
});

function PullForm({ onClose }: { onClose: () => void }) {
  const words = texts.pulls.dialog;
  const [form] = Form.useForm<Wanted>();
  const [plan, setPlan] = useState<PullPlan | null>(null);
  const [said, setSaid] = useState<{ type: 'error' | 'success'; text: string } | null>(null);
  const [looking, setLooking] = useState(false);
  const { busy, run } = useAction();

  const look = async (wanted: Wanted): Promise<void> => {
    setLooking(true);
    setSaid(null);
    setPlan(null);
    try {
      const body = { ...bodyOf(wanted), dry_run: true };
      const found = await dataOf(api.POST('/admin/pulls', { body }));
      if (typeof found === 'string') return;
      if ('files' in found) setPlan(found);
      else if ('model' in found)
        setSaid({ type: 'success', text: words.isThere(found.model.name) });
    } catch (error) {
      setSaid({ type: 'error', text: messageOf(error) });
    } finally {
      setLooking(false);
    }
  };

  const start = async (): Promise<void> => {
    const body = { ...bodyOf(form.getFieldsValue()), stream: false };
    const done = await run(() => dataOf(api.POST('/admin/pulls', { body })), words.started);
    if (done) onClose();
  };

  const choose = (model: string): void => {
    form.setFieldsValue({ model });
    void look(form.getFieldsValue());
  };

  return (
    <>
      <HubSearch onChoose={choose} />
      <Form<Wanted>
        form={form}
        layout="vertical"
        requiredMark={false}
        onFinish={(wanted) => void look(wanted)}
        onValuesChange={() => setPlan(null)}
      >
        <Form.Item
          name="model"
          label={words.model}
          extra={words.modelHelp}
          rules={[{ required: true, whitespace: true, message: words.modelMissing }]}
        >
          <Input autoComplete="off" spellCheck={false} placeholder="owner/name:Q4_K_M" />
        </Form.Item>
        <Form.Item name="name" label={words.name} extra={words.nameHelp}>
          <Input autoComplete="off" spellCheck={false} />
        </Form.Item>
        <div aria-live="polite" className="stack">
          {said && <Alert type={said.type} showIcon message={said.text} />}
          {plan && <Plan plan={plan} />}
        </div>
        <div className="row" style={{ justifyContent: 'flex-end', marginTop: 20 }}>
          <Button onClick={onClose}>{texts.cancel}</Button>
          {plan ? (
            <Button type="primary" loading={busy} onClick={() => void start()}>
              {words.start(bytes(plan.total_bytes - plan.present_bytes))}
            </Button>
          ) : (
            <Button type="primary" htmlType="submit" loading={looking}>
              {words.look}
            </Button>
          )}
        </div>
      </Form>
    </>
  );
}

function Plan({ plan }: { plan: PullPlan }) {
  const words = texts.pulls.dialog;
  return (
    <>
      <Facts
        facts={[
          [words.becomes, plan.name],
          [words.format, [plan.format, plan.quantization].filter(Boolean).join(' · ')],
          [words.size, bytes(plan.total_bytes)],
          [words.files, plan.files.length],
        ]}
      />
      {plan.why && <p className="muted">{plan.why}</p>}
      {plan.fits && <Fit fits={plan.fits} />}
      {plan.notes.map((note) => (
        <Alert key={note} type="info" message={note} />
      ))}
      <ul className={style.files}>
        {plan.files.slice(0, 8).map((file) => (
          <li key={file.path}>
            <code className="break">{file.path}</code>
            <span className="number">{bytes(file.bytes)}</span>
          </li>
        ))}
        {plan.files.length > 8 && (
          <li className="muted">{words.moreFiles(plan.files.length - 8)}</li>
        )}
      </ul>
    </>
  );
}
