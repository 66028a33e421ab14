import { Tabs } from 'antd';
import type { ReactNode } from 'react';
import { go, type Page } from '../shell/route';

export interface Section {
  key: string;
  label: string;
  content: ReactNode;
}

interface SectionsProps {
  page: Page;
  label: string;
  sections: readonly Section[];
  shown: string | undefined;
}

/** A page's parts, of which one is shown; which one is in the address. */
export function Sections({ page, label, sections, shown }: SectionsProps) {
  const active = sections.find(({ key }) => key === shown)?.key ?? sections[0]?.key ?? '';
  return (
    <Tabs
      aria-label={label}
      activeKey={active}
      onChange={(key) => go(page, key)}
      destroyOnHidden
      items={sections.map(({ key, label: name, content }) => ({
        key,
        label: name,
        children: content,
      }))}
    />
  );
}
