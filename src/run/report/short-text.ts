/** Texts as a report holds them: one message of a million characters must not make a page that nobody can open. */

import type { Message } from '../../data/pairs.js';

/** Characters of a text that a report holds. */
const MOST_CHARACTERS = 20_000;
/** Items of a list and fields of an object that a report holds, of rows in no form that it knows. */
const MOST_ITEMS = 50;
const MOST_DEPTH = 5;

export function shortText(text: string, most = MOST_CHARACTERS): string {
  if (text.length <= most) return text;
  const left = (text.length - most).toLocaleString('en');
  return `${text.slice(0, most)}\n[... ${left} more characters, which this report leaves out]`;
}

export function shortMessages(messages: readonly Message[]): Message[] {
  return messages.map(({ role, content }) => ({ role, content: shortText(content) }));
}

/** A value of JSON with its texts and lists shortened. */
export function shortValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return shortText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MOST_DEPTH) return '[...]';
  if (Array.isArray(value)) return value.slice(0, MOST_ITEMS).map((item) => shortValue(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MOST_ITEMS)
      .map(([name, item]) => [name, shortValue(item, depth + 1)]),
  );
}
