/** Answers as words. */
import { closingBrace } from './boxed.js';
import { MAX_ANSWER_CHARACTERS } from './limits.js';
import { plainCharacters } from './words.js';

const TEXT_COMMAND =
  /\\(?:text|mbox|textbf|textrm|textit|textnormal|mathrm|mathbf|mathit|operatorname|boxed|fbox)\s*\{/g;
const LAYOUT = /\\(?:left|right|displaystyle|q?quad|[bB]igg?[lr]?)(?![a-zA-Z])|\\[,;:! ]|[$\s~]/g;

/**
 * The characters of an answer that say something: without dollar signs, spaces and layout, fractions written in one way,
 * and what is set as text written as such. The same for two answers that look the same.
 */
export function essence(answer: string): string {
  let text = plainCharacters(answer.slice(0, MAX_ANSWER_CHARACTERS));
  TEXT_COMMAND.lastIndex = 0;
  for (let match = TEXT_COMMAND.exec(text); match !== null; match = TEXT_COMMAND.exec(text)) {
    const first = match.index + match[0].length;
    const end = closingBrace(text, first);
    if (end === -1) break;
    text = `${text.slice(0, match.index)}${text.slice(first, end)}${text.slice(end + 1)}`;
    TEXT_COMMAND.lastIndex = match.index;
  }
  const bare = text
    .replaceAll(/\\[dtc]frac/g, '\\frac')
    .replaceAll(LAYOUT, '')
    .replaceAll(/\\(?=[$%{}])/g, '')
    .replace(/[.,;:]+$/, '');
  const letter = /^\(([A-Za-z])\)$/.exec(bare)?.[1];
  // Words may begin with a capital or not; a letter is another one in capitals.
  return letter ?? (/^[a-zA-Z]{2,}$/.test(bare) ? bare.toLowerCase() : bare);
}
