import { App, ConfigProvider } from 'antd';
import { useEffect } from 'react';
import { feed } from './live/feed';
import { KeyPrompt } from './shell/KeyPrompt';
import { PageBoundary } from './shell/PageBoundary';
import { Pages } from './shell/Pages';
import { Shell } from './shell/Shell';
import { themeOf, useShade } from './shell/theme';

/** The whole page. */
export function Root() {
  const shade = useShade();
  useEffect(feed, []);
  return (
    <ConfigProvider theme={themeOf(shade)} wave={{ disabled: true }}>
      <App>
        <Shell>
          <PageBoundary>
            <Pages />
          </PageBoundary>
        </Shell>
        <KeyPrompt />
      </App>
    </ConfigProvider>
  );
}
