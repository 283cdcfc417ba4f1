/** Whether two expressions have the same value, whatever their variables are. */
import type { Fraction } from './algebra.js';
import { type Evaluated, evaluateAt, hashShare, type MathValue, type Point, type Steps } from './evaluate.js';
import { bitsOf, exactValue, isWhole } from './exact.js';
import { contains, isClosed, type MathNode } from './syntax.js';

export interface ComparisonContext {
  /** Values that differ by less than `10^-digits` of the larger one are the same, unless both are whole numbers. */
  digits: number;
  steps: Steps;
}

/** What looking for exact values counts as; long numbers count more. */
const EXACT_STEPS = 10;
/** Points at which expressions with variables are compared. */
const POINTS = 4;

/**
 * Numbers are compared exactly where both are exact and one is not a decimal approximation; other expressions by their
 * values at {@link POINTS} fixed, irregular points, where two different ones do not agree but by chance. Variables are
 * positive there, so that `sqrt(x^2)` is `x`, unless absolute values occur.
 */
export function sameExpression(left: MathNode, right: MathNode, context: ComparisonContext): boolean {
  if (context.steps.left <= 0) return false;
  const [a, b] = [exactValue(left), exactValue(right)];
  context.steps.left -=
    EXACT_STEPS + [a, b].reduce((sum, x) => sum + (x === undefined ? 0 : bitsOf(x) / 64), 0);
  if (a !== undefined && b !== undefined) return sameNumbers(a, b, context.digits);
  const signs = [left, right].some((node) => contains(node, isUneven)) ? -1 : 1;
  const isNumber = isClosed(left) && isClosed(right);
  let compared = 0;
  for (let index = 0; index < (isNumber ? 1 : POINTS); index++) {
    const point = pointOf(index, signs);
    const x = evaluateAt(left, point, context.steps);
    const y = evaluateAt(right, point, context.steps);
    if (x === undefined || y === undefined) break;
    if (!hasFinite(x.value) || !hasFinite(y.value)) continue;
    if (!closeTo(x, y, context.digits)) return false;
    compared++;
  }
  // What has no value that can be computed, such as 9^9^9, is the same where it is written the same.
  if (compared === 0) return JSON.stringify(left) === JSON.stringify(right);
  return compared >= (isNumber ? 1 : 2);
}

/** Fixed values of variables: from 0.6 to 2.6, with a sign of either kind where `signs` is -1. */
export function pointOf(index: number, signs: 1 | -1): Point {
  return (name) => {
    const value = 0.6 + 2 * hashShare(`${name} at ${index}`);
    return signs === -1 && hashShare(`sign of ${name} at ${index}`) < 0.5 ? -value : value;
  };
}

function isUneven(node: MathNode): boolean {
  return node.kind === 'call' && (node.name === 'abs' || node.name === 'max' || node.name === 'min');
}

function sameNumbers(a: Fraction, b: Fraction, digits: number): boolean {
  if (a.equals(b)) return true;
  if (isWhole(a) && isWhole(b)) return false;
  const [x, y] = [a.valueOf(), b.valueOf()];
  return (
    Number.isFinite(x) &&
    Number.isFinite(y) &&
    isClose(Math.abs(x - y), Math.max(Math.abs(x), Math.abs(y)), digits)
  );
}

function isClose(difference: number, size: number, digits: number): boolean {
  return difference <= 10 ** -digits * size * (1 + 1e-9);
}

function hasFinite(value: MathValue): boolean {
  if (Array.isArray(value)) return value.every((row) => row.every(hasFinite));
  return Number.isFinite(value.re) && Number.isFinite(value.im);
}

function closeTo(left: Evaluated, right: Evaluated, digits: number): boolean {
  const rounding = 1e-13 * Math.max(left.scale, right.scale);
  return closeValues(left.value, right.value, digits, rounding);
}

function closeValues(left: MathValue, right: MathValue, digits: number, rounding: number): boolean {
  if (Array.isArray(left) || Array.isArray(right)) {
    return (
      Array.isArray(left) &&
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((row, i) => {
        const other = right[i] ?? [];
        return (
          row.length === other.length && row.every((x, j) => closeValues(x, other[j]!, digits, rounding))
        );
      })
    );
  }
  const difference = Math.hypot(left.re - right.re, left.im - right.im);
  const size = Math.max(Math.hypot(left.re, left.im), Math.hypot(right.re, right.im));
  return difference <= rounding || isClose(difference, size, digits);
}
