/** Light or dark: as the system has it, or as the person chose. */
import { theme as antd, type ThemeConfig } from 'antd';
import { useEffect, useSyncExternalStore } from 'react';

export type Choice = 'system' | 'light' | 'dark';
export type Shade = 'light' | 'dark';

const NAME = 'impetus.theme';
const CHOICES: readonly Choice[] = ['system', 'light', 'dark'];
const system = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

let choice: Choice = CHOICES.find((known) => known === localStorage.getItem(NAME)) ?? 'system';

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  system.addEventListener('change', listener);
  return () => {
    listeners.delete(listener);
    system.removeEventListener('change', listener);
  };
}

export function chooseTheme(next: Choice): void {
  choice = next;
  if (next === 'system') localStorage.removeItem(NAME);
  else localStorage.setItem(NAME, next);
  for (const listener of listeners) listener();
}

export function useThemeChoice(): Choice {
  return useSyncExternalStore(subscribe, () => choice);
}

export function useShade(): Shade {
  const shade = useSyncExternalStore(subscribe, (): Shade => {
    if (choice !== 'system') return choice;
    return system.matches ? 'dark' : 'light';
  });
  useEffect(() => {
    document.documentElement.dataset.theme = shade;
  }, [shade]);
  return shade;
}

const common = { borderRadius: 8, fontSize: 14, wireframe: false, motionDurationMid: '0.12s' };

const TABLE = {
  bodySortBg: 'transparent',
  headerBg: 'transparent',
  headerSortActiveBg: 'transparent',
};

const LIGHT: ThemeConfig = {
  algorithm: antd.defaultAlgorithm,
  cssVar: true,
  hashed: false,
  token: {
    ...common,
    colorPrimary: '#0f766e',
    colorLink: '#0f766e',
    colorInfo: '#1d5fbf',
    colorBgLayout: '#f5f6f7',
    colorText: '#1a2127',
    colorTextSecondary: '#56626d',
    colorTextDescription: '#56626d',
    colorTextPlaceholder: '#6a7681',
    colorBorder: '#c9d0d6',
    colorBorderSecondary: '#e0e4e8',
    colorError: '#b91c1c',
    colorErrorText: '#b91c1c',
  },
  components: { Table: TABLE },
};

const DARK: ThemeConfig = {
  algorithm: antd.darkAlgorithm,
  cssVar: true,
  hashed: false,
  token: {
    ...common,
    colorPrimary: '#3cc9b8',
    colorPrimaryHover: '#5fdccd',
    colorPrimaryActive: '#2fb0a1',
    colorTextLightSolid: '#06201d',
    colorLink: '#3cc9b8',
    colorInfo: '#7db4ff',
    colorBgLayout: '#0f1316',
    colorBgContainer: '#171c20',
    colorBgElevated: '#1d2328',
    colorText: '#e5eaee',
    colorTextSecondary: '#9ba8b4',
    colorTextDescription: '#9ba8b4',
    colorTextPlaceholder: '#8795a1',
    colorBorder: '#3a454d',
    colorBorderSecondary: '#2b343b',
    colorError: '#ff8a8a',
    colorErrorText: '#ff8a8a',
  },
  components: {
    Table: TABLE,
    Tooltip: { colorTextLightSolid: '#e5eaee', colorBgSpotlight: '#2b343b' },
  },
};

export const themeOf = (shade: Shade): ThemeConfig => (shade === 'dark' ? DARK : LIGHT);
