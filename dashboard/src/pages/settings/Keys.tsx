import { PlusOutlined } from '@ant-design/icons';
import { Alert, Button, Popconfirm, Table, type TableColumnsType } from 'antd';
import { useCallback, useMemo, useState, useSyncExternalStore } from 'react';
import { api, dataOf } from '../../api/client';
import { forgetKey, keyState, onKeyChange } from '../../api/key';
import type { Key } from '../../api/types';
import { ago, day, whole } from '../../format/units';
import { Panel } from '../../parts/Panel';
import { useAction } from '../../parts/useAction';
import { useLoaded } from '../../parts/useLoaded';
import { texts } from '../../texts';
import { MakeKey } from './MakeKey';
import style from './Settings.module.css';

const words = texts.keys;

function limitsOf(key: Key): string {
  const parts = [
    key.requests_per_minute != null && words.requests(whole(key.requests_per_minute)),
    key.tokens_per_minute != null && words.tokens(whole(key.tokens_per_minute)),
    key.priority !== 0 && words.priority(key.priority),
  ].filter((part) => part !== false);
  return parts.length > 0 ? parts.join(', ') : words.unlimited;
}

const COLUMNS: TableColumnsType<Key> = [
  {
    key: 'name',
    title: words.name,
    render: (_, key) => (
      <span className="break">
        <b>{key.name}</b>
        <div className={style.sub}>{key.scopes.join(', ')}</div>
      </span>
    ),
  },
  {
    key: 'models',
    title: words.models,
    responsive: ['md'],
    render: (_, { models }) => (
      <span className="break">{models.length > 0 ? models.join(', ') : words.allModels}</span>
    ),
  },
  { key: 'limits', title: words.limits, responsive: ['lg'], render: (_, key) => limitsOf(key) },
  {
    key: 'expires',
    title: words.expires,
    responsive: ['lg'],
    render: (_, { expires_unix_s }) =>
      expires_unix_s == null ? words.never : day(expires_unix_s * 1000),
  },
  {
    key: 'used',
    title: words.used,
    responsive: ['sm'],
    render: (_, { last_used_unix_s }) =>
      last_used_unix_s == null ? words.notUsed : ago(last_used_unix_s * 1000, Date.now()),
  },
];

/** The keys, and a new one. */
export function Keys() {
  const [isMaking, setMaking] = useState(false);
  const load = useCallback((signal: AbortSignal) => dataOf(api.GET('/admin/keys', { signal })), []);
  const { data, error, loading, reload } = useLoaded(load);
  const columns = useMemo(() => {
    const admins = (data?.keys ?? []).filter(({ scopes }) => scopes.includes('admin'));
    return [
      ...COLUMNS,
      {
        key: 'actions',
        title: <span className="hidden">{words.actions}</span>,
        width: 110,
        render: (_: unknown, key: Key) => (
          <Revoke
            apiKey={key}
            isLastAdmin={admins.length === 1 && admins[0] === key}
            onDone={reload}
          />
        ),
      },
    ];
  }, [data, reload]);
  return (
    <div className="stack">
      {error && <Alert type="error" showIcon message={error} />}
      {data && !data.in_use && <Alert type="info" showIcon message={words.notInUse} />}
      <Panel
        title={texts.settings.keys}
        extra={
          <Button
            type="primary"
            icon={<PlusOutlined aria-hidden />}
            onClick={() => setMaking(true)}
          >
            {words.make}
          </Button>
        }
      >
        <Table<Key>
          size="middle"
          rowKey="name"
          columns={columns}
          dataSource={data?.keys ?? []}
          loading={loading && !data}
          pagination={{ pageSize: 50, hideOnSinglePage: true }}
          locale={{ emptyText: <span className="muted">{words.none}</span> }}
        />
      </Panel>
      <OwnKey />
      <MakeKey
        open={isMaking}
        isFirst={data?.in_use === false}
        onClose={() => {
          setMaking(false);
          reload();
        }}
      />
    </div>
  );
}

interface RevokeProps {
  apiKey: Key;
  /** Without it nobody can steer the server from here. */
  isLastAdmin: boolean;
  onDone: () => void;
}

function Revoke({ apiKey: { name, declared }, isLastAdmin, onDone }: RevokeProps) {
  const { busy, run } = useAction();
  if (declared) return <span className={style.sub}>{words.declared}</span>;
  const revoke = async (): Promise<void> => {
    const params = { path: { name } };
    const done = await run(
      () => dataOf(api.DELETE('/admin/keys/{name}', { params })),
      words.revoked(name),
    );
    if (done) onDone();
  };
  return (
    <Popconfirm
      title={words.revokeTitle(name)}
      description={isLastAdmin ? words.revokeLast : words.revokeCost}
      okText={words.revoke}
      onConfirm={() => void revoke()}
    >
      <Button size="small" danger loading={busy} aria-label={words.revokeNamed(name)}>
        {words.revoke}
      </Button>
    </Popconfirm>
  );
}

/** The key that this page uses. */
function OwnKey() {
  const { key } = useSyncExternalStore(onKeyChange, keyState);
  if (key === null) return null;
  return (
    <Panel title={words.own}>
      <div className="row" style={{ justifyContent: 'space-between' }}>
        <p className="muted">{words.ownNote}</p>
        <Button onClick={forgetKey}>{words.forget}</Button>
      </div>
    </Panel>
  );
}
