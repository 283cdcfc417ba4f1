/** Words of others, shown as they are and so that they can't pass for anything else; and numbers. */

import { type Child, h } from './dom.js';

/** Characters that turn the order of what follows: shown by their number. Marks of direction alone stay. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSEEN = /[\u202a-\u202e\u2066-\u2069\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** A text with characters that turn or hide others made visible. */
export function visible(text: string): Child[] {
  const parts: Child[] = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    const number = (match[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    parts.push(text.slice(from, match.index), h('span', { class: 'unseen' }, `U+${number}`));
    from = match.index + 1;
  }
  parts.push(text.slice(from));
  return parts;
}

/** A name or id of others within a line of ours. */
export function name(text: string): HTMLElement {
  return h('bdi', {}, visible(text));
}

/** What somebody has said, with its lines. */
export function words(text: string, kind = ''): HTMLElement {
  if (text.trim() === '') return h('p', { class: 'empty' }, 'Nothing was said.');
  return h('div', { class: `words ${kind}`.trim(), dir: 'auto' }, visible(text));
}

/** `12,345` */
export function count(value: number): string {
  return value.toLocaleString('en');
}

/** Up to four significant digits; small and large ones as they are told apart best. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e9)) return value.toExponential(2);
  const digits = size >= 1000 ? 0 : Math.max(0, 3 - Math.max(0, Math.floor(Math.log10(size || 1))));
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

/** `12.5 %` of a share. */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })}%`;
}

/** `850 ms`, `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** `1.4 MB` */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = size;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `26 Nov 2026, 01:42 UTC` */
export function moment(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return `${date.toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZone: 'UTC',
  })} UTC`;
}

/** `too-many-turns` in words. */
export function spelled(reason: string): string {
  return reason.replaceAll(/(?<!\bre|\bnear|\bnon)[-_]/g, ' ');
}
