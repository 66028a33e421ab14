/** Numbers as people read them. Nothing known is a dash. */
import { texts } from '../texts';

export const UNKNOWN = '–';
type Maybe = number | null | undefined;

const rounded = (value: number): string => {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value
    .toFixed(digits)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
};

/** Powers of 1024, as memory is built. */
export function bytes(value: Maybe): string {
  if (value == null) return UNKNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let scaled = value;
  let unit = 0;
  while (Math.abs(scaled) >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${rounded(scaled)} ${units[unit]}`;
}

/** 2.6M, 7B. */
export function count(value: Maybe): string {
  if (value == null) return UNKNOWN;
  const units = ['', 'K', 'M', 'B', 'T'];
  let scaled = value;
  let unit = 0;
  while (Math.abs(scaled) >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${rounded(scaled)}${units[unit]}`;
}

/** With separators: 131 072. */
export function whole(value: Maybe): string {
  return value == null ? UNKNOWN : Math.round(value).toLocaleString('en').replace(/,/g, '\u202F');
}

export function rate(value: Maybe): string {
  return value == null ? UNKNOWN : rounded(value);
}

/** 8.1 ms, 1.2 s. */
export function milliseconds(value: Maybe): string {
  if (value == null) return UNKNOWN;
  if (value < 1000) return `${rounded(value)} ms`;
  return value < 60_000 ? `${rounded(value / 1000)} s` : duration(value / 1000);
}

/** The two largest units: 3 d 4 h. */
export function duration(seconds: Maybe): string {
  if (seconds == null) return UNKNOWN;
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

export function ago(unixMs: Maybe, now: number): string {
  if (unixMs == null) return UNKNOWN;
  const seconds = (now - unixMs) / 1000;
  return seconds < 5 ? texts.time.now : texts.time.ago(duration(seconds));
}

/** Of this machine's clock: 14:03:09, with the day where it is another one. */
export function clock(unixMs: Maybe, now = Date.now()): string {
  if (unixMs == null) return UNKNOWN;
  const date = new Date(unixMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === new Date(now).toDateString()) return time;
  return `${day(unixMs)} ${time}`;
}

export function day(unixMs: Maybe): string {
  if (unixMs == null) return UNKNOWN;
  const date = new Date(unixMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function percent(part: number, total: number): string {
  return total > 0 ? `${rounded((part / total) * 100)} %` : UNKNOWN;
}
