/** The real numbers that an answer speaks of: intervals, sets, unions of them, inequalities in one unknown. */
import { evaluateAt, type Steps } from './evaluate.js';
import {
  ALL_REALS,
  complementOf,
  intersectionOf,
  mirrored,
  type Piece,
  type RealSet,
  unionOf,
} from './real-set.js';
import { pointOf } from './same-expression.js';
import {
  contains,
  isClosed,
  type MathNode,
  type MathRelation,
  mapChildren,
  type RelationOperator,
} from './syntax.js';

/** Undefined where it is nothing of the kind, or an end is no number. */
export function solutionSet(node: MathNode, steps: Steps): RealSet | undefined {
  switch (node.kind) {
    case 'symbol':
      return node.name === 'reals' ? ALL_REALS : node.name === 'empty' ? [] : undefined;
    case 'sequence':
      return node.open === '{' ? points(node.items, steps) : interval(node, steps);
    case 'sets':
      return combined(node, steps);
    case 'relation':
      return solved(node, steps);
    default:
      return undefined;
  }
}

/** A number; infinite at either end of the line. */
function realNumber(node: MathNode, steps: Steps): number | undefined {
  if (node.kind === 'symbol' && node.name === 'infinity') return Number.POSITIVE_INFINITY;
  if (node.kind === 'negative') {
    const value = realNumber(node.of, steps);
    return value === undefined ? undefined : -value;
  }
  if (!isClosed(node)) return undefined;
  const value = evaluateAt(node, pointOf(0, 1), steps)?.value;
  if (value === undefined || Array.isArray(value) || Math.abs(value.im) > 1e-12) return undefined;
  return Number.isFinite(value.re) ? value.re : undefined;
}

function points(items: readonly MathNode[], steps: Steps): RealSet | undefined {
  const values = items.map((item) => realNumber(item, steps));
  if (!values.every((value) => value !== undefined)) return undefined;
  return unionOf(values.map(pointAt));
}

function pointAt(value: number): Piece {
  return { low: value, high: value, hasLow: true, hasHigh: true };
}

function interval(node: MathNode & { kind: 'sequence' }, steps: Steps): RealSet | undefined {
  if (node.open === '' || node.items.length !== 2) return undefined;
  const [low, high] = node.items.map((item) => realNumber(item, steps));
  if (low === undefined || high === undefined || low > high) return undefined;
  return unionOf([
    {
      low,
      high,
      hasLow: node.open === '[' && Number.isFinite(low),
      hasHigh: node.close === ']' && Number.isFinite(high),
    },
  ]);
}

function combined({ operator, parts }: MathNode & { kind: 'sets' }, steps: Steps): RealSet | undefined {
  const sets = parts.map((part) => solutionSet(part, steps));
  if (!sets.every((set) => set !== undefined)) return undefined;
  if (operator === 'union') return unionOf(sets.flat());
  const [first = [], ...others] = sets;
  return others.reduce(
    (left, right) => intersectionOf(left, operator === 'difference' ? complementOf(right) : right),
    first,
  );
}

/** `-2 <= x < 7`, `2x > 3`, `1 <= |z|`, `x != 3`: what the unknown may be. */
function solved({ sides, operators }: MathRelation, steps: Steps): RealSet | undefined {
  if (operators.length === 1 && operators[0] === 'in') return solutionSet(sides[1] as MathNode, steps);
  if (!operators.every((operator) => /^(?:[<>]=?|!=)$/.test(operator))) return undefined;
  const unknown = unknownOf(sides);
  if (unknown === undefined) return undefined;
  let set: RealSet = ALL_REALS;
  for (const [index, operator] of operators.entries()) {
    const [left, right] = sides.slice(index, index + 2) as [MathNode, MathNode];
    // x < infinity: that holds of every number.
    if ([left, right].some((side) => contains(side, isInfinite))) continue;
    const line = lineOf(left, right, unknown, steps);
    if (line === undefined) return undefined;
    set = intersectionOf(set, halfLine(line, operator));
  }
  if (unknown.kind !== 'call' || unknown.name !== 'abs') return set;
  const positive = intersectionOf(set, halfLine({ slope: 1, offset: 0 }, '>='));
  return unionOf([...positive, ...mirrored(positive)]);
}

/** What may vary: a variable, a function's value or an absolute value, where there is only one such. */
function unknownOf(sides: readonly MathNode[]): MathNode | undefined {
  const found = new Map<string, MathNode>();
  const collect = (node: MathNode): MathNode => {
    const isVariable = node.kind === 'symbol' && !isClosed(node);
    const isCall =
      node.kind === 'call' && (node.name === 'abs' || node.name.startsWith('#')) && !isClosed(node);
    if (!isVariable && !isCall) return mapChildren(node, collect);
    found.set(JSON.stringify(node), node);
    return node;
  };
  for (const side of sides) collect(side);
  const [only, ...others] = found.values();
  return others.length === 0 ? only : undefined;
}

interface Line {
  slope: number;
  offset: number;
}

/** `left - right` as `slope * unknown + offset`, where it is of that form. */
function lineOf(left: MathNode, right: MathNode, unknown: MathNode, steps: Steps): Line | undefined {
  const name = 'unknown of the line';
  const key = JSON.stringify(unknown);
  const replace = (node: MathNode): MathNode =>
    JSON.stringify(node) === key ? { kind: 'symbol', name } : mapChildren(node, replace);
  const [a, b] = [replace(left), replace(right)];
  const difference: MathNode = { kind: 'sum', terms: [a, { kind: 'negative', of: b }] };
  const [y0, y1, y2, y3] = [0, 1, 2, -3.7].map((x) => {
    const value = evaluateAt(difference, () => x, steps)?.value;
    return value === undefined || Array.isArray(value) || Math.abs(value.im) > 1e-12 ? Number.NaN : value.re;
  }) as [number, number, number, number];
  const slope = y1 - y0;
  const isOff = (x: number, y: number) =>
    !(Math.abs(y0 + slope * x - y) <= 1e-9 * Math.max(1, Math.abs(y0), Math.abs(slope)));
  return slope === 0 || isOff(2, y2) || isOff(-3.7, y3) ? undefined : { slope, offset: y0 };
}

function isInfinite(node: MathNode): boolean {
  return node.kind === 'symbol' && node.name === 'infinity';
}

/** Where `slope x + offset` is above or below 0. */
function halfLine({ slope, offset }: Line, operator: RelationOperator): RealSet {
  const end = -offset / slope + 0;
  if (operator === '!=') return complementOf([pointAt(end)]);
  const isAbove = operator.startsWith('>') === slope > 0;
  const closed = operator.endsWith('=');
  return isAbove
    ? [{ low: end, high: Number.POSITIVE_INFINITY, hasLow: closed, hasHigh: false }]
    : [{ low: Number.NEGATIVE_INFINITY, high: end, hasLow: false, hasHigh: closed }];
}
