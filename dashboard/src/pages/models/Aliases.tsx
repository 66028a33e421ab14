import { Button, Input } from 'antd';
import { useState } from 'react';
import { api, dataOf } from '../../api/client';
import { useAction } from '../../parts/useAction';
import { texts } from '../../texts';
import style from './Models.module.css';

interface AliasesProps {
  name: string;
  aliases: readonly string[];
  onChange: () => void;
}

/** The other names of a model; one more is taken from whatever had it, under running requests too. */
export function Aliases({ name, aliases, onChange }: AliasesProps) {
  const words = texts.models.alias;
  const [alias, setAlias] = useState('');
  const { busy, run } = useAction();
  const swap = async (): Promise<void> => {
    const wanted = alias.trim();
    const params = { path: { alias: wanted } };
    const done = await run(
      () => dataOf(api.POST('/admin/aliases/{alias}', { params, body: { model: name } })),
      words.swapped(wanted, name),
    );
    if (!done) return;
    setAlias('');
    onChange();
  };
  return (
    <>
      <div className="row" style={{ marginBottom: 8 }}>
        {aliases.length === 0 && <span className="muted">{words.none}</span>}
        {aliases.map((one) => (
          <span key={one} className={`${style.tag} break`}>
            {one}
          </span>
        ))}
      </div>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          void swap();
        }}
      >
        <Input
          style={{ flex: '1 1 180px' }}
          value={alias}
          aria-label={words.label}
          placeholder={words.label}
          spellCheck={false}
          onChange={(event) => setAlias(event.target.value)}
        />
        <Button htmlType="submit" loading={busy} disabled={alias.trim() === ''}>
          {words.swap}
        </Button>
      </form>
      <p className={style.sub} style={{ marginTop: 6 }}>
        {words.help}
      </p>
    </>
  );
}
