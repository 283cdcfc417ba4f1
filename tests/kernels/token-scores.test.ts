import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { tokenScores as oracleScores } from '../../src/kernels/oracle/token-scores.js';
import { tokenScores } from '../../src/kernels/token-logps.js';
import { defineNamed, type NamedFunction } from '../../src/runtime/named-function.js';
import { worstError } from '../support/worst-error.js';
import { evaluate, integers, normal, type Value } from './support.js';

const NAMES = ['logps', 'meanLogits', 'entropy', 'logSumSquares', 'correct'] as const;

let fn: NamedFunction;

beforeAll(async () => {
  await tf.setBackend('cpu');
  fn = defineNamed('scores', { h: 'float32', e: 'float32', labels: 'int32' }, (g, v) => ({
    ...tokenScores(g, v.h!, v.e!, v.labels!).scores,
  }));
});

describe('the scores of tokens', () => {
  const labels = [2, 0, 8, 5, 5, 1];
  const h = normal([6, 4]);
  const e = normal([9, 4], { scale: 2 });

  it('are those of the oracle', () => {
    const actual = evaluate(fn, { h, e, labels: integers(labels) });
    tf.tidy(() => {
      const matrix = ({ data, shape }: Value) => tf.tensor2d(data, shape as [number, number]);
      const expected = oracleScores(matrix(h), matrix(e), tf.tensor1d(labels, 'int32'));
      for (const name of NAMES) {
        expect(worstError(actual[name]!, expected[name].dataSync()), name).toBeLessThan(1e-5);
      }
    });
  });

  it('say which labels are the likeliest tokens', () => {
    const all = Array.from({ length: 9 }, (_, label) => label);
    const repeated = { ...h, shape: [9, 4], data: all.flatMap(() => h.data.slice(0, 4)) };
    const { correct, logps } = evaluate(fn, { h: repeated, e, labels: integers(all) });
    const likeliest = logps!.indexOf(Math.max(...logps!));
    expect(correct).toEqual(all.map((label) => (label === likeliest ? 1 : 0)));
  });

  it('of even odds are log V', () => {
    const even = { ...h, data: h.data.map(() => 0) };
    const { logps, entropy, logSumSquares, meanLogits } = evaluate(fn, {
      h: even,
      e,
      labels: integers(labels),
    });
    for (const i of labels.keys()) {
      expect(logps![i]).toBeCloseTo(-Math.log(9), 6);
      expect(entropy![i]).toBeCloseTo(Math.log(9), 6);
      expect(logSumSquares![i]).toBeCloseTo(-Math.log(9), 6);
      expect(meanLogits![i]).toBe(0);
    }
  });

  it('are numbers where one token takes all', () => {
    const certain: Value = { dtype: 'float32', shape: [2, 1], data: [1e4, -1e4] };
    const table: Value = { dtype: 'float32', shape: [3, 1], data: [1, 0, -1] };
    const scores = evaluate(fn, { h: certain, e: table, labels: integers([0, 0]) });
    expect(scores.logps!.map(Math.abs)).toEqual([0, 2e4]);
    expect(scores.entropy!.map(Math.abs)).toEqual([0, 0]);
    expect(scores.logSumSquares!.map(Math.abs)).toEqual([0, 0]);
    expect(scores.correct).toEqual([1, 0]);
  });
});
