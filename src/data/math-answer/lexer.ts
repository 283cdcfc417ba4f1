/** Cuts a written answer into its parts. */
import { closingBrace } from './boxed.js';
import {
  FONT_COMMANDS,
  functionNamed,
  isPercent,
  isSeparator,
  isUnit,
  LAYOUT,
  OPERATORS,
  plainCharacters,
  SYMBOLS,
  TEXT_COMMANDS,
} from './words.js';

export type Token =
  | { type: 'number'; digits: string; exponent: number }
  | { type: 'symbol'; name: string }
  | { type: 'function'; name: string }
  | { type: 'text'; text: string }
  /** Operators, brackets, separators: what they are called in `words.ts`, or the character. */
  | { type: 'mark'; mark: string }
  /** `\frac`, `\sqrt` and the like: what takes arguments. */
  | { type: 'command'; name: string }
  | { type: 'begin' | 'end'; name: string };

/** Commands with arguments that the parser knows. */
const COMMANDS: ReadonlySet<string> = new Set('frac sqrt binom sum prod int lim pmod bmod'.split(' '));
const COMMAND_NAMES: Readonly<Record<string, string>> = {
  dfrac: 'frac',
  tfrac: 'frac',
  cfrac: 'frac',
  dbinom: 'binom',
  tbinom: 'binom',
  mod: 'bmod',
};

/** Letters that are units in upright type; e, i and d are what they are in italics. */
const UPRIGHT_UNIT = /^[msgJNWKCVAFTHLhl]$/;

const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,4})(?![\w.]))?/y;
const WORD = /[a-zA-Z]+/y;
const COMMAND = /\\(?:[a-zA-Z]+|.)/y;
const RELATION = /<=|>=|!=|==|\.\.\.|=<|=>/y;
const RELATIONS: Readonly<Record<string, string>> = {
  '<=': '<=',
  '=<': '<=',
  '>=': '>=',
  '!=': '!=',
  '==': '=',
  '=>': 'other',
  '...': 'other',
};

/** Thrown where an answer is not read as mathematics; it never leaves this folder. */
export class Unreadable extends Error {}

/**
 * The parts of an answer. Commands that say how it looks are left out, and dollar signs with them.
 *
 * @throws Unreadable at what no answer has
 */
export function tokensOf(answer: string): Token[] {
  const text = withoutEscapedCommands(plainCharacters(answer));
  const tokens: Token[] = [];
  const add = (token: Token) => void tokens.push(token);
  let at = 0;
  /** What a sticky expression finds here; it is then passed. */
  const take = (expression: RegExp): RegExpExecArray | null => {
    expression.lastIndex = at;
    const match = expression.exec(text);
    if (match !== null) at += match[0].length;
    return match;
  };
  /** The words in braces here. */
  const takeGroup = (): string => {
    while (text[at] === ' ') at++;
    if (text[at] !== '{') {
      const [letter = ''] = take(WORD)?.[0] ?? '';
      return letter;
    }
    const end = closingBrace(text, at + 1);
    if (end === -1) throw new Unreadable('a brace is not closed');
    const group = text.slice(at + 1, end);
    at = end + 1;
    return group;
  };
  while (at < text.length) {
    const character = text[at] as string;
    if (/\s/.test(character) || character === '$' || character === '~') {
      at++;
      continue;
    }
    const number = take(NUMBER);
    if (number !== null) {
      const [digits = ''] = number[0].split(/[eE]/);
      add({ type: 'number', digits: digits.replace(/\.$/, ''), exponent: Number(number[1] ?? 0) });
      continue;
    }
    const word = take(WORD);
    if (word !== null) {
      for (const token of wordTokens(word[0])) add(token);
      continue;
    }
    const relation = take(RELATION);
    if (relation !== null) {
      add({ type: 'mark', mark: RELATIONS[relation[0]] ?? 'other' });
      continue;
    }
    const command = take(COMMAND);
    if (command === null) {
      add({ type: 'mark', mark: character });
      at++;
      continue;
    }
    const name = command[0].slice(1);
    if ((name === 'left' || name === 'right') && text[at] === '.') at++;
    if (TEXT_COMMANDS.has(name) || FONT_COMMANDS.has(name)) {
      for (const token of typeTokens(name, takeGroup())) add(token);
    } else if (name === 'begin' || name === 'end') add({ type: name, name: takeGroup() });
    else for (const token of commandTokens(name)) add(token);
  }
  return tokens;
}

/** Commands whose backslash was written twice, as in JSON or Python; not where rows of a matrix end with two. */
function withoutEscapedCommands(text: string): string {
  const written = text.replaceAll('\\n', (whole, offset: number) =>
    /^(?:\\n(?:eq?\b|ot|u\b|abla|mid|onumber|olimits))/.test(text.slice(offset, offset + 12)) ? whole : ' ',
  );
  return /\\begin|\\\\\\\\/.test(written) ? written : written.replace(/\\\\(?=[a-zA-Z()[\]{},;!])/g, '\\');
}

function wordTokens(word: string): Token[] {
  const joined = /^(and|or)(?=[A-Z]|$)(.*)$/.exec(word);
  if (joined !== null) return [{ type: 'mark', mark: ',' }, ...wordTokens(joined[2] ?? '')];
  if (word === '') return [];
  const known = functionNamed(word);
  if (known !== undefined) return [{ type: 'function', name: known }];
  if (word === 'sqrt' || word === 'frac') return [{ type: 'command', name: word }];
  if (isPercent(word)) return [{ type: 'mark', mark: '%' }];
  if (isUnit(word)) return [{ type: 'text', text: word }];
  if (Object.hasOwn(SYMBOLS, word)) return [{ type: 'symbol', name: SYMBOLS[word] as string }];
  return [...word].map((name) => ({ type: 'symbol', name }));
}

function typeTokens(command: string, content: string): Token[] {
  const words = content.replace(/\\[,;:! ]|~/g, ' ').trim();
  if (words === '') return [];
  if (isSeparator(words)) return [{ type: 'mark', mark: ',' }];
  if (isPercent(words) || words === '\\%' || words === '%') return [{ type: 'mark', mark: '%' }];
  if (TEXT_COMMANDS.has(command)) return [{ type: 'text', text: words }];
  if (command === 'mathbb') return [{ type: 'symbol', name: words === 'R' ? 'reals' : `mathbb ${words}` }];
  const known = functionNamed(words);
  if (known !== undefined) return [{ type: 'function', name: known }];
  if (command === 'mathrm' && UPRIGHT_UNIT.test(words)) return [{ type: 'text', text: words }];
  if (/^[a-zA-Z]$/.test(words) || /^\\[a-zA-Z]+$/.test(words)) {
    return [{ type: 'symbol', name: words.replace('\\', '') }];
  }
  return command === 'mathrm' || command === 'operatorname'
    ? [{ type: 'text', text: words }]
    : [{ type: 'symbol', name: words }];
}

function commandTokens(name: string): Token[] {
  const letters = /^[a-zA-Z]/.test(name);
  if (!letters) {
    if (name === '{' || name === '}') return [{ type: 'mark', mark: `\\${name}` }];
    if (name === '%' || name === '|') return [{ type: 'mark', mark: name }];
    if (name === '\\') return [{ type: 'mark', mark: '\\\\' }];
    return [];
  }
  // \quadx: no command begins with quad, so that the letter behind it is one of the formula's.
  const quad = /^q?quad([a-zA-Z])$/.exec(name)?.[1];
  if (quad !== undefined) return [{ type: 'symbol', name: quad }];
  if (LAYOUT.has(name)) return [];
  if (COMMANDS.has(name)) return [{ type: 'command', name }];
  if (Object.hasOwn(COMMAND_NAMES, name)) return [{ type: 'command', name: COMMAND_NAMES[name] as string }];
  if (Object.hasOwn(OPERATORS, name)) return [{ type: 'mark', mark: OPERATORS[name] as string }];
  const known = functionNamed(name);
  if (known !== undefined) return [{ type: 'function', name: known }];
  return [{ type: 'symbol', name: Object.hasOwn(SYMBOLS, name) ? (SYMBOLS[name] as string) : name }];
}
