import { setBackend, tensor1d, tensor2d } from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { oracle } from '../src/index.js';

test('the oracle is part of the public API and runs on any tfjs backend', async () => {
  await setBackend('cpu');
  const scores = oracle.tokenScores(
    tensor2d([[1, 2]]),
    tensor2d([
      [1, 0],
      [0, 1],
      [0, 0],
    ]),
    tensor1d([1], 'int32'),
  );
  const logits = [1, 2, 0];
  const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  expect(scores.logps.dataSync()[0]).toBeCloseTo(2 - logSum, 5);
  expect(scores.correct.dataSync()[0]).toBe(1);
});
