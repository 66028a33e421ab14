import style from './Stacked.module.css';

export interface Portion {
  name: string;
  bytes: number;
  /** `c1` to `c6`, `foreign` or `sunken`. */
  color: string;
}

interface StackedProps {
  label: string;
  portions: readonly Portion[];
  total: number;
  format: (bytes: number) => string;
}

/** Parts of a whole as one bar, with a legend that says the same in words. */
export function Stacked({ label, portions, total, format }: StackedProps) {
  const shown = portions.filter(({ bytes }) => bytes > 0);
  return (
    <div>
      <div className={style.bar} aria-hidden>
        {shown.map(({ name, bytes, color }) => (
          <span
            key={name}
            title={`${name}: ${format(bytes)}`}
            style={{
              width: `${(bytes / Math.max(total, 1)) * 100}%`,
              background: `var(--${color})`,
            }}
          />
        ))}
      </div>
      <ul className={style.legend} aria-label={label}>
        {shown.map(({ name, bytes, color }) => (
          <li key={name}>
            <i style={{ background: `var(--${color})` }} aria-hidden />
            <span className="break">{name}</span> <b className="number">{format(bytes)}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}
