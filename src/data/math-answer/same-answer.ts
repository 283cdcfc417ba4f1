/** Whether two written answers mean the same. */
import { MAX_ANSWER_CHARACTERS, MAX_COMPARISON_STEPS, MAX_ITEMS } from './limits.js';
import { parseAnswer } from './parser.js';
import { essence } from './plain-text.js';
import { decimalReadings, readingsOf } from './readings.js';
import { sameSets } from './real-set.js';
import { conclusionOf, sameRelation } from './relation.js';
import { type ComparisonContext, sameExpression } from './same-expression.js';
import { solutionSet } from './solution-set.js';
import { contains, type MathNode, type MathSequence, mapChildren } from './syntax.js';
import { sameUnits } from './units.js';

export interface SameAnswerOptions {
  /**
   * Values that are not both whole numbers are the same where they differ by at most `10^-digits` of the larger one, so
   * that a decimal number may stand for a fraction or root. Default 6.
   */
  digits?: number;
}

/**
 * Whether two answers mean the same, as well as that can be told without the question: `1/2`, `0.5`, `\frac12` and
 * `50\%`; `x = 5` and `5`; `(2, 7]` and `2 < x \le 7`; `3, -1` and `\{-1, 3\}`; `x(x+1)` and `x^2 + x`. Fractions, powers,
 * roots, functions, sums, matrices, tuples, intervals, sets, signs of both kinds, equations and inequalities, numbers
 * with thousands in groups and units are understood, in LaTeX or as people type them; words are compared as words.
 *
 * It is lenient in what is a matter of form: the order of a list, the name before an equals sign, a unit that only one
 * has, percent as number or share. It is symmetric, and every answer means what it says itself. The work is bounded
 * (`limits.ts`): what is too long or deep to be understood is compared character by character.
 */
export function sameAnswer(left: string, right: string, { digits = 6 }: SameAnswerOptions = {}): boolean {
  if (left.length > MAX_ANSWER_CHARACTERS || right.length > MAX_ANSWER_CHARACTERS)
    return left.trim() === right.trim();
  const [a, b] = [essence(left), essence(right)];
  if (a === b) return a !== '' || left.trim() === right.trim();
  const context = { digits, steps: { left: MAX_COMPARISON_STEPS } };
  const [lefts, rights] = [left, right].map((text) =>
    [...readingsOf(text), ...decimalReadings(text)].map(parseAnswer),
  ) as [Readings, Readings];
  return lefts.some(
    (x) => x !== undefined && rights.some((y) => y !== undefined && sameMeaning(x, y, context)),
  );
}

type Readings = (MathNode | undefined)[];

function sameMeaning(left: MathNode, right: MathNode, context: ComparisonContext): boolean {
  context.steps.left -= 2;
  if (context.steps.left <= 0) return false;
  if (left.kind === 'relation' && right.kind === 'relation' && sameRelation(left, right, context))
    return true;
  const [a, b] = [conclusionOf(left), conclusionOf(right)];
  return sameElements(a, b, context) || sameSolutions(a, b, context);
}

/** Intervals, sets and inequalities as the numbers that they hold; two lists of numbers are left to the elements. */
function sameSolutions(left: MathNode, right: MathNode, { steps, digits }: ComparisonContext): boolean {
  if ([left, right].every(({ kind }) => kind !== 'sets' && kind !== 'relation')) return false;
  const [a, b] = [solutionSet(left, steps), solutionSet(right, steps)];
  return a !== undefined && b !== undefined && sameSets(a, b, 10 ** -digits);
}

function sameElements(left: MathNode, right: MathNode, context: ComparisonContext): boolean {
  const [a, b] = [elementsOf(left), elementsOf(right)];
  if (a.kind === 'sequence' && b.kind === 'sequence') return sameSequences(a, b, context);
  if (a.kind === 'sequence' && b.kind === 'matrix') return sameVector(a, b, context);
  if (b.kind === 'sequence' && a.kind === 'matrix') return sameVector(b, a, context);
  if (a.kind === 'sequence' || b.kind === 'sequence') return false;
  return sameSingle(a, b, context);
}

/**
 * Signs of both kinds as the list of both values, a list within a list as part of it, and a list of one as that one. What
 * would become more than {@link MAX_ITEMS} stays as it is.
 */
function elementsOf(node: MathNode): MathNode {
  if (node.kind === 'sequence' && isUnordered(node)) {
    const items = node.items.flatMap((item) => {
      const element = elementsOf(conclusionOf(item));
      return element.kind === 'sequence' && element.open === '' ? element.items : [element];
    });
    if (items.length > MAX_ITEMS) return node;
    return items.length === 1 ? (items[0] as MathNode) : { ...node, items };
  }
  if (!contains(node, isPlusMinus)) return node;
  const items = ([1, -1] as const).map((sign) => withSign(node, sign));
  return { kind: 'sequence', open: '', close: '', items };
}

function isPlusMinus({ kind }: MathNode): boolean {
  return kind === 'plus-minus';
}

function withSign(node: MathNode, sign: 1 | -1): MathNode {
  if (node.kind !== 'plus-minus') return mapChildren(node, (child) => withSign(child, sign));
  const of = withSign(node.of, sign);
  return node.upper === sign ? of : { kind: 'negative', of };
}

function isUnordered({ open }: MathSequence): boolean {
  return open === '' || open === '{';
}

function sameSequences(left: MathSequence, right: MathSequence, context: ComparisonContext): boolean {
  if (isUnordered(left) && isUnordered(right)) return sameInAnyOrder(left.items, right.items, context);
  if (left.items.length !== right.items.length) return false;
  // A list may be a tuple without its brackets, but a set is none.
  if (isUnordered(left) !== isUnordered(right) && [left, right].some(({ open }) => open === '{'))
    return false;
  // Of two the brackets say whether the ends belong to it; of more they are a matter of taste.
  const isPair = left.items.length === 2 && !isUnordered(left) && !isUnordered(right);
  if (isPair && (left.open !== right.open || left.close !== right.close)) return false;
  return left.items.every((item, index) => sameMeaning(item, right.items[index] as MathNode, context));
}

/** Each of either list is one of the other: what is named twice is there once. */
function sameInAnyOrder(
  left: readonly MathNode[],
  right: readonly MathNode[],
  context: ComparisonContext,
): boolean {
  const missing = new Set(right);
  for (const item of left) {
    const same = right.filter((other) => sameMeaning(item, other, context));
    if (same.length === 0) return false;
    for (const other of same) missing.delete(other);
  }
  return missing.size === 0;
}

/** A tuple, and a matrix of one column or row. */
function sameVector(
  sequence: MathSequence,
  { rows }: MathNode & { kind: 'matrix' },
  context: ComparisonContext,
): boolean {
  const isVector = rows.length === 1 || rows.every((row) => row.length === 1);
  const elements = rows.flat();
  return (
    isVector &&
    !isUnordered(sequence) &&
    elements.length === sequence.items.length &&
    elements.every((element, index) => sameMeaning(element, sequence.items[index] as MathNode, context))
  );
}

function sameSingle(left: MathNode, right: MathNode, context: ComparisonContext): boolean {
  if (left.kind === 'text' || right.kind === 'text') return sameWords(left, right);
  if (left.kind === 'based' || right.kind === 'based') {
    return (
      left.kind === 'based' &&
      right.kind === 'based' &&
      left.base === right.base &&
      sameDigits(left.digits, right.digits)
    );
  }
  if (left.kind === 'ratio' && right.kind === 'ratio') return sameRatio(left.parts, right.parts, context);
  if (left.kind === 'sets' && right.kind === 'sets') {
    const same = left.operator === right.operator && left.operator !== 'difference';
    return same && sameInAnyOrder(left.parts, right.parts, context);
  }
  if (left.kind === 'measure' && right.kind === 'measure') return sameUnits(left, right, context);
  if (left.kind === 'percent' || right.kind === 'percent') {
    const bare = (node: MathNode) => (node.kind === 'percent' ? node.of : node);
    if (sameExpression(bare(left), bare(right), context)) return true;
  }
  return sameExpression(left, right, context);
}

function sameWords(left: MathNode, right: MathNode): boolean {
  const word = (node: MathNode) =>
    node.kind === 'text' ? essence(node.text) : node.kind === 'symbol' ? node.name : undefined;
  const [a, b] = [word(left), word(right)];
  return a !== undefined && a === b;
}

function sameDigits(left: string, right: string): boolean {
  return left.replace(/^0+(?=\w)/, '') === right.replace(/^0+(?=\w)/, '');
}

/** Proportional; a time of the day, whose minutes are two digits, is compared part by part. */
function sameRatio(
  left: readonly MathNode[],
  right: readonly MathNode[],
  context: ComparisonContext,
): boolean {
  if (left.length !== right.length) return false;
  const isTime = [left, right].some((parts) =>
    parts.slice(1).every((part) => part.kind === 'number' && /^[0-5]\d$/.test(part.digits)),
  );
  const [first, ...others] = left as [MathNode, ...MathNode[]];
  const [scale] = right as [MathNode];
  if (isTime) return left.every((part, index) => sameExpression(part, right[index] as MathNode, context));
  return others.every((part, index) =>
    sameExpression(
      { kind: 'product', factors: [part, scale] },
      { kind: 'product', factors: [right[index + 1] as MathNode, first] },
      context,
    ),
  );
}
