import type { Arithmetic } from './arithmetic.js';

/** Float64 on plain arrays; touches no tensor library. */
export const plainArithmetic: Arithmetic<number[], number> = {
  constant: (values) => Array.from(values),

  add: (a, b) => zip(a, b, (x, y) => x + y),
  sub: (a, b) => zip(a, b, (x, y) => x - y),
  mul: (a, b) => zip(a, b, (x, y) => x * y),
  div: (a, b) => zip(a, b, (x, y) => x / y),
  neg: (a) => a.map((x) => -x),
  square: (a) => a.map((x) => x * x),
  exp: (a) => a.map(Math.exp),
  expm1: (a) => a.map(Math.expm1),
  atMost: (a, limit) => a.map((x) => Math.min(x, limit)),
  relu: (a) => a.map((x) => Math.max(x, 0)),
  sigmoid: (a) => a.map(sigmoid),
  softplus: (a) => a.map((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  greater: (a, b) => zip(a, b, (x, y) => (x > y ? 1 : 0)),

  mean: (a) => a.reduce((total, x) => total + x, 0) / a.length,
  scale: (a, factor) => a * factor,

  sort: (a) => a.toSorted((x, y) => x - y),
  segmentSums: (a, segments, count) => {
    const sums = new Array<number>(count).fill(0);
    a.forEach((x, m) => {
      const segment = segments[m]!;
      if (segment >= 0) sums[segment]! += x;
    });
    return sums;
  },
  deinterleave: (a) => [a.filter((_, i) => i % 2 === 0), a.filter((_, i) => i % 2 === 1)],
  stopGradient: (a) => a,
};

function zip(a: number[], b: number[] | number, combine: (x: number, y: number) => number): number[] {
  return typeof b === 'number' ? a.map((x) => combine(x, b)) : a.map((x, i) => combine(x, b[i]!));
}

/** Both branches keep the exponent negative, so that small probabilities keep their digits. */
function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}
