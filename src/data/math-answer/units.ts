/** Values with units. */
import { algebra } from './algebra.js';
import { type ComparisonContext, sameExpression } from './same-expression.js';
import type { MathNode } from './syntax.js';

type Measure = MathNode & { kind: 'measure' };

/**
 * Whether two values with units are the same: `0.5 m` and `50 cm`. Units that are not known, such as apples, are left out
 * of it; known ones of different kinds are not the same.
 */
export function sameUnits(left: Measure, right: Measure, context: ComparisonContext): boolean {
  const [a, b] = [scaleOf(left.unit), scaleOf(right.unit)];
  if (a === undefined || b === undefined) return sameExpression(left.of, right.of, context);
  if (a.dimensions !== b.dimensions) return false;
  return sameExpression(scaled(left.of, a.factor), scaled(right.of, b.factor), context);
}

function scaled(value: MathNode, factor: number): MathNode {
  return {
    kind: 'product',
    factors: [value, { kind: 'number', digits: factor.toPrecision(15), exponent: 0 }],
  };
}

interface Scale {
  /** In SI units. */
  factor: number;
  /** Tells kinds of units apart. */
  dimensions: string;
}

/** A word, with a power behind it or none; it is not given to mathjs's parser as it came. */
const UNIT = /^([a-zA-Z]{1,16})(?:\^([1-9]))?$/;

function scaleOf(written: string): Scale | undefined {
  const [, word, power = '1'] = UNIT.exec(written.replaceAll(/\s|\./g, '')) ?? [];
  if (word === undefined) return undefined;
  try {
    const unit = algebra().unit(1, word) as unknown as { value: number; dimensions: number[] };
    const exponent = Number(power);
    return {
      factor: unit.value ** exponent,
      dimensions: unit.dimensions.map((dimension) => dimension * exponent).join(),
    };
  } catch {
    return undefined;
  }
}
