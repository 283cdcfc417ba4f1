import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import type { DpoTokens } from '../../src/losses/dpo-loss-from-tokens.js';
import type { DpoOptions } from '../../src/losses/dpo-options.js';
import { DPO_LOSS_TYPES } from '../../src/losses/dpo-options.js';

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/losses/${name}`, import.meta.url), 'utf8')) as T;
}

/** One case of TRL's loss: options by its names, the loss, its metrics, and d loss / d policy_logps. */
export interface TrlCase {
  options: Record<string, unknown>;
  loss: number;
  metrics: Record<string, number>;
  token_gradients: number[];
}

export interface TrlCases {
  /** [chosen, rejected] of each pair */
  lengths: [number, number][];
  policy_logps: number[];
  reference_logps: number[];
  policy_log_sum_squares: number[];
  cases: TrlCase[];
}

/** TRL's keys in camelCase. */
export function camelCased(options: Record<string, unknown>): DpoOptions {
  const camel = (key: string) => key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
}

/** Segments of responses of these lengths, packed in order. */
export function segmentsOf(lengths: readonly number[]): Int32Array {
  return Int32Array.from(lengths.flatMap((length, segment) => new Array<number>(length).fill(segment)));
}

/** Options under which each loss type is defined, and a few that change what it computes. */
export const OPTIONS_OF_EACH_TYPE: readonly DpoOptions[] = [
  ...DPO_LOSS_TYPES.map((lossType) => ({
    lossType,
    ...(lossType === 'exo_pair' && { labelSmoothing: 0.01 }),
  })),
  ...(['sigmoid', 'robust', 'aot', 'aot_unpaired'] as const).map((lossType) => ({
    lossType,
    labelSmoothing: 0.2,
  })),
  ...(['forward_kl', 'js_divergence', 'alpha_divergence'] as const).flatMap((fDivergenceType) =>
    (['sigmoid', 'sigmoid_norm', 'ipo', 'discopop'] as const).map((lossType) => ({
      lossType,
      fDivergenceType,
    })),
  ),
  { fDivergenceType: 'alpha_divergence', fAlphaDivergenceCoef: 1.5 },
  { ldAlpha: 0.3 },
  { lossType: ['sft', 'sigmoid_norm'], ldAlpha: 0 },
  {
    lossType: ['sigmoid', 'sft', 'nca_pair'],
    lossWeights: [0.7, 0.2, 0.1],
    useWeighting: true,
    ldAlpha: 0.6,
  },
];

export function titleOf(options: object): string {
  return JSON.stringify(options).replaceAll('"', '');
}

/** Tokens whose log-ratios are around 0, with responses of different lengths. */
export function exampleTokens(): DpoTokens<number[]> {
  const lengths = [3, 2, 1, 4, 5, 5];
  const count = lengths.reduce((a, b) => a + b, 0);
  const wave = (phase: number) =>
    Array.from({ length: count }, (_, i) => -1.5 + Math.sin(1 + i * 2.3 + phase));
  return {
    policyLogps: wave(0),
    referenceLogps: wave(0.7),
    policyLogSumSquares: wave(2).map((x) => x - 1),
    completionSegments: segmentsOf(lengths),
    pairCount: lengths.length / 2,
  };
}

export function inTensors(tokens: DpoTokens<number[]>): DpoTokens<tf.Tensor> {
  const { policyLogSumSquares, ...rest } = tokens;
  return {
    ...rest,
    policyLogps: tf.tensor1d(tokens.policyLogps),
    referenceLogps: tf.tensor1d(tokens.referenceLogps),
    ...(policyLogSumSquares && { policyLogSumSquares: tf.tensor1d(policyLogSumSquares) }),
  };
}

/** Largest of |a - b| over the larger of 1 and |b|. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  const errors = Array.from(expected, (b, i) => Math.abs(actual[i]! - b) / Math.max(1, Math.abs(b)));
  return errors.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(...errors);
}

/** `d f / d x`, by central differences of a float64 function. */
export function centralDifferences(f: (x: number[]) => number, x: number[], step = 1e-5): number[] {
  const at = (i: number, delta: number) => f(x.map((value, j) => (i === j ? value + delta : value)));
  return x.map((_, i) => (at(i, step) - at(i, -step)) / (2 * step));
}

/** Runs `work` and gives back how many more tensors there are than before, less those it returned. */
export function leakedTensors(work: () => tf.TensorContainer): number {
  const before = tf.memory().numTensors;
  tf.dispose(work());
  return tf.memory().numTensors - before;
}
