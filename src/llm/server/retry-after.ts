/** How long a server asks to wait before the next request. */

/**
 * Milliseconds from `retry-after-ms` (a number), else from `retry-after`: seconds, or a date (RFC 9110 section
 * 10.2.3). Undefined where there is none that can be read; a date that has passed is 0.
 */
export function retryAfterMs(headers: Headers | undefined, now: number): number | undefined {
  const milliseconds = number(headers?.get('retry-after-ms'));
  if (milliseconds !== undefined) return milliseconds;
  const value = headers?.get('retry-after');
  const seconds = number(value);
  if (seconds !== undefined) return seconds * 1000;
  // A date has the name of a month; without one, Date.parse takes almost anything for a date.
  const date = /[a-z]{3}/i.test(value ?? '') ? Date.parse(value as string) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function number(text: string | null | undefined): number | undefined {
  return text != null && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : undefined;
}
