/** Where a response says its final answer. */
import { type Boxed, boxesIn } from './boxed.js';
import { MAX_ANSWER_CHARACTERS, MAX_SEARCHED_CHARACTERS } from './limits.js';
import { parseAnswer } from './parser.js';
import { functionNamed, isPercent, isSeparator, isUnit } from './words.js';

/** Words before an answer: `The final answer is`, `Answer:`, `Final Answer: The largest n is`. */
const ANNOUNCEMENT = /\b(?:final\s+answer|answer)\**\s*(?:is|are|:|=)\**\s*:?\s*/gi;
/** Reasoning that is not part of the answer, as reasoning models write it. */
const THINKING = /^[\s\S]*<\/think>/;
/** Formulas: in dollar signs, and in TeX's brackets, where a limit keeps an opening without an end from being searched to the end. */
const FORMULA =
  /\$\$((?:[^$]|\\\$)+)\$\$|\$((?:[^$\\]|\\.|\\\n)+)\$|\\\[([\s\S]{0,2000}?)\\\]|\\\(([\s\S]{0,2000}?)\\\)/g;
/** A number of running text that is not part of a word, with what belongs to it. */
const NUMBER =
  /(?<![\w.,])[-+]?(?:\d{1,3}(?:[,\s]\d{3})+(?:\.\d+)?(?!\d)|\d+(?:[.,]\d+)?|\.\d+)(?:\s*\/\s*\d+)?(?:\s*(?:%|\\%|percent(?:age)?\b|pct\b))?(?=$|[^\w]|(?:m|cm|km|g|kg)[²³]?(?!\w))/g;
const PERCENT = /^\s*\$?\s*(?:\\?%|percent(?:age)?\b|pct\b)/;
/** Words between two boxes or formulas that make one answer of them, at most. */
const MAX_WORDS_BETWEEN = 6;

/**
 * The final answer of a response, as LaTeX or text; undefined where none is found. In turn, from the end of the response:
 *
 * 1. what is announced as the answer, where that is a box, formula, number or expression: `The final answer is 12.`
 * 2. the last box, together with boxes before it that are joined to it by commas, `and` or `or`
 * 3. all of a short response that is mathematics
 * 4. the last formula, with those that are joined to it, or the last number, whichever comes later
 *
 * Only the last 50,000 characters are looked at, and nothing of what stands before `</think>`.
 */
export function finalAnswer(response: string): string | undefined {
  const text = response
    .slice(-MAX_SEARCHED_CHARACTERS)
    .replace(THINKING, '')
    .replace(/<\|[\w ]{1,40}\|>\w*\s*$/, '');
  return announced(text) ?? lastBoxes(text) ?? whole(text) ?? lastStatement(text);
}

function announced(text: string): string | undefined {
  const last = [...text.matchAll(ANNOUNCEMENT)].at(-1);
  if (last === undefined) return undefined;
  const statement = text.slice(
    last.index + last[0].length,
    last.index + last[0].length + MAX_ANSWER_CHARACTERS,
  );
  const sentence = firstSentence(statement);
  if (sentence === '') return undefined;
  const found = lastBoxes(sentence) ?? directFormula(sentence) ?? whole(sentence) ?? lastStatement(sentence);
  // "Answer: see above" announces nothing; the box above does.
  return found;
}

/** Up to the end of the line, or the period that is not part of a number or formula. */
function firstSentence(statement: string): string {
  const opening = /^\s*(?:\$\$|\\\[|\\begin|\$)/.exec(statement);
  const text = opening === null ? statement.trimStart() : statement;
  const end = /(?:\.|!)(?=\s+[A-Z<[]|\s*$)|\n(?!\s*(?:\\\[|\$\$))/g;
  for (let match = end.exec(text); match !== null; match = end.exec(text)) {
    if (match.index > 0 && isBalanced(text.slice(0, match.index))) return text.slice(0, match.index).trim();
  }
  return text.trim();
}

/** Whether no formula is open. */
function isBalanced(text: string): boolean {
  const dollars = text.replaceAll('\\$', '').split('$').length - 1;
  const opened = text.split('\\[').length + text.split('\\(').length;
  const closed = text.split('\\]').length + text.split('\\)').length;
  return dollars % 2 === 0 && opened <= closed;
}

interface Place {
  content: string;
  start: number;
  end: number;
}

function lastBoxes(text: string): string | undefined {
  return joined(text, boxesIn(text) satisfies Boxed[]);
}

/** A formula that the sentence begins with, with those that are joined to it. */
function directFormula(sentence: string): string | undefined {
  const places = formulasIn(sentence);
  const [first] = places;
  if (first === undefined || /[\p{L}\d]/u.test(sentence.slice(0, first.start))) return undefined;
  const count = places.findIndex(({ start }, index) => {
    const before = places[index - 1];
    return before !== undefined && !joins(sentence.slice(before.end, start));
  });
  return joined(sentence, count === -1 ? places : places.slice(0, count));
}

/** The last of the places, with those before it that are joined to it. */
function joined(text: string, places: readonly Place[]): string | undefined {
  const last = places.at(-1);
  if (last === undefined) return undefined;
  let first = places.length - 1;
  while (first > 0 && joins(text.slice(places[first - 1]?.end, places[first]?.start))) first--;
  const contents = places.slice(first).map(({ content }) => content);
  const percent = PERCENT.test(text.slice(last.end, last.end + 20)) ? '\\%' : '';
  return `${contents.join(', ')}${percent}`;
}

/** Whether what stands between two answers makes them one: nothing, marks, or a few words with `and` or `or`. */
function joins(between: string): boolean {
  if (between.length > 120 || between.includes('\n\n')) return false;
  const words = between
    .replaceAll(/\\(?:text|mbox|textbf|mathrm)\s*\{|\\q?quad|\\[()[\],;:! ]|[${}]/g, ' ')
    .trim();
  if (!/\p{L}/u.test(words)) return true;
  const bare = words.replaceAll(/[a-zA-Z]_?\w?\s*=/g, ' ').trim();
  const connects = /(?:^|[\s,])(?:and|or)(?:$|[\s,])|^[,;]/.test(bare);
  return isSeparator(bare) || (connects && bare.split(/\s+/).length <= MAX_WORDS_BETWEEN);
}

function formulasIn(text: string): Place[] {
  return [...text.matchAll(FORMULA)].flatMap((match) => {
    const content = match.slice(1).find((group) => group !== undefined) ?? '';
    return content.trim() === '' ? [] : [{ content, start: match.index, end: match.index + match[0].length }];
  });
}

function lastStatement(text: string): string | undefined {
  const formulas = formulasIn(text);
  const number = [...text.matchAll(NUMBER)].at(-1);
  const end = formulas.at(-1)?.end ?? -1;
  if (number !== undefined && number.index >= end && !PERCENT.test(text.slice(end, number.index + 1))) {
    return number[0].trim();
  }
  return joined(text, formulas);
}

/** Characters of a response that may be an answer as a whole. */
const SHORT = 200;

function whole(text: string): string | undefined {
  const trimmed = text.trim().replace(/^["'“]+|["'”]+$/g, '');
  if (trimmed === '' || trimmed.length > SHORT) return undefined;
  return !hasWords(trimmed) && parseAnswer(trimmed) !== undefined ? trimmed : undefined;
}

/** Words are letters multiplied to a parser; as a whole only what is written as mathematics counts. */
function hasWords(text: string): boolean {
  const bare = text.replaceAll(
    /\\(?:text|mbox|mathrm)\s*\{[^{}]*\}|\\[a-zA-Z]+|(?<=[\d)])(?:or|and)(?=[A-Z(])/g,
    ' ',
  );
  return (bare.match(/[a-zA-Z]{2,}/g) ?? []).some((word) => {
    if (functionNamed(word) !== undefined || isUnit(word) || isPercent(word) || isSeparator(word))
      return false;
    // AB is a line, dx a differential: letters of a formula, unless they stand apart like words do.
    return word.length > 2 || new RegExp(`(?:^|\\s)${word}(?=[\\s.,;:!?]|$)`).test(bare);
  });
}
