import type { ReactNode } from 'react';
import style from './Panel.module.css';

interface PanelProps {
  title?: string;
  /** Stands beside the title. */
  extra?: ReactNode;
  children: ReactNode;
}

/** A part of a page, with a heading of its own. */
export function Panel({ title, extra, children }: PanelProps) {
  return (
    <section className={style.panel} aria-label={title}>
      {(title || extra) && (
        <div className={style.head}>
          {title && <h2>{title}</h2>}
          {extra}
        </div>
      )}
      {children}
    </section>
  );
}

interface PageHeadProps {
  title: string;
  note?: ReactNode;
  extra?: ReactNode;
}

/** A page's title and what can be done with all of it. */
export function PageHead({ title, note, extra }: PageHeadProps) {
  return (
    <div className={style.page}>
      <div>
        <h1>{title}</h1>
        {note && <p className="muted">{note}</p>}
      </div>
      {extra && <div className="row">{extra}</div>}
    </div>
  );
}
