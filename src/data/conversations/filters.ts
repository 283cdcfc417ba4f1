/** The filters of appendix C.1 that need no language model, and those that are off by default. */
import { sqlText } from './engine.js';
import type { ResolvedIngestOptions } from './options.js';
import { MESSAGE, type MessageFields } from './row-source.js';

/** A filter on what a conversation itself holds. */
interface ContentFilter {
  /** The reason it drops under, and its step of the funnel. */
  reason: string;
  /** True of what is dropped; `list` is the column of messages. */
  condition: (list: string, message: MessageFields) => string;
}

/** The filters that are switched on, in the order in which they apply. */
function filtersOf(options: ResolvedIngestOptions): ContentFilter[] {
  const { languages, dropMidjourney, dropToxic, dropRedacted } = options;
  const flagged =
    (flag: 'toxic' | 'redacted') =>
    (list: string, message: MessageFields): string =>
      `coalesce(${flag}, false) OR coalesce(${anyMessage(list, message[flag])}, false)`;
  return [
    ...(languages === null ? [] : [otherLanguage(languages)]),
    ...(dropMidjourney ? [{ reason: 'midjourney', condition: namesMidjourney }] : []),
    ...(dropToxic ? [{ reason: 'toxic', condition: flagged('toxic') }] : []),
    ...(dropRedacted ? [{ reason: 'redacted', condition: flagged('redacted') }] : []),
  ];
}

/** The reasons of the filters that are switched on, in the order in which they apply. */
export function contentReasons(options: ResolvedIngestOptions): string[] {
  return filtersOf(options).map(({ reason }) => reason);
}

/** An expression that gives the reason of the first filter that drops the conversation, or null. */
export function contentFilter(options: ResolvedIngestOptions, list: string, message: MessageFields): string {
  const cases = filtersOf(options).map(
    ({ reason, condition }) => `WHEN ${condition(list, message)} THEN '${reason}'`,
  );
  return cases.length === 0 ? 'NULL::VARCHAR' : `CASE ${cases.join(' ')} END`;
}

/** By the user's messages: an assistant may name it unasked. */
function namesMidjourney(list: string, { role, content }: MessageFields): string {
  const named = `${role} = 'user' AND regexp_matches(${content}, '(?i)mid ?journey')`;
  return `coalesce(${anyMessage(list, named)}, false)`;
}

/** The conversation's own annotation, else that of its first user message; without either it is kept. */
function annotatedLanguage(list: string, { role, language }: MessageFields): string {
  const languages = `list_transform(list_filter(${list}, lambda ${MESSAGE}: ${role} = 'user'), lambda ${MESSAGE}: ${language})`;
  return `coalesce(language, ${languages}[1])`;
}

/** Whether nothing is known of a conversation's language. */
export function languageUnknown(list: string, message: MessageFields): string {
  return `${annotatedLanguage(list, message)} IS NULL`;
}

function otherLanguage(languages: readonly string[]): ContentFilter {
  const names = languages.map((language) => sqlText(language.trim().toLowerCase())).join(', ');
  return {
    reason: 'other-language',
    condition: (list, message) => {
      const language = `lower(${annotatedLanguage(list, message)})`;
      const first = `split_part(replace(${language}, '_', '-'), '-', 1)`;
      return `coalesce(${language} NOT IN (${names}) AND ${first} NOT IN (${names}), false)`;
    },
  };
}

function anyMessage(list: string, condition: string): string {
  return `list_bool_or(list_transform(${list}, lambda ${MESSAGE}: ${condition}))`;
}
