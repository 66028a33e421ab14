import { ReloadOutlined } from '@ant-design/icons';
import { Alert, Button, Drawer, Skeleton, Table, type TableColumnsType } from 'antd';
import { useCallback } from 'react';
import { api, dataOf } from '../../api/client';
import type { RequestSummary } from '../../api/types';
import { clock, milliseconds, whole } from '../../format/units';
import { Mark } from '../../parts/Dot';
import { Facts } from '../../parts/Facts';
import { Panel } from '../../parts/Panel';
import { useLoaded } from '../../parts/useLoaded';
import { go, hrefOf } from '../../shell/route';
import { texts } from '../../texts';
import { LineList } from './Lines';
import style from './Logs.module.css';
import { Timeline } from './Timeline';

const words = texts.requests;

const COLUMNS: TableColumnsType<RequestSummary> = [
  {
    key: 'at',
    title: words.began,
    width: 92,
    render: (_, { id, unix_ms }) => (
      <a href={hrefOf('logs', 'requests', id)} className="number">
        {clock(unix_ms)}
      </a>
    ),
  },
  {
    key: 'model',
    title: words.model,
    render: (_, { model, path }) => (
      <span className="break">
        {model ?? '–'}
        <div className="muted" style={{ fontSize: 12.5 }}>
          {path}
        </div>
      </span>
    ),
  },
  { key: 'status', title: words.status, width: 116, render: (_, one) => <StatusMark one={one} /> },
  {
    key: 'first',
    title: words.firstToken,
    responsive: ['md'],
    width: 120,
    render: (_, { first_token_ms }) => milliseconds(first_token_ms),
  },
  {
    key: 'tokens',
    title: words.tokens,
    responsive: ['md'],
    width: 130,
    render: (_, { prompt_tokens, completion_tokens }) =>
      `${whole(prompt_tokens)} → ${whole(completion_tokens)}`,
  },
  {
    key: 'took',
    title: words.took,
    responsive: ['sm'],
    width: 100,
    render: (_, one) => milliseconds(one.took_ms),
  },
  {
    key: 'key',
    title: words.key,
    responsive: ['lg'],
    width: 120,
    render: (_, { key }) => key ?? '–',
  },
];

function StatusMark({ one }: { one: RequestSummary }) {
  if (one.status === 499) return <Mark tone="quiet">{words.left}</Mark>;
  const tone = one.status < 400 && !one.error ? 'good' : 'bad';
  return <Mark tone={tone}>{one.error ?? String(one.status)}</Mark>;
}

/** The latest requests; one of them with its way through the processes. */
export function Requests({ shown }: { shown: string | null }) {
  const load = useCallback(
    (signal: AbortSignal) =>
      dataOf(api.GET('/admin/requests', { params: { query: { limit: 200 } }, signal })),
    [],
  );
  const { data, error, loading, reload } = useLoaded(load);
  return (
    <Panel
      extra={
        <>
          <span className="muted">{words.kept}</span>
          <Button size="small" icon={<ReloadOutlined aria-hidden />} onClick={reload}>
            {texts.reload}
          </Button>
        </>
      }
    >
      {error && <Alert type="error" showIcon message={error} />}
      <Table<RequestSummary>
        size="middle"
        rowKey="id"
        columns={COLUMNS}
        dataSource={data?.requests ?? []}
        loading={loading && !data}
        pagination={{ pageSize: 25, hideOnSinglePage: true, showSizeChanger: false }}
        locale={{ emptyText: <span className="muted">{words.none}</span> }}
      />
      <Drawer
        title={words.title}
        open={shown !== null}
        onClose={() => go('logs', 'requests')}
        width="min(820px, 100vw)"
        destroyOnHidden
      >
        {shown !== null && <Trace key={shown} id={shown} />}
      </Drawer>
    </Panel>
  );
}

function Trace({ id }: { id: string }) {
  const load = useCallback(
    (signal: AbortSignal) =>
      dataOf(api.GET('/admin/requests/{id}', { params: { path: { id } }, signal })),
    [id],
  );
  const loadLines = useCallback(
    (signal: AbortSignal) =>
      dataOf(api.GET('/admin/logs', { params: { query: { request_id: id } }, signal })),
    [id],
  );
  const { data, error } = useLoaded(load);
  const logs = useLoaded(loadLines);
  return (
    <>
      <p className="mono break" style={{ marginBottom: 12 }}>
        {id}
      </p>
      {error && <Alert type="warning" message={error} />}
      {!data && !error && <Skeleton active />}
      {data && (
        <>
          <Facts
            facts={[
              [words.model, data.model ?? '–'],
              [words.status, <StatusMark key="status" one={data} />],
              [words.began, clock(data.unix_ms)],
              [words.took, milliseconds(data.took_ms)],
              [words.firstToken, milliseconds(data.first_token_ms)],
              [words.tokens, `${whole(data.prompt_tokens)} → ${whole(data.completion_tokens)}`],
            ]}
          />
          <section className={style.section}>
            <h2>{words.timeline}</h2>
            <Timeline spans={data.spans} tookMs={data.took_ms} />
          </section>
        </>
      )}
      <section className={style.section}>
        <h2>{texts.logs.lines}</h2>
        <LineList isShort lines={logs.data?.lines ?? []} />
      </section>
    </>
  );
}
