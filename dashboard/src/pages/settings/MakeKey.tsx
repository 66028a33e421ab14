import { Alert, Button, Checkbox, Form, Input, InputNumber, Modal, Select } from 'antd';
import { useState } from 'react';
import { api, dataOf } from '../../api/client';
import { isRemembered, keyState, takeKey } from '../../api/key';
import { useLive } from '../../live/feed';
import { copy } from '../../parts/copy';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import style from './Settings.module.css';

interface Wanted {
  name: string;
  scopes: string[];
  models?: string[];
  /** A day, as `<input type="date">` has it; the key is good until its end. */
  expires?: string;
  requests_per_minute?: number | null;
  tokens_per_minute?: number | null;
  priority?: number | null;
}

interface MakeKeyProps {
  open: boolean;
  /** From it on, this page needs a key too. */
  isFirst: boolean;
  onClose: () => void;
}

const words = texts.keys.dialog;

/** The last second of a day, on this machine's clock. */
const endOf = (day: string): number => Math.floor(new Date(`${day}T23:59:59`).getTime() / 1000);

/** A new key: asked for, then shown this once. */
export function MakeKey({ open, isFirst, onClose }: MakeKeyProps) {
  return (
    <Modal
      title={words.title}
      open={open}
      onCancel={onClose}
      footer={null}
      maskClosable={false}
      destroyOnHidden
    >
      <Making isFirst={isFirst} onClose={onClose} />
    </Modal>
  );
}

function Making({ isFirst, onClose }: Omit<MakeKeyProps, 'open'>) {
  const [secret, setSecret] = useState<string | null>(null);
  const { busy, run } = useAction();
  const models = useLive(({ status }) => status?.models);

  const make = (wanted: Wanted): Promise<boolean> =>
    run(async () => {
      const made = await dataOf(
        api.POST('/admin/keys', {
          body: {
            name: wanted.name.trim(),
            scopes: wanted.scopes,
            ...(wanted.models?.length && { models: wanted.models }),
            ...(wanted.expires && { expires_unix_s: endOf(wanted.expires) }),
            ...(wanted.requests_per_minute != null && {
              requests_per_minute: wanted.requests_per_minute,
            }),
            ...(wanted.tokens_per_minute != null && {
              tokens_per_minute: wanted.tokens_per_minute,
            }),
            ...(wanted.priority != null && { priority: wanted.priority }),
          },
        }),
      );
      // The first key locks this page out, unless it uses that key.
      if (keyState().key === null && made.scopes.includes('admin')) {
        takeKey(made.secret, isRemembered());
      }
      setSecret(made.secret);
    });

  if (secret !== null) {
    return (
      <>
        <p style={{ marginBottom: 12 }}>{words.once}</p>
        <div className={style.secret}>
          <code>{secret}</code>
          <Button onClick={() => void run(() => copy(secret), words.copied)}>{words.copy}</Button>
        </div>
        <div className="row" style={{ justifyContent: 'flex-end', marginTop: 20 }}>
          <Button type="primary" onClick={onClose}>
            {words.close}
          </Button>
        </div>
      </>
    );
  }
  return (
    <Form<Wanted>
      layout="vertical"
      requiredMark={false}
      initialValues={{ scopes: isFirst ? ['inference', 'admin'] : ['inference'] }}
      onFinish={(wanted) => void make(wanted)}
    >
      {isFirst && <Alert type="warning" message={words.first} style={{ marginBottom: 16 }} />}
      <Form.Item
        name="name"
        label={texts.keys.name}
        rules={[{ required: true, whitespace: true, message: words.nameMissing }]}
      >
        <Input autoFocus autoComplete="off" spellCheck={false} />
      </Form.Item>
      <Form.Item name="scopes" label={words.scopes}>
        <Checkbox.Group
          options={[
            { value: 'inference', label: words.inference },
            { value: 'admin', label: words.admin },
          ]}
        />
      </Form.Item>
      <Form.Item name="models" label={texts.keys.models} extra={words.modelsHelp}>
        <Select
          mode="tags"
          placeholder={texts.keys.allModels}
          options={models?.map(({ name }) => ({ value: name, label: name })) ?? []}
        />
      </Form.Item>
      <div className={style.pair}>
        <Form.Item name="requests_per_minute" label={words.requests}>
          <InputNumber min={1} style={{ width: '100%' }} placeholder={texts.keys.unlimited} />
        </Form.Item>
        <Form.Item name="tokens_per_minute" label={words.tokens}>
          <InputNumber min={1} style={{ width: '100%' }} placeholder={texts.keys.unlimited} />
        </Form.Item>
        <Form.Item name="expires" label={texts.keys.expires}>
          <Input type="date" />
        </Form.Item>
        <Form.Item name="priority" label={words.priority}>
          <InputNumber style={{ width: '100%' }} placeholder="0" />
        </Form.Item>
      </div>
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Button onClick={onClose}>{texts.cancel}</Button>
        <Button type="primary" htmlType="submit" loading={busy}>
          {words.make}
        </Button>
      </div>
    </Form>
  );
}
