import { Alert, Drawer, Skeleton } from 'antd';
import { useCallback } from 'react';
import { api, dataOf } from '../../api/client';
import type { ModelInfo, Part } from '../../api/types';
import { bytes, count, day, whole } from '../../format/units';
import { useLive } from '../../live/feed';
import { type Fact, Facts } from '../../parts/Facts';
import { Stacked } from '../../parts/Stacked';
import { useLoaded } from '../../parts/useLoaded';
import { texts } from '../../texts';
import { Aliases } from './Aliases';
import { Fit } from './Fit';
import { ForGood } from './ForGood';
import style from './Models.module.css';

interface DetailsProps {
  name: string | null;
  onClose: () => void;
}

/** All that is known of one model. */
export function Details({ name, onClose }: DetailsProps) {
  return (
    <Drawer
      title={<span className="break">{name}</span>}
      open={name !== null}
      onClose={onClose}
      width="min(640px, 100vw)"
      destroyOnHidden
    >
      {name !== null && <Loaded key={name} name={name} />}
    </Drawer>
  );
}

function Loaded({ name }: { name: string }) {
  const state = useLive(({ status }) => status?.models.find((one) => one.name === name)?.state);
  const load = useCallback(
    (signal: AbortSignal) =>
      dataOf(api.GET('/admin/models/{name}', { params: { path: { name } }, signal })),
    // A model that got up or left has other numbers.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [name, state],
  );
  const { data, error, reload } = useLoaded(load);
  if (error) return <Alert type="error" showIcon message={error} />;
  if (!data) return <Skeleton active />;
  return <Info info={data} onChange={reload} />;
}

function factsOf(info: ModelInfo): Fact[] {
  const words = texts.models.facts;
  return [
    [words.state, texts.state(info.state)],
    [words.format, info.format ?? '–'],
    [words.architecture, info.architecture ?? '–'],
    [words.quantization, info.quantization ?? '–'],
    [words.parameters, count(info.parameters)],
    [words.size, bytes(info.bytes)],
    [words.context, whole(info.context_tokens)],
    [words.trainedContext, whole(info.trained_context_tokens)],
    [words.slots, info.slots || words.auto],
  ];
}

function Info({ info, onChange }: { info: ModelInfo; onChange: () => void }) {
  const words = texts.models;
  const { stored, footprint } = info;
  return (
    <>
      {info.description && <p style={{ marginBottom: 12 }}>{info.description}</p>}
      {info.detail && <Alert type="warning" message={info.detail} style={{ marginBottom: 12 }} />}
      <Facts facts={factsOf(info)} />
      {(info.fits || footprint) && (
        <section className={style.section}>
          <h2>{words.footprint}</h2>
          <div className="stack">
            {info.fits && <Fit fits={info.fits} />}
            {footprint && <Footprint label="RAM" part={footprint.ram} />}
            {footprint?.gpus.map((part, i) => (
              <Footprint key={i} label={texts.overview.pool.name(`cuda${i}`)} part={part} />
            ))}
          </div>
        </section>
      )}
      <section className={style.section}>
        <h2>{words.aliases}</h2>
        <Aliases name={info.name} aliases={info.aliases} onChange={onChange} />
      </section>
      <section className={style.section}>
        <h2>{words.forGood}</h2>
        <ForGood name={info.name} />
      </section>
      {info.chat_template && (
        <section className={style.section}>
          <h2>{words.template}</h2>
          {/* It scrolls, so a keyboard has to reach it. */}
          {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
          <pre className={style.template} tabIndex={0}>
            {info.chat_template}
          </pre>
        </section>
      )}
      <section className={style.section}>
        <h2>{words.files}</h2>
        <p className={style.sub}>{info.path}</p>
        {stored && (
          <p className={style.sub}>
            {words.storedFrom(
              texts.words(stored.origin),
              stored.source,
              day(stored.added_unix_s * 1000),
            )}
          </p>
        )}
        <ul className={style.files}>
          {(stored?.files ?? info.files.map((path) => ({ path, bytes: null }))).map((file) => (
            <li key={file.path}>
              <code className="break">{file.path}</code>
              {file.bytes !== null && <span className="number">{bytes(file.bytes)}</span>}
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function Footprint({ label, part }: { label: string; part: Part }) {
  const words = texts.models.part;
  const parts = part.weights_bytes + part.kv_bytes + part.compute_bytes + part.process_bytes;
  const margin = part.full_bytes - parts;
  return (
    <div>
      <p className="row" style={{ justifyContent: 'space-between', marginBottom: 6 }}>
        <span className="muted">{label}</span>
        <span className="number">{bytes(part.full_bytes)}</span>
      </p>
      <Stacked
        label={label}
        total={part.full_bytes}
        format={bytes}
        portions={[
          { name: words.weights, bytes: part.weights_bytes, color: 'c1' },
          { name: words.kv, bytes: part.kv_bytes, color: 'c2' },
          { name: words.compute, bytes: part.compute_bytes, color: 'c3' },
          { name: words.process, bytes: part.process_bytes, color: 'c5' },
          { name: words.margin, bytes: margin, color: 'foreign' },
        ]}
      />
    </div>
  );
}
