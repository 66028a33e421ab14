import { ClearOutlined, CodeOutlined, ControlOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Select } from 'antd';
import { useCallback, useEffect, useMemo, useState } from 'react';
import type { Model } from '../../api/types';
import { useLive } from '../../live/feed';
import { PageHead } from '../../parts/Panel';
import { useRoute } from '../../shell/route';
import { texts } from '../../texts';
import { CodeDialog } from './CodeDialog';
import { Composer } from './Composer';
import { Options } from './Options';
import { Pane } from './pane';
import { PaneView } from './PaneView';
import style from './Playground.module.css';
import { PLAIN, type Setup } from './setup';

const MOST_PANES = 16;
const NO_MODELS: readonly Model[] = [];

interface Choice {
  label: string;
  value: string;
}

/** Models that can be talked to, by all their names. */
function choicesOf(models: readonly Model[]): Choice[] {
  const usable = models.filter(
    ({ state, task }) => state !== 'broken' && (task ?? 'generate') === 'generate',
  );
  return usable.flatMap(({ name, aliases }) => [
    { value: name, label: name },
    ...aliases.map((alias) => ({ value: alias, label: texts.playground.aliasOf(alias, name) })),
  ]);
}

function sameChoices(a: readonly Choice[], b: readonly Choice[]): boolean {
  return a.length === b.length && a.every(({ label }, i) => label === b[i]?.label);
}

/** Chats with models, side by side. */
export default function PlaygroundPage() {
  const choices = useLive(({ status }) => choicesOf(status?.models ?? NO_MODELS), sameChoices);
  const first = useLive(({ status }) => status?.models.find((one) => one.default)?.name);
  const asked = useRoute().rest[0];
  const [panes, setPanes] = useState<readonly Pane[]>([]);
  const [setup, setSetup] = useState<Setup>(PLAIN);
  const [draft, setDraft] = useState('');
  const [showsOptions, setShowsOptions] = useState(() => window.innerWidth >= 1180);
  const [showsCode, setShowsCode] = useState(false);
  const words = texts.playground;

  const initial = asked ?? first ?? choices[0]?.value;
  useEffect(() => {
    if (initial !== undefined) setPanes((now) => (now.length > 0 ? now : [new Pane(initial)]));
  }, [initial]);

  const add = (model: string): void => setPanes((now) => [...now, new Pane(model)]);
  const replace = useCallback((old: Pane, model: string | null): void => {
    old.stop();
    setPanes((now) =>
      now.flatMap((pane) => (pane !== old ? [pane] : model === null ? [] : [new Pane(model)])),
    );
  }, []);
  // Leaving the page ends what runs on it.
  const all = useMemo(() => new Set<Pane>(), []);
  for (const pane of panes) all.add(pane);
  useEffect(() => () => all.forEach((pane) => pane.stop()), [all]);

  const send = (): void => {
    const text = draft.trim();
    if (text === '') return;
    setDraft('');
    for (const pane of panes) void pane.say(setup, [{ role: 'user', text }]);
  };

  return (
    <>
      <PageHead
        title={words.title}
        extra={
          <>
            <Select<string>
              className={style.add}
              value={null}
              showSearch
              aria-label={words.add}
              placeholder={
                <>
                  <PlusOutlined aria-hidden /> {words.add}
                </>
              }
              disabled={panes.length >= MOST_PANES}
              options={choices}
              onChange={add}
            />
            <Button
              icon={<ClearOutlined aria-hidden />}
              onClick={() => panes.forEach((pane) => pane.clear())}
            >
              {words.clear}
            </Button>
            <Button icon={<CodeOutlined aria-hidden />} onClick={() => setShowsCode(true)}>
              {words.code}
            </Button>
            <Button
              icon={<ControlOutlined aria-hidden />}
              aria-expanded={showsOptions}
              onClick={() => setShowsOptions(!showsOptions)}
            >
              {words.options}
            </Button>
          </>
        }
      />
      <div className={style.page} data-options={showsOptions || undefined}>
        <div className={style.chats}>
          <div className={style.panes} data-many={panes.length > 3 || undefined}>
            {panes.map((pane) => (
              <PaneView
                key={pane.id}
                pane={pane}
                setup={setup}
                choices={choices}
                onChange={replace}
                isOnly={panes.length === 1}
              />
            ))}
          </div>
          <Composer panes={panes} draft={draft} onDraft={setDraft} onSend={send} />
        </div>
        {showsOptions && <Options setup={setup} onChange={setSetup} />}
      </div>
      <CodeDialog
        open={showsCode}
        body={panes[0]?.body(setup, draft.trim() ? [{ role: 'user', text: draft.trim() }] : [])}
        onClose={() => setShowsCode(false)}
      />
    </>
  );
}
