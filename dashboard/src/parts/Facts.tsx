import type { ReactNode } from 'react';
import style from './Facts.module.css';

export type Fact = [name: string, value: ReactNode];

/** Names and values, as many in a row as fit. */
export function Facts({ facts, dense = false }: { facts: readonly Fact[]; dense?: boolean }) {
  return (
    <dl className={style.facts} data-dense={dense || undefined}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="number break">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
