import style from './Dot.module.css';

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet';

/** A coloured mark beside a word that says the same. */
export function Dot({ tone }: { tone: Tone }) {
  return <span className={style.dot} data-tone={tone} aria-hidden />;
}

/** A word with its mark. */
export function Mark({ tone, children }: { tone: Tone; children: string }) {
  return (
    <span className={style.mark} data-tone={tone}>
      <Dot tone={tone} />
      {children}
    </span>
  );
}
