/** Final answers of solutions: finding them, and telling whether two are the same. */

/** How PRM800K's solutions of the second phase end: a heading and the answer. */
const ANSWER_HEADING = /(?:^|\n)[ \t]*#[ \t]*Answer[ \t]*\n+([\s\S]*)$/;

/** A step's text, and the final answer that stands below it under PRM800K's heading. */
export function splitAnswer(text: string): { text: string; answer?: string } {
  const heading = ANSWER_HEADING.exec(text);
  const answer = heading?.[1]?.trim();
  if (heading === null || answer === undefined || answer === '') return { text: text.trim() };
  return { text: text.slice(0, heading.index).trim(), answer };
}

/** What stands in the last `\boxed{}` of a text, braces matched; undefined where there is none. */
export function boxedAnswer(text: string): string | undefined {
  const start = text.lastIndexOf('\\boxed{');
  if (start === -1) return undefined;
  const first = start + '\\boxed{'.length;
  let depth = 1;
  for (let i = first; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return text.slice(first, i).trim();
  }
  return undefined;
}

/**
 * Whether two answers are written alike, once what does not matter is taken away: dollar signs, spaces, braces around
 * single characters, `\left` and `\right`, kinds of fractions and text, units of degrees and percent, commas between
 * thousands; and decimal numbers compare by value. Careful: `1/2` and `0.5` are not the same here.
 */
export function sameAnswer(left: string, right: string): boolean {
  const [a, b] = [normalize(left), normalize(right)];
  if (a === b) return true;
  return isNumber(a) && isNumber(b) && Number(a) === Number(b);
}

function isNumber(text: string): boolean {
  return /^-?(?:\d+\.?\d*|\.\d+)$/.test(text) && text.length <= 15;
}

/** What is replaced in turn. */
const REPLACEMENTS: readonly [RegExp, string][] = [
  [/\\(?:left|right|big|Big|displaystyle|quad|qquad)(?![a-zA-Z])|\\[!,;: ]/g, ''],
  [/\\(?:text|mbox|mathrm|textbf|mathbf|textit)\{([^{}]*)\}/g, '$1'],
  [/\\[dt]frac/g, '\\frac'],
  [/\\\$|\$|~/g, ''],
  [/\^\{?\\circ\}?|\\degree|°/g, ''],
  [/\\?%/g, ''],
  [/\s+/g, ''],
  // \frac12 is \frac{1}{2}.
  [/\\frac(\d)(\d)/g, '\\frac{$1}{$2}'],
  [/\\frac(\d)\{/g, '\\frac{$1}{'],
  [/\\sqrt(\w)/g, '\\sqrt{$1}'],
  [/([_^])\{(\w)\}/g, '$1$2'],
  [/(\d),(?:\\!)?(?=\d{3}(?!\d))/g, '$1'],
  [/[.。]$/, ''],
];

function normalize(answer: string): string {
  const bare = boxedAnswer(answer) ?? answer;
  const plain = REPLACEMENTS.reduce((text, [from, to]) => text.replace(from, to), bare.trim());
  // "x = 5" answers what "5" does.
  return plain.replace(/^[a-zA-Z]=(?=[^=]+$)/, '').replace(/^\{(.*)\}$/, '$1');
}
