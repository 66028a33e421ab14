import { MoreOutlined } from '@ant-design/icons';
import { App, Button, Dropdown } from 'antd';
import { api, dataOf } from '../../api/client';
import type { Model } from '../../api/types';
import { bytes } from '../../format/units';
import { useAction } from '../../parts/useAction';
import { go } from '../../shell/route';
import { texts } from '../../texts';
import style from './Models.module.css';

const LOADED: readonly Model['state'][] = ['ready', 'loading', 'draining', 'backoff'];

/** Load or unload, and what is done less often. */
export function ModelActions({ model }: { model: Model }) {
  const { busy, run } = useAction();
  const { modal } = App.useApp();
  const { name, state } = model;
  const params = { path: { name } };
  const words = texts.models;
  const isLoaded = LOADED.includes(state);

  const load = (): Promise<boolean> =>
    run(
      () => dataOf(api.POST('/admin/models/{name}/load', { params, body: {} })),
      words.loaded(name),
    );
  const unload = (): Promise<boolean> =>
    run(() => dataOf(api.POST('/admin/models/{name}/unload', { params })), words.unloaded(name));
  const keep = (keep_alive_s: number, done: string): Promise<boolean> =>
    run(
      () => dataOf(api.POST('/admin/models/{name}/keep_alive', { params, body: { keep_alive_s } })),
      done,
    );
  const remove = (): void => {
    void modal.confirm({
      title: words.removeTitle(name),
      content: words.removeCost,
      okText: words.remove,
      okButtonProps: { danger: true },
      onOk: () =>
        run(
          () => dataOf(api.DELETE('/admin/models/{name}', { params })),
          words.removed(name, bytes(model.size_bytes)),
        ),
    });
  };

  const items = [
    { key: 'details', label: words.details, onClick: () => go('models', name) },
    { key: 'chat', label: words.tryIt, onClick: () => go('playground', name) },
    { type: 'divider' as const },
    { key: 'keep', label: words.keep, onClick: () => void keep(-1, words.kept(name)) },
    { key: 'hour', label: words.keepHour, onClick: () => void keep(3600, words.keptHour(name)) },
    { type: 'divider' as const },
    { key: 'remove', label: words.remove, danger: true, onClick: remove },
  ];

  return (
    <div className={style.actions}>
      {state !== 'broken' && (
        <Button
          size="small"
          loading={busy}
          aria-label={isLoaded ? words.unloadNamed(name) : words.loadNamed(name)}
          onClick={() => void (isLoaded ? unload() : load())}
        >
          {isLoaded ? words.unload : words.load}
        </Button>
      )}
      <Dropdown menu={{ items }} trigger={['click']}>
        <Button
          size="small"
          type="text"
          icon={<MoreOutlined aria-hidden />}
          aria-label={words.more(name)}
          aria-haspopup="menu"
        />
      </Dropdown>
    </div>
  );
}
