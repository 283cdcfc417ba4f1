import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { memory } from '../../src/runtime/tensor.js';
import { worstError } from '../support/worst-error.js';
import { KERNELS } from './cases.js';
import {
  centralDifferences,
  evaluateBackward,
  evaluateForward,
  evaluateOracle,
  forwardFunction,
  normal,
  oracleGradients,
  type Value,
} from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Float32 sums of a few products, in another order. */
const FLOAT32 = 1e-5;
/** Fourth-order differences of a float32 function: rounding of 6e-8 over a step of 0.04, and the fifth derivative. */
const DIFFERENCES = 3e-4;

describe.each(KERNELS)('$title', (kernel) => {
  it('is what the oracle computes', () => {
    const expected = evaluateOracle(kernel, 'float32').data;
    expect(worstError(evaluateForward(kernel, 'float32'), expected)).toBeLessThan(FLOAT32);
  });

  it('is so in bfloat16 within its rounding', () => {
    const expected = evaluateOracle(kernel, 'bfloat16').data;
    expect(worstError(evaluateForward(kernel, 'bfloat16'), expected)).toBeLessThan(kernel.bfloat16Tolerance);
  });

  if (kernel.xla) {
    it('gives the same compiled by XLA', () => {
      expect(
        worstError(evaluateForward(kernel, 'float32', true), evaluateForward(kernel, 'float32')),
      ).toBeLessThan(FLOAT32);
    });
  }

  it('leaves no tensor behind', () => {
    const before = memory();
    evaluateForward(kernel, 'float32');
    expect(memory()).toEqual(before);
  });
});

const differentiable = KERNELS.filter(({ backward }) => backward !== undefined).map((kernel) => ({
  title: kernel.title,
  kernel,
}));

describe.each(differentiable)('the gradient of $title', ({ kernel }) => {
  let dy: Value;

  beforeAll(() => {
    dy = normal(evaluateOracle(kernel, 'float32').shape);
  });

  it('is that of the oracle', () => {
    const actual = evaluateBackward(kernel, 'float32', dy);
    const expected = oracleGradients(kernel, 'float32', dy, Object.keys(actual));
    for (const [name, gradient] of Object.entries(actual)) {
      expect(worstError(gradient, expected[name]!), name).toBeLessThan(FLOAT32);
    }
  });

  it('is so in bfloat16 within its rounding', () => {
    const actual = evaluateBackward(kernel, 'bfloat16', dy);
    const expected = oracleGradients(kernel, 'bfloat16', dy, Object.keys(actual));
    for (const [name, gradient] of Object.entries(actual)) {
      expect(worstError(gradient, expected[name]!), name).toBeLessThan(2 * kernel.bfloat16Tolerance);
    }
  });

  it('is the slope of the forward pass', () => {
    const forward = forwardFunction(kernel, 'float32');
    const actual = evaluateBackward(kernel, 'float32', dy);
    for (const [name, gradient] of Object.entries(actual)) {
      const { indices, slopes } = centralDifferences(kernel, forward, dy, name);
      const probed = indices.map((i) => gradient[i]!);
      expect(worstError(probed, slopes), name).toBeLessThan(DIFFERENCES);
    }
  });

  if (kernel.xla) {
    it('is the same compiled by XLA', () => {
      const plain = evaluateBackward(kernel, 'float32', dy);
      for (const [name, gradient] of Object.entries(evaluateBackward(kernel, 'float32', dy, true))) {
        expect(worstError(gradient, plain[name]!), name).toBeLessThan(FLOAT32);
      }
    });
  }

  it('leaves no tensor behind', () => {
    const before = memory();
    evaluateBackward(kernel, 'float32', dy);
    expect(memory()).toEqual(before);
  });
});
