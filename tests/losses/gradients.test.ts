import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { bradleyTerryLoss } from '../../src/losses/bradley-terry-loss.js';
import { dpoLoss } from '../../src/losses/dpo-loss.js';
import { dpoLossAndGradient, dpoLossFromTokens } from '../../src/losses/dpo-loss-from-tokens.js';
import { sftLoss } from '../../src/losses/sft-loss.js';
import {
  centralDifferences,
  exampleTokens,
  inTensors,
  OPTIONS_OF_EACH_TYPE,
  relativeError,
  titleOf,
} from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

describe('gradients are those of central differences', () => {
  const tokens = exampleTokens();

  it.each(
    OPTIONS_OF_EACH_TYPE.filter(({ useWeighting }) => !useWeighting).map((o) => [titleOf(o), o] as const),
  )('dpoLossFromTokens %s', (_, options) => {
    const { policyLogpsGradient } = dpoLossAndGradient(inTensors(tokens), options);
    const expected = centralDifferences(
      (policyLogps) => dpoLossFromTokens({ ...tokens, policyLogps }, options).loss,
      tokens.policyLogps,
    );
    expect(expected.some((g) => Math.abs(g) > 1e-4)).toBe(true);
    expect(relativeError(policyLogpsGradient.dataSync(), expected)).toBeLessThan(2e-5);
  });

  it('dpoLossFromTokens with useWeighting: the weights are held fixed', () => {
    const options = { useWeighting: true };
    const { policyLogpsGradient } = dpoLossAndGradient(inTensors(tokens), options);
    // The weighted losses are a fixed weight times the plain ones, so each pair's gradient is scaled by it.
    const plain = dpoLossAndGradient(inTensors(tokens), {});
    const weighted = dpoLossFromTokens(tokens, options).losses;
    const unweighted = dpoLossFromTokens(tokens, {}).losses;
    const expected = Array.from(plain.policyLogpsGradient.dataSync(), (g, m) => {
      const pair = tokens.completionSegments[m]! >> 1;
      return (g * weighted[pair]!) / unweighted[pair]!;
    });
    expect(relativeError(policyLogpsGradient.dataSync(), expected)).toBeLessThan(1e-6);
  });

  it('dpoLoss, for each of its inputs', () => {
    const inputs = [
      [-3, -9, -1.5],
      [-4, -2, -1],
      [-3.5, -8, -2],
      [-3, -3, -2.5],
    ] as [number[], number[], number[], number[]];
    const options = { beta: 0.7 };
    const gradients = tf.grads((a, b, c, d) => dpoLoss(a!, b!, c!, d!, options).losses.sum())(
      inputs.map((x) => tf.tensor1d(x)),
    );
    gradients.forEach((gradient, k) => {
      const f = (x: number[]) => {
        const [a, b, c, d] = inputs.with(k, x) as typeof inputs;
        return sum(dpoLoss(a, b, c, d, options).losses);
      };
      expect(relativeError(gradient.dataSync(), centralDifferences(f, inputs[k]!))).toBeLessThan(1e-5);
    });
  });

  it('sftLoss and bradleyTerryLoss', () => {
    const logps = [-1, -0.5, -3];
    const completionMask = [1, 0, 1];
    const sft = tf.grad((x) => sftLoss(x, { completionMask }))(tf.tensor1d(logps));
    expect(relativeError(sft.dataSync(), [-0.5, 0, -0.5])).toBeLessThan(1e-6);

    const [chosen, rejected] = [
      [1, -2, 0.5],
      [0.3, -1, 2],
    ];
    const options = { margin: [0, 1, -0.5], centerRewardsCoefficient: 0.1 };
    const f = (x: number[]) => sum(bradleyTerryLoss(x, rejected!, options));
    const gradient = tf.grad((x) => bradleyTerryLoss(x, tf.tensor1d(rejected!), options).sum())(
      tf.tensor1d(chosen!),
    );
    expect(relativeError(gradient.dataSync(), centralDifferences(f, chosen!))).toBeLessThan(1e-5);
  });
});
