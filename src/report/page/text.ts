/** Words of others, and numbers. */

import { h } from './dom.js';

/** A name or id of others within a line of ours. */
export function name(text: string): HTMLElement {
  return h('bdi', {}, text);
}

/** What somebody has said, with its lines. */
export function words(text: string, kind = ''): HTMLElement {
  if (text.trim() === '') return h('p', { class: 'empty' }, 'Nothing was said.');
  return h('div', { class: `words ${kind}`.trim(), dir: 'auto' }, text);
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
