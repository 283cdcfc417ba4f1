/** Logistic regression on few features. */
import { ShapeError } from '../../errors.js';

export interface LogisticData {
  /** A row of features for each observation; all of one length. */
  features: readonly (readonly number[])[];
  /** What is to be predicted, in [0, 1]: a probability, not only 0 or 1. */
  targets: readonly number[];
  /** How much each observation counts. Default: 1 each. */
  weights?: readonly number[];
}

export interface LogisticOptions {
  /** Of the sum of the coefficients' absolute values; 1 / C of scikit-learn. Default 0. */
  l1Penalty?: number;
  /** Where to start. Default: zeros. */
  start?: readonly number[];
}

const MAX_SWEEPS = 1000;
const TOLERANCE = 1e-7;

/**
 * The coefficients that minimize `sum_i w_i (softplus(z_i) - q_i z_i) + l1 |c|_1`, `z = X c`, without an intercept but for
 * a feature that is 1: Newton steps on one coefficient at a time, halved until they help.
 *
 * @throws ShapeError where features, targets and weights differ in length
 */
export function fitLogistic(data: LogisticData, { l1Penalty = 0, start }: LogisticOptions = {}): number[] {
  const { features, targets } = data;
  const weights = data.weights ?? targets.map(() => 1);
  const width = features[0]?.length ?? 0;
  if (features.length !== targets.length || weights.length !== targets.length) {
    throw new ShapeError(
      `Expected as many targets and weights as rows of features, got ${targets.length} and ${weights.length} for ${features.length}.`,
    );
  }
  const columns = Array.from({ length: width }, (_, j) =>
    Float64Array.from(features, (row) => row[j] ?? Number.NaN),
  );
  const coefficients = Array.from({ length: width }, (_, j) => start?.[j] ?? 0);
  const z = Float64Array.from(features, (row) =>
    row.reduce((sum, x, j) => sum + x * (coefficients[j] as number), 0),
  );
  const problem: Problem = { columns, targets, weights, z, l1Penalty };
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let change = 0;
    for (let j = 0; j < width; j++) {
      const before = coefficients[j] as number;
      const step = bestStep(problem, j, before);
      coefficients[j] = before + step;
      change = Math.max(change, Math.abs(step));
    }
    if (change < TOLERANCE) break;
  }
  return coefficients;
}

/** `1 / (1 + exp(-z))`, without overflow. */
export function logistic(z: number): number {
  return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
}

/** `log(1 + exp(z))`, without overflow. */
export function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

interface Problem {
  columns: readonly Float64Array[];
  targets: readonly number[];
  weights: readonly number[];
  /** Of the coefficients as they are. */
  z: Float64Array;
  l1Penalty: number;
}

/** Takes the step on one coefficient: `z` is brought up to date, and the step returned. */
function bestStep(
  { columns, targets, weights, z, l1Penalty }: Problem,
  j: number,
  coefficient: number,
): number {
  const column = columns[j] as Float64Array;
  let gradient = 0;
  let curvature = 1e-12;
  for (let i = 0; i < z.length; i++) {
    const p = logistic(z[i] as number);
    const [x, w] = [column[i] as number, weights[i] as number];
    gradient += w * (p - (targets[i] as number)) * x;
    curvature += w * p * (1 - p) * x * x;
  }
  const wanted = shrink(coefficient - gradient / curvature, l1Penalty / curvature);
  const loss = (step: number) => {
    let sum = l1Penalty * Math.abs(coefficient + step);
    for (let i = 0; i < z.length; i++) {
      const next = (z[i] as number) + step * (column[i] as number);
      sum += (weights[i] as number) * (softplus(next) - (targets[i] as number) * next);
    }
    return sum;
  };
  const before = loss(0);
  let step = wanted - coefficient;
  while (Math.abs(step) > TOLERANCE && !(loss(step) <= before)) step /= 2;
  for (let i = 0; i < z.length; i++) z[i] = (z[i] as number) + step * (column[i] as number);
  return step;
}

function shrink(value: number, by: number): number {
  return Math.sign(value) * Math.max(0, Math.abs(value) - by);
}
