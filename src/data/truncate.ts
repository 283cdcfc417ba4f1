/** Cutting a pair to a length, the prompt first. */
import { ConfigError, DataError } from '../errors.js';
import type { EncodedPrompt } from './prompt.js';
import type { EncodedPair } from './tokenize.js';

export interface TruncationOptions {
  /** Most tokens of prompt and longer response together. Default null: no limit. */
  maxLength?: number | null;
  /** Most tokens of the prompt. Default null: no limit of its own. */
  maxPromptLength?: number | null;
  /**
   * Which side of a prompt that is too long is kept. `keep_end` leaves out the oldest exchanges, whole, and
   * where the last message alone is too long, its beginning. `keep_start` leaves out the end of the last
   * message and before it. Either way the beginning of sequence, the system message with the persona and the
   * generation prompt stay. Default `keep_end`.
   */
  truncationMode?: 'keep_start' | 'keep_end';
}

export interface FittedPair {
  promptIds: number[];
  chosenIds: number[];
  rejectedIds: number[];
  promptCut: boolean;
  completionCut: boolean;
}

/**
 * Cuts a pair to `maxLength` and `maxPromptLength`. Responses are cut, at their end, only when the prompt is
 * down to what must stay; both responses keep the same prompt.
 *
 * @throws DataError when nothing would be left of a response, or both would be the same
 * @throws ConfigError when a limit is not a positive integer
 */
export function fitPair(pair: EncodedPair, options: TruncationOptions): FittedPair {
  const { maxLength = null, maxPromptLength = null, truncationMode = 'keep_end' } = options;
  for (const [key, limit] of Object.entries({ maxLength, maxPromptLength })) {
    if (limit !== null && !(Number.isInteger(limit) && limit > 0)) {
      throw new ConfigError(`${key} must be a positive integer, got ${limit}.`);
    }
  }
  const { chosenIds, rejectedIds } = pair;
  const longest = Math.max(chosenIds.length, rejectedIds.length);
  const room = Math.min(maxPromptLength ?? Infinity, maxLength === null ? Infinity : maxLength - longest);
  const promptIds = cutPrompt(pair.prompt, room, truncationMode);
  const left = maxLength === null ? Infinity : maxLength - promptIds.length;
  if (left < 1) {
    throw new DataError(
      `Nothing would be left of the responses: what must stay of the prompt takes ${promptIds.length} of ${maxLength} tokens.`,
    );
  }
  const fitted = {
    promptIds,
    chosenIds: chosenIds.slice(0, left),
    rejectedIds: rejectedIds.slice(0, left),
    promptCut: promptIds.length < pair.prompt.ids.length,
    completionCut: longest > left,
  };
  if (sameIds(fitted.chosenIds, fitted.rejectedIds)) {
    throw new DataError(
      fitted.completionCut
        ? `Chosen and rejected are the same in the ${left} tokens that are left of them.`
        : 'Chosen and rejected have the same tokens.',
    );
  }
  return fitted;
}

/** The ids of a prompt cut to `room` tokens, or to what must stay of it where that is more: see `truncationMode`. */
export function cutPrompt(whole: EncodedPrompt, room: number, mode: 'keep_start' | 'keep_end'): number[] {
  let prompt = whole;
  while (mode === 'keep_end' && prompt.ids.length > room) {
    const shorter = prompt.shorten();
    if (shorter === null) break;
    prompt = shorter;
  }
  const { ids } = prompt;
  if (ids.length <= room) return ids;
  const { head, tail } = prompt.edges();
  // A response is predicted from the token before it, so that one prompt token has to stay.
  const length = Math.max(room, head + tail, 1);
  const body = ids.slice(head, ids.length - tail);
  const kept = length - head - tail;
  return [
    ...ids.slice(0, head),
    ...(mode === 'keep_end' ? body.slice(body.length - kept) : body.slice(0, kept)),
    ...ids.slice(ids.length - tail),
  ];
}

function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index]);
}
