/** Answers that only say again what the user said to the answer before, as small models do when asked to rewrite. */

import { textChange } from './text-change.js';

/** Fewest of the follow-up's words, in pairs of neighbours, that make an answer the follow-up again. */
const SAME_WORDS = 0.9;
/** At most so many words stand before and behind a follow-up that is quoted. */
const LEAD_WORDS = 12;
/** A follow-up of so many words in a row is repeated on purpose, even without a mark before it. */
const LONG_FOLLOW_UP = 3;
/** What sets off something quoted from the words that lead to it: a colon, a quotation mark, a line break. */
const MARK_AT_END = /[:\n"“”«»„‘`][\s*_>]*$|(?:^|\s)'$/u;
/** How an order to rewrite something begins. */
const ORDER =
  /^(?:please |now |then )?(?:re-?write|rephrase|revise|redo|reword) (?:this|that|the|your|my) (?:(?:last|previous|original|above) )?(?:answer|response|reply|message|text)\b/u;

/** The words by which an answer orders a rewrite, as its model was, in place of being one. English only. */
export function orderToRewrite(answer: string): string | undefined {
  return ORDER.exec(plain(wordsOf(answer)))?.[0];
}

/**
 * Whether an answer is the user's follow-up over again. Marks, quotation marks, case and white space do not matter. It
 * is where
 * - nearly all its words are those of the follow-up, in their order, and the other way round;
 * - it has all the follow-up's words in a row, with at most twelve others, and is no answer beside them: what leads to
 *   them ends in a colon, a quotation mark or a line break, or they are at least three and more than the others.
 */
export function repeatsFollowUp(followUp: string, answer: string): boolean {
  const [wanted, said] = [wordsOf(followUp), wordsOf(answer)];
  const others = said.length - wanted.length;
  if (wanted.length === 0 || others > LEAD_WORDS) return false;
  if (textChange(plain(wanted), plain(said)) <= 1 - SAME_WORDS) return true;
  const start = placeOf(wanted, said);
  if (start === -1) return false;
  const isSetOff = start > 0 && MARK_AT_END.test(answer.slice(0, said[start]?.at));
  return isSetOff || (wanted.length >= LONG_FOLLOW_UP && others < wanted.length);
}

interface Word {
  word: string;
  /** Where it begins in the text. */
  at: number;
}

function wordsOf(text: string): Word[] {
  return [...text.matchAll(/[\p{L}\p{M}\p{N}]+(?:['’ʼ][\p{L}\p{M}\p{N}]+)*/gu)].map((match) => ({
    word: match[0].normalize('NFKC').toLowerCase().replace(/[’ʼ]/g, "'"),
    at: match.index,
  }));
}

function plain(words: readonly Word[]): string {
  return words.map(({ word }) => word).join(' ');
}

/** Where `wanted` stands in `said`, word for word; -1 for nowhere. */
function placeOf(wanted: readonly Word[], said: readonly Word[]): number {
  for (let start = 0; start + wanted.length <= said.length; start++) {
    if (wanted.every(({ word }, i) => word === said[start + i]?.word)) return start;
  }
  return -1;
}
