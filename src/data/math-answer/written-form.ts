/** Whether two written answers are the same in value and in form. */
import { exactValue, isWhole } from './exact.js';
import { MAX_ANSWER_CHARACTERS, MAX_COMPARISON_STEPS } from './limits.js';
import { parseAnswer } from './parser.js';
import { essence } from './plain-text.js';
import { readingsOf } from './readings.js';
import { type ComparisonContext, sameExpression } from './same-expression.js';
import type { MathNode } from './syntax.js';

/** Digits that a decimal number must have right to be a fraction. */
const DIGITS = 12;

/**
 * Whether an answer is given in the form that was asked for: as PRM800K's grader has it (Lightman et al. 2023). Spaces,
 * layout, dollar, percent and degree signs, units, commas between thousands and a letter with an equals sign before do
 * not matter. Lists, tuples and intervals must have the same brackets and the elements in the same order; where the
 * true answer is a whole number, one must be given, and a fraction must be reduced as it is. Other expressions must have
 * the same value. Nothing else is looked for: no answer in a sentence, no rearranged equation, no decimal comma.
 */
export function sameForm(given: string, truth: string): boolean {
  if (given.length > MAX_ANSWER_CHARACTERS || truth.length > MAX_ANSWER_CHARACTERS) {
    return given.trim() === truth.trim();
  }
  const [a, b] = [essence(given), essence(truth)];
  if (a === b) return a !== '' || given.trim() === truth.trim();
  const context = { digits: DIGITS, steps: { left: MAX_COMPARISON_STEPS } };
  const [lefts, rights] = [given, truth].map((answer) => readingsOf(answer).map(parseAnswer)) as [
    (MathNode | undefined)[],
    (MathNode | undefined)[],
  ];
  return lefts.some(
    (x) => x !== undefined && rights.some((y) => y !== undefined && same(bare(x), bare(y), context)),
  );
}

/** Without what the form does not include: a letter before, a unit or sign behind. */
function bare(node: MathNode): MathNode {
  switch (node.kind) {
    case 'relation': {
      const [left, right] = node.sides as [MathNode, MathNode];
      return node.sides.length === 2 && node.operators[0] === '=' && left.kind === 'symbol'
        ? bare(right)
        : node;
    }
    case 'measure':
    case 'percent':
    case 'degrees':
      return bare(node.of);
    default:
      return node;
  }
}

function same(left: MathNode, right: MathNode, context: ComparisonContext): boolean {
  if (left.kind === 'sequence' && right.kind === 'sequence') {
    return (
      left.open === right.open &&
      left.close === right.close &&
      left.items.length === right.items.length &&
      left.items.every((item, index) => same(bare(item), bare(right.items[index] as MathNode), context))
    );
  }
  if (isLiteralWhole(left) !== isLiteralWhole(right)) return false;
  if (isLiteralFraction(left) && isLiteralFraction(right))
    return JSON.stringify(left) === JSON.stringify(right);
  return sameExpression(left, right, context);
}

/** `12`, `-3`, `5.0`. */
function isLiteralWhole(node: MathNode): boolean {
  if (node.kind === 'negative') return isLiteralWhole(node.of);
  if (node.kind !== 'number') return false;
  const value = exactValue(node);
  return value !== undefined && isWhole(value);
}

function isLiteralFraction(node: MathNode): boolean {
  if (node.kind === 'negative') return isLiteralFraction(node.of);
  return node.kind === 'quotient' && isLiteralWhole(node.over) && isLiteralWhole(node.under);
}
