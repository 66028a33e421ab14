import { Alert, Button, Form, Input, InputNumber, Switch } from 'antd';
import { useCallback, useMemo } from 'react';
import { api, dataOf } from '../../api/client';
import type { Setting } from '../../api/types';
import { useAction } from '../../parts/useAction';
import { useLoaded } from '../../parts/useLoaded';
import { texts } from '../../texts';

interface Wanted {
  pin: boolean;
  preload: boolean;
  ttl: string;
  context: number | null;
  slots: number | null;
}

const NAMES = ['pin', 'preload', 'ttl', 'context', 'slots'] as const;

/** The model's own settings, which outlive its worker: they are written to the configuration. */
export function ForGood({ name }: { name: string }) {
  const load = useCallback(
    (signal: AbortSignal) => dataOf(api.GET('/admin/config', { signal })),
    [],
  );
  const { data, error } = useLoaded(load);
  if (error) return <Alert type="error" message={error} />;
  return data && <Settings name={name} settings={data.settings} />;
}

const keyOf = (model: string, name: string): string => `model[${model}].${name}`;

/** What is set of this model; what is not is not given. */
function wantedOf(model: string, settings: readonly Setting[]): Wanted {
  const value = (name: string): unknown =>
    settings.find(({ key }) => key === keyOf(model, name))?.value ?? null;
  const numberOr = (of: unknown): number | null => (typeof of === 'number' ? of : null);
  const ttl = value('ttl');
  return {
    pin: value('pin') === true,
    preload: value('preload') === true,
    ttl: typeof ttl === 'string' || typeof ttl === 'number' ? String(ttl) : '',
    context: numberOr(value('context')),
    slots: numberOr(value('slots')),
  };
}

/** What of `wanted` is another than it was; nothing given takes the setting out. */
export function changesOf(model: string, before: Wanted, wanted: Wanted): Record<string, unknown> {
  const given = (value: Wanted[keyof Wanted]): unknown =>
    value === '' || value === false || value === undefined ? null : value;
  return Object.fromEntries(
    NAMES.filter((name) => wanted[name] !== before[name]).map((name) => [
      keyOf(model, name),
      given(wanted[name]),
    ]),
  );
}

function Settings({ name, settings }: { name: string; settings: readonly Setting[] }) {
  const words = texts.models.settings;
  const { busy, run } = useAction();
  const before = useMemo(() => wantedOf(name, settings), [name, settings]);
  const save = async (wanted: Wanted): Promise<void> => {
    const changes = changesOf(name, before, wanted);
    if (Object.keys(changes).length === 0) return;
    await run(() => dataOf(api.POST('/admin/config', { body: { changes } })), words.saved);
  };
  return (
    <Form<Wanted>
      layout="vertical"
      requiredMark={false}
      initialValues={before}
      onFinish={(wanted) => void save(wanted)}
      style={{
        display: 'grid',
        gridTemplateColumns: 'repeat(auto-fill, minmax(150px, 1fr))',
        columnGap: 16,
      }}
    >
      <Form.Item name="pin" label={words.pin} valuePropName="checked" tooltip={words.pinHelp}>
        <Switch />
      </Form.Item>
      <Form.Item name="preload" label={words.preload} valuePropName="checked">
        <Switch />
      </Form.Item>
      <Form.Item name="ttl" label={words.ttl}>
        <Input placeholder={words.ttlExample} />
      </Form.Item>
      <Form.Item name="context" label={words.context}>
        <InputNumber min={0} style={{ width: '100%' }} placeholder={texts.models.facts.auto} />
      </Form.Item>
      <Form.Item name="slots" label={words.slots}>
        <InputNumber min={0} style={{ width: '100%' }} placeholder={texts.models.facts.auto} />
      </Form.Item>
      <div style={{ gridColumn: '1 / -1' }}>
        <Button htmlType="submit" loading={busy}>
          {words.save}
        </Button>
      </div>
    </Form>
  );
}
