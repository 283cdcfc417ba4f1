/** The two ways to a loss and its gradient: one operation, and what a GPU computes the same at each run. */

import { describe, expect, it } from 'vitest';
import { type CrossEntropy, inOne, inParts } from '../../src/kernels/cross-entropy.js';
import type { GraphBuilder, GraphValue } from '../../src/runtime/graph-function.js';
import { defineNamed } from '../../src/runtime/named-function.js';
import { runsOnGpu } from '../../src/runtime/runtime.js';
import { worstError } from '../support/worst-error.js';
import { evaluate, integers, normal, type Value } from './support.js';

type Way = (g: GraphBuilder, logits: GraphValue, labels: GraphValue) => CrossEntropy;

function run(way: Way, logits: Value, labels: readonly number[]) {
  const fn = defineNamed('cross_entropy', { z: 'float32', labels: 'int32' }, (g, v) => ({
    ...way(g, v.z!, v.labels!),
  }));
  return evaluate(fn, { z: logits, labels: integers(labels) });
}

describe('the cross-entropy in parts', () => {
  it('is that of one operation', ({ skip }) => {
    skip(runsOnGpu(), 'a GPU has no deterministic operation for it');
    const [logits, labels] = [normal([5, 300], { scale: 4 }), [0, 299, 7, 7, 123]];
    const [one, parts] = [run(inOne, logits, labels), run(inParts, logits, labels)];
    expect(worstError(parts.loss!, one.loss!)).toBeLessThan(1e-6);
    expect(worstError(parts.negativeGradient!, one.negativeGradient!)).toBeLessThan(1e-6);
  });

  it('holds numbers where one token takes all', () => {
    const logits: Value = { dtype: 'float32', shape: [2, 3], data: [1e4, 0, -1e4, 1e4, 0, -1e4] };
    const { loss, negativeGradient } = run(inParts, logits, [0, 2]);
    expect(loss!.map(Math.abs)).toEqual([0, 2e4]);
    expect(negativeGradient!.map(Math.abs)).toEqual([0, 0, 0, 1, 0, 1]);
  });
});
