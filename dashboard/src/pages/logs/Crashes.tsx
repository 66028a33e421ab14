import { Alert, Drawer, Skeleton, Table, type TableColumnsType } from 'antd';
import { useCallback } from 'react';
import { api, dataOf } from '../../api/client';
import type { CrashReport, CrashSummary } from '../../api/types';
import { bytes, clock, milliseconds, whole } from '../../format/units';
import { useLive } from '../../live/feed';
import { type Fact, Facts } from '../../parts/Facts';
import { Panel } from '../../parts/Panel';
import { useLoaded } from '../../parts/useLoaded';
import { go, hrefOf } from '../../shell/route';
import { texts } from '../../texts';
import style from './Logs.module.css';

const words = texts.crashes;

const COLUMNS: TableColumnsType<CrashSummary> = [
  {
    key: 'at',
    title: words.at,
    width: 180,
    render: (_, { id, unix_ms }) => (
      <a href={hrefOf('logs', 'crashes', id)} className="number">
        {clock(unix_ms)}
      </a>
    ),
  },
  { key: 'process', title: words.process, render: (_, { process }) => process },
  {
    key: 'model',
    title: words.model,
    render: (_, { model }) => <span className="break">{model ?? '–'}</span>,
  },
  { key: 'cause', title: words.cause, render: (_, { cause }) => texts.words(cause) },
];

/** Why processes died. */
export function Crashes({ shown }: { shown: string | null }) {
  const exits = useLive(({ status }) => status?.exits.reduce((sum, { count }) => sum + count, 0));
  const load = useCallback(
    (signal: AbortSignal) => dataOf(api.GET('/admin/crashes', { signal })),
    // Each exit may have left a report.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [exits],
  );
  const { data, error, loading } = useLoaded(load);
  return (
    <Panel>
      {error && <Alert type="error" showIcon message={error} />}
      <Table<CrashSummary>
        size="middle"
        rowKey="id"
        columns={COLUMNS}
        dataSource={data?.crashes ?? []}
        loading={loading && !data}
        pagination={{ pageSize: 25, hideOnSinglePage: true, showSizeChanger: false }}
        locale={{ emptyText: <span className="muted">{words.none}</span> }}
      />
      <Drawer
        title={words.title}
        open={shown !== null}
        onClose={() => go('logs', 'crashes')}
        width="min(720px, 100vw)"
        destroyOnHidden
      >
        {shown !== null && <Report key={shown} id={shown} />}
      </Drawer>
    </Panel>
  );
}

function Report({ id }: { id: string }) {
  const load = useCallback(
    (signal: AbortSignal) =>
      dataOf(api.GET('/admin/crashes/{id}', { params: { path: { id } }, signal })),
    [id],
  );
  const { data, error } = useLoaded(load);
  if (error) return <Alert type="error" showIcon message={error} />;
  if (!data) return <Skeleton active />;
  return (
    <>
      <Facts facts={factsOf(data)} />
      {data.exit.may_be_request && <Alert type="info" message={words.mayBeRequest} />}
      <section className={style.section}>
        <h2>{words.lastLines}</h2>
        {/* It scrolls, so a keyboard has to reach it. */}
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <pre className={style.last} tabIndex={0}>
          {data.last_lines.join('\n')}
        </pre>
      </section>
    </>
  );
}

function exitOf({ code, signal, memory }: CrashReport['exit']): string {
  const how = signal != null ? words.signal(signal) : code != null ? words.code(code) : '–';
  return memory ? `${how}, ${words.memory}` : how;
}

function factsOf(report: CrashReport): Fact[] {
  const { worker } = report;
  const facts: Fact[] = [
    [words.process, report.process],
    [words.at, clock(report.unix_ms)],
    [words.cause, texts.words(report.cause)],
    [words.exit, exitOf(report.exit)],
    [words.uptime, milliseconds(report.uptime_ms)],
    [words.version, report.version],
  ];
  if (!worker) return facts;
  return [
    ...facts,
    [words.model, worker.model?.name ?? '–'],
    [words.state, worker.state],
    [words.sequences, whole(worker.sequences)],
    [words.waiting, whole(worker.waiting)],
    [words.peak, bytes(worker.peak_bytes)],
    [words.limit, bytes(worker.limit_bytes)],
    [words.sandbox, worker.sandbox || '–'],
  ];
}
