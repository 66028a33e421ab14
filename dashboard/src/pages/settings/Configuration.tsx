import { Alert, Button, Input, Segmented, Skeleton } from 'antd';
import { useCallback, useMemo, useState } from 'react';
import { api, dataOf } from '../../api/client';
import type { Setting } from '../../api/types';
import { Panel } from '../../parts/Panel';
import { useAction } from '../../parts/useAction';
import { useLoaded } from '../../parts/useLoaded';
import { texts } from '../../texts';
import { ChangeDialog } from './ChangeDialog';
import { type Changes, found, isLimit, withChange } from './edit';
import { SettingRow } from './SettingRow';
import style from './Settings.module.css';

const words = texts.configuration;
const NONE: Changes = {};

/** Every setting with its value, where that comes from, and another value for it. */
export function Configuration({ only }: { only?: 'limits' }) {
  const load = useCallback(
    (signal: AbortSignal) => dataOf(api.GET('/admin/config', { signal })),
    [],
  );
  const { data, error, reload } = useLoaded(load);
  const [text, setText] = useState('');
  const [kind, setKind] = useState<'all' | 'set'>('all');
  const [changes, setChanges] = useState(NONE);
  const [isChecking, setChecking] = useState(false);
  const { busy, run } = useAction();

  const sections = useMemo(() => {
    const wanted = (data?.settings ?? []).filter(
      (setting) => (only ? isLimit(setting) : true) && (kind === 'all' || !setting.is_default),
    );
    return bySection(found(wanted, text));
  }, [data, only, kind, text]);
  const onChange = useCallback(
    (setting: Setting, value: unknown) => setChanges((now) => withChange(now, setting, value)),
    [],
  );
  const count = Object.keys(changes).length;

  if (error) return <Alert type="error" showIcon message={error} />;
  if (!data) return <Skeleton active />;
  return (
    <div className="stack">
      <Panel>
        <div className="row" role="search">
          <Input
            allowClear
            style={{ flex: '1 1 220px' }}
            aria-label={words.search}
            placeholder={words.search}
            value={text}
            onChange={({ target }) => setText(target.value)}
          />
          <Segmented<'all' | 'set'>
            aria-label={words.which}
            value={kind}
            onChange={setKind}
            options={[
              { value: 'all', label: words.all },
              { value: 'set', label: words.set },
            ]}
          />
          <Button
            loading={busy}
            onClick={() =>
              void run(() => dataOf(api.POST('/admin/config/reload')), words.reloaded).then(reload)
            }
          >
            {words.reload}
          </Button>
        </div>
        <p className={`${style.sub} break`} style={{ marginTop: 8 }}>
          {data.file ? words.file(data.file) : words.noFile}
        </p>
      </Panel>
      {sections.map(([section, settings]) => (
        <Panel key={section} title={section}>
          {settings.map((setting) => (
            <SettingRow
              key={setting.key}
              setting={setting}
              change={changes[setting.key]}
              isChanged={setting.key in changes}
              onChange={onChange}
            />
          ))}
        </Panel>
      ))}
      {sections.length === 0 && <p className="muted">{words.none}</p>}
      {count > 0 && (
        <div className={style.bar} role="status">
          <span>{words.changed(count)}</span>
          <span className="row">
            <Button onClick={() => setChanges(NONE)}>{words.undo}</Button>
            <Button type="primary" onClick={() => setChecking(true)}>
              {words.check}
            </Button>
          </span>
        </div>
      )}
      <ChangeDialog
        changes={isChecking ? changes : null}
        onClose={() => setChecking(false)}
        onDone={() => {
          setChecking(false);
          setChanges(NONE);
          reload();
        }}
      />
    </div>
  );
}

function bySection(settings: readonly Setting[]): [string, Setting[]][] {
  const sections = new Map<string, Setting[]>();
  for (const setting of settings) {
    sections.set(setting.section, [...(sections.get(setting.section) ?? []), setting]);
  }
  return [...sections];
}
