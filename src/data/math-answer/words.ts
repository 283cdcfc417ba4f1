/** Words of LaTeX and of answers, and what they stand for. */

/** Other ways to write what LaTeX has a command for. */
const CHARACTERS: Readonly<Record<string, string>> = {
  '−': '-',
  '–': '-',
  '—': '-',
  '×': '\\times ',
  '·': '\\cdot ',
  '⋅': '\\cdot ',
  '÷': '/',
  '≤': '\\le ',
  '⩽': '\\le ',
  '≥': '\\ge ',
  '⩾': '\\ge ',
  '≠': '\\ne ',
  '≈': '\\approx ',
  '∞': '\\infty ',
  π: '\\pi ',
  θ: '\\theta ',
  '√': '\\sqrt ',
  '°': '^{\\circ}',
  '²': '^{2}',
  '³': '^{3}',
  '½': '\\frac{1}{2}',
  '¼': '\\frac{1}{4}',
  '¾': '\\frac{3}{4}',
  '±': '\\pm ',
  '∪': '\\cup ',
  '∩': '\\cap ',
  '∈': '\\in ',
  '∅': '\\emptyset ',
  ℝ: '\\mathbb{R}',
  '\u00a0': ' ',
  '\u2009': ' ',
  '\u202f': ' ',
  '，': ',',
  '（': '(',
  '）': ')',
};

const ANY_CHARACTER = new RegExp(`[${Object.keys(CHARACTERS).join('')}]`, 'gu');

/** Replaces characters that LaTeX writes with a command. */
export function plainCharacters(text: string): string {
  return text.replace(ANY_CHARACTER, (character) => CHARACTERS[character] ?? character);
}

/** Commands that change how a formula looks and nothing else. */
export const LAYOUT: ReadonlySet<string> = new Set(
  (
    'left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle scriptstyle ' +
    'limits nolimits boxed fbox quad qquad enspace thinspace hspace phantom rm bf it hline hfill nonumber'
  ).split(' '),
);

/** Commands whose argument is words. */
export const TEXT_COMMANDS: ReadonlySet<string> = new Set(
  'text mbox textbf textrm textit textnormal textsf texttt hbox emph'.split(' '),
);

/** Commands that set symbols, names of functions or units in another type. */
export const FONT_COMMANDS: ReadonlySet<string> = new Set(
  'mathrm mathbf mathit mathsf mathcal mathbb mathfrak boldsymbol bm operatorname vec overrightarrow overline bar hat tilde'.split(
    ' ',
  ),
);

/** Functions with a value; others are names that nothing is known of. */
const FUNCTION_NAMES: Readonly<Record<string, string>> = {
  arcsin: 'asin',
  arccos: 'acos',
  arctan: 'atan',
  arcctg: 'acot',
  arccot: 'acot',
  arcsec: 'asec',
  arccsc: 'acsc',
  tg: 'tan',
  ctg: 'cot',
  cosec: 'csc',
  lg: 'log',
};
const KNOWN_FUNCTIONS =
  'sin cos tan sec csc cot asin acos atan acot asec acsc sinh cosh tanh sech csch coth ln log exp gcd lcm max min det'.split(
    ' ',
  );

/** The name of a function, where a word is one. */
export function functionNamed(word: string): string | undefined {
  if (Object.hasOwn(FUNCTION_NAMES, word)) return FUNCTION_NAMES[word];
  return KNOWN_FUNCTIONS.includes(word) ? word : undefined;
}

/** Symbols that are called by a word. */
export const SYMBOLS: Readonly<Record<string, string>> = {
  pi: 'pi',
  infty: 'infinity',
  infinity: 'infinity',
  emptyset: 'empty',
  varnothing: 'empty',
  varepsilon: 'epsilon',
  varphi: 'phi',
  vartheta: 'theta',
  ell: 'l',
  hbar: 'hbar',
};

/** Operators by their commands. */
export const OPERATORS: Readonly<Record<string, string>> = {
  cdot: '*',
  times: '*',
  ast: '*',
  div: '/',
  pm: '+-',
  mp: '-+',
  le: '<=',
  leq: '<=',
  leqslant: '<=',
  leqq: '<=',
  ge: '>=',
  geq: '>=',
  geqslant: '>=',
  geqq: '>=',
  lt: '<',
  gt: '>',
  ne: '!=',
  neq: '!=',
  approx: '~',
  simeq: '~',
  cong: '~',
  doteq: '~',
  in: 'in',
  equiv: 'other',
  sim: 'other',
  to: 'other',
  rightarrow: 'other',
  Rightarrow: 'other',
  implies: 'other',
  iff: 'other',
  propto: 'other',
  mid: 'other',
  parallel: 'other',
  perp: 'other',
  subset: 'other',
  subseteq: 'other',
  cup: 'union',
  cap: 'intersection',
  setminus: 'difference',
  backslash: 'difference',
  colon: ':',
  prime: "'",
  lvert: '|',
  rvert: '|',
  vert: '|',
  langle: '(',
  rangle: ')',
  lparen: '(',
  rparen: ')',
  lbrack: '[',
  rbrack: ']',
  lbrace: '\\{',
  rbrace: '\\}',
};

/** Units that stand behind numbers without `\text`. One letter alone may as well be a variable. */
const UNITS: ReadonlySet<string> = new Set(
  (
    'mm cm dm km ft inch inches foot feet yard yards yd mile miles meter meters metre metres centimeter centimeters ' +
    'millimeter millimeters kilometer kilometers mg kg gram grams kilogram kilograms pound pounds lb lbs ounce ounces oz ' +
    'ml liter liters litre litres gallon gallons hr hrs hour hours minute minutes second seconds ms day days week weeks ' +
    'month months year years mph kph degree degrees unit units dollar dollars cent cents euro euros usd eur yuan rad ' +
    'radian radians newton newtons joule joules watt watts kw kwh volt volts pascal kpa hz khz mhz ghz kelvin mol people ' +
    'students books times ways square cubic'
  ).split(' '),
);

export function isUnit(word: string): boolean {
  return UNITS.has(word.toLowerCase());
}

export function isPercent(word: string): boolean {
  return /^(?:percent|percentage|pct)$/i.test(word);
}

/** Words and marks between the elements of a list. */
export function isSeparator(words: string): boolean {
  return /^(?:[\s,;]*(?:and|or|und|et|oder)?[\s,;]*)$/i.test(words) && /[^\s]/.test(words);
}
