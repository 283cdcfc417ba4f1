/** Exact values: fractions of whole numbers of any, but bounded, length. */
import { algebra, type Fraction } from './algebra.js';
import { MAX_BITS, MAX_FACTORIAL } from './limits.js';
import type { MathNode } from './syntax.js';

/** The value of a node without variables, roots and the like; undefined where it has none, or one that is too long. */
export function exactValue(node: MathNode): Fraction | undefined {
  switch (node.kind) {
    case 'number':
      return exactNumber(node);
    case 'sum':
      return fold(node.terms, (left, right) => left.add(right));
    case 'product':
      return fold(node.factors, (left, right) => left.mul(right));
    case 'negative':
      return exactValue(node.of)?.neg();
    case 'quotient':
      return quotient(exactValue(node.over), exactValue(node.under));
    case 'power':
      return power(exactValue(node.base), exactValue(node.exponent));
    case 'measure':
    case 'degrees':
      return exactValue(node.of);
    case 'call':
      return call(node.name, node.of);
    default:
      return undefined;
  }
}

export function isWhole(value: Fraction): boolean {
  return value.d === 1n;
}

function exactNumber({ digits, exponent }: MathNode & { kind: 'number' }): Fraction | undefined {
  if (Math.abs(exponent) > 1000) return undefined;
  const [whole = '', decimals = ''] = digits.split('.');
  const scale = BigInt(Math.max(decimals.length - exponent, 0));
  const shift = BigInt(Math.max(exponent - decimals.length, 0));
  return fraction(BigInt(`0${whole}${decimals}`) * 10n ** shift, 10n ** scale);
}

function fraction(over: bigint, under: bigint): Fraction {
  return algebra().fraction(over, under);
}

function fold(
  nodes: readonly MathNode[],
  join: (left: Fraction, right: Fraction) => Fraction,
): Fraction | undefined {
  let result: Fraction | undefined;
  for (const node of nodes) {
    const value = exactValue(node);
    if (value === undefined) return undefined;
    result = result === undefined ? value : join(result, value);
    if (isTooLong(result)) return undefined;
  }
  return result;
}

function quotient(over: Fraction | undefined, under: Fraction | undefined): Fraction | undefined {
  if (over === undefined || under === undefined || under.n === 0n) return undefined;
  return over.div(under);
}

function power(base: Fraction | undefined, exponent: Fraction | undefined): Fraction | undefined {
  if (base === undefined || exponent === undefined || !isWhole(exponent)) return undefined;
  if (base.n === 0n) return exponent.s > 0n ? base : undefined;
  if (base.d === 1n && base.n === 1n) return exponent.n % 2n === 0n ? base.mul(base) : base;
  // Before it is computed: 9^9^9 would have 370 million digits.
  if (BigInt(bitsOf(base)) * exponent.n > BigInt(MAX_BITS)) return undefined;
  const times = Number(exponent.n);
  const raised = fraction(
    base.n ** BigInt(times) * (base.s < 0n && times % 2 === 1 ? -1n : 1n),
    base.d ** BigInt(times),
  );
  return exponent.s < 0n ? raised.inverse() : raised;
}

function call(name: string, nodes: readonly MathNode[]): Fraction | undefined {
  const [first, second] = nodes.slice(0, 2).map(exactValue);
  if (first === undefined || nodes.length > 2) return undefined;
  if (name === 'abs') return first.abs();
  if (name === 'factorial') return isSmallCount(first) ? fraction(factorial(first.n), 1n) : undefined;
  if (name !== 'binomial' || second === undefined || !isSmallCount(first) || !isSmallCount(second))
    return undefined;
  if (second.n > first.n) return fraction(0n, 1n);
  return fraction(factorial(first.n), factorial(second.n) * factorial(first.n - second.n));
}

function isSmallCount(value: Fraction): boolean {
  return isWhole(value) && value.s >= 0n && value.n <= BigInt(MAX_FACTORIAL);
}

function factorial(n: bigint): bigint {
  let result = 1n;
  for (let i = 2n; i <= n; i++) result *= i;
  return result;
}

/** Length of numerator or denominator, to within four bits. */
export function bitsOf({ n, d }: Fraction): number {
  return 4 * Math.max(n.toString(16).length, d.toString(16).length);
}

function isTooLong(value: Fraction): boolean {
  return bitsOf(value) > MAX_BITS;
}
