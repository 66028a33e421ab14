/** What stands around every page: the way to the others, whether the view is live, and the theme. */
import {
  CodeOutlined,
  DashboardOutlined,
  DatabaseOutlined,
  MessageOutlined,
  SettingOutlined,
} from '@ant-design/icons';
import { type ReactNode, useEffect, useRef } from 'react';
import icon from '../favicon.svg';
import { texts } from '../texts';
import { LinkNote } from './LinkNote';
import { hrefOf, type Page, PAGES, useRoute } from './route';
import style from './Shell.module.css';
import { ThemeSwitch } from './ThemeSwitch';

const ICONS: Record<Page, ReactNode> = {
  overview: <DashboardOutlined aria-hidden />,
  models: <DatabaseOutlined aria-hidden />,
  playground: <MessageOutlined aria-hidden />,
  logs: <CodeOutlined aria-hidden />,
  settings: <SettingOutlined aria-hidden />,
};

export function Shell({ children }: { children: ReactNode }) {
  const { page } = useRoute();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(page);

  useEffect(() => {
    document.title = `${texts.nav[page]} · ${texts.product}`;
    if (shown.current === page) return;
    shown.current = page;
    // A person who does not see the page hears where it went.
    main.current?.focus();
    window.scrollTo(0, 0);
  }, [page]);

  return (
    <div className={style.shell}>
      <a
        className={style.skip}
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {texts.nav.skip}
      </a>
      <header className={style.side}>
        <div className={style.brand}>
          <img src={icon} alt="" />
          <span>{texts.product}</span>
        </div>
        <nav className={style.nav} aria-label={texts.nav.label}>
          <ul>
            {PAGES.map((name) => (
              <li key={name}>
                <a href={hrefOf(name)} aria-current={name === page ? 'page' : undefined}>
                  {ICONS[name]}
                  <span>{texts.nav[name]}</span>
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div className={style.foot}>
          <LinkNote />
          <ThemeSwitch />
        </div>
      </header>
      <main id="main" className={style.main} ref={main} tabIndex={-1} aria-label={texts.nav[page]}>
        <div className={style.inner}>{children}</div>
      </main>
    </div>
  );
}
