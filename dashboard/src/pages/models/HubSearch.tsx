import { Input } from 'antd';
import { useState } from 'react';
import { api, dataOf } from '../../api/client';
import type { HubModel } from '../../api/types';
import { count } from '../../format/units';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import style from './Models.module.css';

const MOST = 12;

/** Repositories of the hub by words; one of them is chosen to be pulled. */
export function HubSearch({ onChoose }: { onChoose: (model: string) => void }) {
  const words = texts.pulls.search;
  const [found, setFound] = useState<readonly HubModel[] | null>(null);
  const { busy, run } = useAction();
  const search = async (q: string): Promise<void> => {
    if (q.trim() === '') return;
    const params = { query: { q: q.trim(), limit: MOST } };
    await run(async () => {
      const { models } = await dataOf(api.GET('/admin/hub/search', { params }));
      setFound(models);
    });
  };
  return (
    <div role="search" style={{ marginBottom: 20 }}>
      <label htmlFor="hub-search" style={{ display: 'block', marginBottom: 8 }}>
        {words.label}
      </label>
      <Input.Search
        id="hub-search"
        autoFocus
        loading={busy}
        enterButton={words.search}
        placeholder={words.example}
        spellCheck={false}
        onSearch={(q) => void search(q)}
      />
      <div aria-live="polite">
        {found?.length === 0 && <p className="muted">{words.none}</p>}
        {found && found.length > 0 && (
          <ul className={style.found}>
            {found.map((one) => (
              <li key={one.model}>
                <button type="button" onClick={() => onChoose(one.model)}>
                  <span className="break">{one.model}</span>
                  <span className={`${style.sub} number`}>{aboutOf(one)}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}

function aboutOf({ downloads, gated }: HubModel): string {
  const words = texts.pulls.search;
  return [words.downloads(count(downloads)), ...(gated ? [words.gated] : [])].join(' · ');
}
