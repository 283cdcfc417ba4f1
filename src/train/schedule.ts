import { ConfigError } from '../errors.js';

/** The learning-rate schedules: transformers' `SchedulerType` of the same names. */
export type LrSchedulerType = 'linear' | 'cosine' | 'constant' | 'constant_with_warmup';

export interface ScheduleOptions {
  /** Peak learning rate. */
  learningRate: number;
  /** Default `'linear'`. */
  lrSchedulerType?: LrSchedulerType;
  /** Whole number of steps of warm-up, or a share in [0, 1) of `maxSteps` (rounded up). Default 0. */
  warmupSteps?: number;
  /** All steps of the run. */
  maxSteps: number;
}

/**
 * The learning rate of the update that follows `step` finished updates: `step` is 0 for the first one.
 *
 * With W warm-up steps and S steps in all: `step / W` below W (not for `constant`), then `(S - step) / (S - W)`
 * for `linear`, `(1 + cos(π (step - W) / (S - W))) / 2` for `cosine`, 1 for the other two; times the peak.
 * Source: transformers 5's `get_{linear,cosine,constant}_schedule*`, whose first step under warm-up has rate 0.
 */
export function learningRateAt(step: number, options: ScheduleOptions): number {
  const { learningRate, lrSchedulerType = 'linear', maxSteps } = options;
  const warmup = warmupStepCount(options.warmupSteps ?? 0, maxSteps);
  if (lrSchedulerType === 'constant') return learningRate;
  if (step < warmup) return learningRate * (step / Math.max(1, warmup));
  const rest = Math.max(1, maxSteps - warmup);
  switch (lrSchedulerType) {
    case 'constant_with_warmup':
      return learningRate;
    case 'linear':
      return learningRate * Math.max(0, (maxSteps - step) / rest);
    case 'cosine':
      return learningRate * Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / rest)));
  }
}

/** `warmup_steps` as a number of steps: itself from 1 on, else that share of all steps, rounded up. */
export function warmupStepCount(warmupSteps: number, maxSteps: number): number {
  return warmupSteps >= 1 ? Math.floor(warmupSteps) : Math.ceil(maxSteps * warmupSteps);
}

/**
 * `logging_steps`, `eval_steps` and `save_steps` as a number of steps: a value below 1 is a share of all steps,
 * rounded up.
 */
export function stepInterval(steps: number, maxSteps: number): number {
  return steps < 1 ? Math.max(1, Math.ceil(maxSteps * steps)) : steps;
}

export interface StepCountOptions {
  /** Default 8. */
  perDeviceTrainBatchSize?: number;
  /** Default 1. */
  gradientAccumulationSteps?: number;
  /** Default 3. */
  numTrainEpochs?: number;
  /** Above 0 it decides alone. Default -1. */
  maxSteps?: number;
}

export interface StepCount {
  /** Updates in one epoch; the last may hold fewer micro-batches than the others. */
  stepsPerEpoch: number;
  /** Updates in the whole run. */
  maxSteps: number;
}

/**
 * How many updates a run over `numPairs` pairs makes:
 * `ceil(epochs * ceil(ceil(pairs / batch) / accumulation))`, as the transformers trainer counts them.
 */
export function countSteps(numPairs: number, options: StepCountOptions = {}): StepCount {
  const {
    perDeviceTrainBatchSize = 8,
    gradientAccumulationSteps = 1,
    numTrainEpochs = 3,
    maxSteps = -1,
  } = options;
  if (!(numPairs > 0)) throw new ConfigError(`expected at least one pair to train on, got ${numPairs}`);
  const microBatches = Math.ceil(numPairs / perDeviceTrainBatchSize);
  const stepsPerEpoch = Math.ceil(microBatches / gradientAccumulationSteps);
  return { stepsPerEpoch, maxSteps: maxSteps > 0 ? maxSteps : Math.ceil(numTrainEpochs * stepsPerEpoch) };
}
