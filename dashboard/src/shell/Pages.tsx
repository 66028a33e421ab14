import { Skeleton } from 'antd';
import { type ComponentType, lazy, Suspense } from 'react';
import { type Page, useRoute } from './route';

/** Each page's code is fetched when the page is first shown. */
const PAGE: Record<Page, ComponentType> = {
  overview: lazy(() => import('../pages/overview/OverviewPage')),
  models: lazy(() => import('../pages/models/ModelsPage')),
  playground: lazy(() => import('../pages/playground/PlaygroundPage')),
  logs: lazy(() => import('../pages/logs/LogsPage')),
  settings: lazy(() => import('../pages/settings/SettingsPage')),
};

export function Pages() {
  const { page } = useRoute();
  const Shown = PAGE[page];
  return (
    <Suspense fallback={<Skeleton active />}>
      <Shown />
    </Suspense>
  );
}
