import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { countSteps, learningRateAt, stepInterval, warmupStepCount } from '../../src/train/schedule.js';

const references = process.env.PERSONA_DPO_REFERENCE_DIR ?? '';

/** From a run of transformers 5.17 under TRL 1.13: cosine, 3 warm-up steps of 12, peak 1e-3. */
const COSINE = [
  0.0, 0.0003333333333333333, 0.0006666666666666666, 0.001, 0.0009698463103929542, 0.000883022221559489,
  0.00075, 0.0005868240888334653, 0.00041317591116653486, 0.0002500000000000001, 0.00011697777844051105,
  3.0153689607045842e-5,
];

describe('learningRateAt', () => {
  test('gives the rates of a cosine run of transformers', () => {
    COSINE.forEach((expected, step) => {
      const rate = learningRateAt(step, {
        learningRate: 1e-3,
        lrSchedulerType: 'cosine',
        warmupSteps: 3,
        maxSteps: 12,
      });
      expect(rate).toBeCloseTo(expected, 15);
    });
  });

  test.skipIf(references === '')(
    'gives the rates of the reference trajectory (needs PERSONA_DPO_REFERENCE_DIR)',
    () => {
      const file = join(references, 'reference/golden/dpo-full-sched.trajectory.json');
      const { steps } = JSON.parse(readFileSync(file, 'utf8')) as { steps: { learning_rate: number }[] };
      expect(steps.map((step) => step.learning_rate)).toEqual(COSINE);
    },
  );

  test('linear falls to zero after the last step', () => {
    const options = { learningRate: 1, lrSchedulerType: 'linear', warmupSteps: 2, maxSteps: 6 } as const;
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((step) => learningRateAt(step, options))).toEqual([
      0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0,
    ]);
  });

  test('constant knows no warm-up, constant_with_warmup does', () => {
    const options = { learningRate: 2, warmupSteps: 2, maxSteps: 4 };
    const rates = (lrSchedulerType: 'constant' | 'constant_with_warmup') =>
      [0, 1, 2, 3].map((step) => learningRateAt(step, { ...options, lrSchedulerType }));
    expect(rates('constant')).toEqual([2, 2, 2, 2]);
    expect(rates('constant_with_warmup')).toEqual([0, 1, 2, 2]);
  });

  test('a warm-up below 1 is a share of all steps, rounded up', () => {
    expect(warmupStepCount(0.1, 25)).toBe(3);
    expect(warmupStepCount(0, 25)).toBe(0);
    expect(warmupStepCount(7, 25)).toBe(7);
    expect(learningRateAt(3, { learningRate: 1, warmupSteps: 0.1, maxSteps: 25 })).toBe(1);
  });

  test('a run that is all warm-up ends below the peak and never divides by zero', () => {
    const options = { learningRate: 1, lrSchedulerType: 'cosine', warmupSteps: 4, maxSteps: 4 } as const;
    expect(learningRateAt(3, options)).toBe(0.75);
    expect(learningRateAt(4, options)).toBe(1);
  });
});

describe('countSteps', () => {
  test('counts unfinished batches and accumulations as steps', () => {
    expect(countSteps(48, { perDeviceTrainBatchSize: 4 })).toEqual({ stepsPerEpoch: 12, maxSteps: 36 });
    const accumulated = { perDeviceTrainBatchSize: 4, gradientAccumulationSteps: 3, numTrainEpochs: 1 };
    expect(countSteps(50, accumulated)).toEqual({ stepsPerEpoch: 5, maxSteps: 5 });
  });

  test('takes fractions of an epoch, and max_steps before epochs', () => {
    expect(countSteps(80, { numTrainEpochs: 0.25 }).maxSteps).toBe(3);
    expect(countSteps(80, { numTrainEpochs: 5, maxSteps: 7 }).maxSteps).toBe(7);
  });

  test('refuses an empty set', () => {
    expect(() => countSteps(0)).toThrow('expected at least one pair to train on, got 0');
  });
});

test('stepInterval reads a value below 1 as a share of all steps', () => {
  expect(stepInterval(10, 37)).toBe(10);
  expect(stepInterval(0.1, 37)).toBe(4);
  expect(stepInterval(0.001, 37)).toBe(1);
});
