import { Table, type TableColumnsType } from 'antd';
import type { Model } from '../../api/types';
import { bytes, count, UNKNOWN, whole } from '../../format/units';
import { Mark, type Tone } from '../../parts/Dot';
import { hrefOf } from '../../shell/route';
import { texts } from '../../texts';
import { ModelActions } from './ModelActions';
import style from './Models.module.css';

const MODEL_TONE: Record<string, Tone> = {
  available: 'quiet',
  loading: 'busy',
  ready: 'good',
  draining: 'busy',
  backoff: 'warn',
  failed: 'bad',
  broken: 'bad',
};

const words = texts.models.column;
const byText =
  (field: (model: Model) => string | null | undefined) =>
  (a: Model, b: Model): number =>
    (field(a) ?? '').localeCompare(field(b) ?? '');
const byNumber =
  (field: (model: Model) => number | null | undefined) =>
  (a: Model, b: Model): number =>
    (field(a) ?? -1) - (field(b) ?? -1);

const COLUMNS: TableColumnsType<Model> = [
  {
    key: 'name',
    title: words.name,
    sorter: byText(({ name }) => name),
    defaultSortOrder: 'ascend',
    render: (_, model) => <Name model={model} />,
  },
  {
    key: 'state',
    title: words.state,
    responsive: ['sm'],
    sorter: byText(({ state }) => state),
    width: 120,
    render: (_, model) => <State model={model} />,
  },
  {
    key: 'format',
    title: words.format,
    responsive: ['lg'],
    width: 120,
    sorter: byText(({ format }) => format),
    render: (_, model) => (
      <>
        {model.format ?? UNKNOWN}
        <div className={style.sub}>{model.quantization}</div>
      </>
    ),
  },
  {
    key: 'size',
    title: words.size,
    responsive: ['md'],
    width: 130,
    sorter: byNumber(({ size_bytes }) => size_bytes),
    render: (_, model) => (
      <span className="number">
        {bytes(model.size_bytes)}
        <div className={style.sub}>{words.parameters(count(model.parameters))}</div>
      </span>
    ),
  },
  {
    key: 'context',
    title: words.context,
    responsive: ['lg'],
    width: 110,
    sorter: byNumber(({ context_tokens }) => context_tokens),
    render: (_, { context_tokens }) => <span className="number">{whole(context_tokens)}</span>,
  },
  {
    key: 'can',
    title: words.can,
    responsive: ['xl'],
    width: 120,
    render: (_, model) => <span className={style.sub}>{capabilities(model)}</span>,
  },
  {
    key: 'actions',
    title: <span className="hidden">{words.actions}</span>,
    width: 130,
    render: (_, model) => <ModelActions model={model} />,
  },
];

function capabilities({ task, chat_template }: Model): string {
  const can = texts.models.can;
  if (task === 'embed') return can.embed;
  if (task === 'rerank') return can.rerank;
  if (task !== 'generate') return UNKNOWN;
  return chat_template ? can.chat : can.complete;
}

function State({ model: { state } }: { model: Model }) {
  return <Mark tone={MODEL_TONE[state] ?? 'quiet'}>{texts.state(state)}</Mark>;
}

function Name({ model }: { model: Model }) {
  return (
    <>
      <div className={style.name}>
        <a href={hrefOf('models', model.name)}>{model.name}</a>
        {model.default && <span className={style.tag}>{texts.models.default}</span>}
        {model.aliases.map((alias) => (
          <span key={alias} className={`${style.tag} break`}>
            {alias}
          </span>
        ))}
      </div>
      <div className={style.sub}>{model.detail ?? model.description ?? model.architecture}</div>
      {/* Where the column of states has no room. */}
      <div className={style.narrow}>
        <State model={model} />
      </div>
    </>
  );
}

interface ModelTableProps {
  models: Model[];
  loading: boolean;
}

export function ModelTable({ models, loading }: ModelTableProps) {
  return (
    <Table<Model>
      size="middle"
      rowKey="name"
      columns={COLUMNS}
      dataSource={models}
      loading={loading}
      pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
      locale={{ emptyText: <span className="muted">{texts.models.none}</span> }}
    />
  );
}
