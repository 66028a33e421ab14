/** Settings as a person types them. */
import type { Setting } from '../../api/types';

/** Changes by key; null takes a setting out of the file. */
export type Changes = Readonly<Record<string, unknown>>;

/** A value as text, as it would be typed. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export type Shape = 'boolean' | 'number' | 'list' | 'table' | 'size' | 'text';

/** What the server's words for a setting's type mean: `integer or \`auto\``, `list of texts`. */
export function shapeOf(kind: string): Shape {
  if (/^(boolean|`true`)/.test(kind)) return 'boolean';
  if (/^(integer|number)/.test(kind)) return 'number';
  const [first] = kind.split(' ');
  return first === 'list' || first === 'table' || first === 'size' ? first : 'text';
}

/** A typed text as a value of the setting's kind; what is of no kind stays text, and the server says what it wanted. */
export function valueOf(kind: string, text: string): unknown {
  const trimmed = text.trim();
  switch (shapeOf(kind)) {
    case 'number': {
      const number = Number(trimmed);
      return trimmed !== '' && Number.isFinite(number) ? number : text;
    }
    case 'list':
      return jsonOr(
        trimmed,
        trimmed
          .split(',')
          .map((item) => item.trim())
          .filter(Boolean),
      );
    case 'table':
      return jsonOr(trimmed, trimmed);
    case 'size':
      // It may be a bare number of bytes.
      return /^\d+$/.test(trimmed) ? Number(trimmed) : text;
    default:
      return text;
  }
}

function jsonOr(text: string, other: unknown): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return other;
  }
}

/** The changes with one more; one that changes nothing is none. */
export function withChange(changes: Changes, setting: Setting, value: unknown): Changes {
  const { [setting.key]: _, ...others } = changes;
  const isSame = JSON.stringify(value) === JSON.stringify(setting.value);
  return isSame ? others : { ...others, [setting.key]: value };
}

/** Every word has to be found in the key, the description or the value. */
export function found(settings: readonly Setting[], text: string): Setting[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return settings.filter((setting) => {
    const all =
      `${setting.key} ${setting.description ?? ''} ${textOf(setting.value)}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

const LIMIT =
  /(^|[._])(max|limit|limits|timeout|queue|budget|rate|slots|memory|reserve|per_minute)([._]|$)/;

/** What bounds something: how many, how much, how long. */
export const isLimit = ({ key }: Setting): boolean => LIMIT.test(key.replace(/\[.*?\]/g, ''));
