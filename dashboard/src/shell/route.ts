/** Where the page is, kept in the address after the hash: `#/logs/requests/ID`. */
import { useSyncExternalStore } from 'react';

export const PAGES = ['overview', 'models', 'playground', 'logs', 'settings'] as const;
export type Page = (typeof PAGES)[number];

export interface Route {
  page: Page;
  /** What follows the page's name. */
  rest: readonly string[];
}

const decoded = (step: string): string => {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
};

export function routeOf(hash: string): Route {
  const [first, ...rest] = hash
    .replace(/^#?\/?/, '')
    .split('/')
    .filter(Boolean)
    .map(decoded);
  return { page: PAGES.find((page) => page === first) ?? 'overview', rest };
}

export function hrefOf(page: Page, ...rest: string[]): string {
  return `#/${[page, ...rest].map(encodeURIComponent).join('/')}`;
}

export function go(page: Page, ...rest: string[]): void {
  window.location.hash = hrefOf(page, ...rest);
}

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener);
  return () => window.removeEventListener('hashchange', listener);
}

let last: { hash: string; route: Route } | null = null;

function current(): Route {
  const { hash } = window.location;
  if (last?.hash !== hash) last = { hash, route: routeOf(hash) };
  return last.route;
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}
