/** The filters of appendix C.1 that need no language model, and those that are off by default. */

import { sqlText } from './engine.js';
import type { ResolvedIngestOptions } from './options.js';

/** A filter on what a conversation itself holds: `condition` is true of what is dropped. */
export interface ContentFilter {
  /** The reason it drops under, and its step of the funnel. */
  reason: string;
  condition: string;
}

/** The filters that are switched on, in the order in which they apply. */
export function contentFilters(options: ResolvedIngestOptions): ContentFilter[] {
  const { languages, dropMidjourney, dropToxic, dropRedacted } = options;
  const flagged = (flag: 'toxic' | 'redacted') =>
    `coalesce(${flag}, false) OR coalesce(list_bool_or(list_transform(turns, lambda turn: turn.${flag})), false)`;
  return [
    ...(languages === null ? [] : [{ reason: 'other-language', condition: isOtherLanguage(languages) }]),
    ...(dropMidjourney ? [{ reason: 'midjourney', condition: NAMES_MIDJOURNEY }] : []),
    ...(dropToxic ? [{ reason: 'toxic', condition: flagged('toxic') }] : []),
    ...(dropRedacted ? [{ reason: 'redacted', condition: flagged('redacted') }] : []),
  ];
}

/** An expression that gives the reason of the first filter that drops the conversation, or null. */
export function contentFilter(options: ResolvedIngestOptions): string {
  const cases = contentFilters(options).map(({ reason, condition }) => `WHEN ${condition} THEN '${reason}'`);
  return cases.length === 0 ? 'NULL::VARCHAR' : `CASE ${cases.join(' ')} END`;
}

/** By the user's messages: an assistant may name it unasked. */
const NAMES_MIDJOURNEY =
  "list_bool_or(list_transform(turns, lambda turn: turn.role = 'user' AND names_midjourney(turn.content)))";

/** The conversation's own annotation, else that of its first user message; without either it is kept. */
export const ANNOTATED_LANGUAGE =
  "coalesce(language, list_filter(turns, lambda turn: turn.role = 'user')[1].language)";

function isOtherLanguage(languages: readonly string[]): string {
  const names = languages.map((language) => sqlText(language.trim().toLowerCase())).join(', ');
  const language = `lower(${ANNOTATED_LANGUAGE})`;
  return `coalesce(${language} NOT IN (${names}) AND split_part(replace(${language}, '_', '-'), '-', 1) NOT IN (${names}), false)`;
}
