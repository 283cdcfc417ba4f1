/** How runs of the training loop end, and what they will have written by then. */

import { existsSync } from 'node:fs';
import { dtypeBytes } from '../runtime/dtypes.js';
import type { Tensor } from '../runtime/tensor.js';
import type { TrainerState } from './checkpoint.js';
import type { TrainOutcome, TrainSummary } from './events.js';
import type { PassOutcome } from './objective.js';
import { stepInterval } from './schedule.js';
import type { Trainer, TrainerOptions } from './trainer.js';
import type { TrainingBatches } from './training-batches.js';
import type { TrainingRun } from './training-run.js';

/** What the loop's own state tells of a run. */
export type LoopResult = Pick<
  TrainSummary,
  'outcome' | 'step' | 'maxSteps' | 'epoch' | 'checkpoint' | 'metrics' | 'evaluation' | 'bestCheckpoint'
>;

/** The result of a run that was interrupted before its loop began. */
export function unstarted<Options>(
  { resumeFrom }: TrainingRun<Options>,
  state: TrainerState,
  batches: TrainingBatches,
): LoopResult {
  return {
    outcome: 'interrupted',
    step: state.step,
    maxSteps: batches.maxSteps,
    epoch: state.step / batches.stepsPerEpoch,
    checkpoint: resumeFrom,
    metrics: state.lastMetrics,
    evaluation: state.evaluation,
    bestCheckpoint: null,
  };
}

export function resultOf<Pass extends PassOutcome>(
  trainer: Trainer<Pass>,
  batches: TrainingBatches,
  outcome: TrainOutcome,
): LoopResult {
  const { state, checkpoint, bestCheckpoint } = trainer;
  return {
    outcome,
    step: state.step,
    maxSteps: batches.maxSteps,
    epoch: state.step / batches.stepsPerEpoch,
    checkpoint,
    metrics: state.lastMetrics,
    evaluation: state.evaluation,
    bestCheckpoint:
      bestCheckpoint !== null && state.best !== null && existsSync(bestCheckpoint)
        ? { path: bestCheckpoint, ...state.best }
        : null,
  };
}

/** About what a run will write: checkpoints (weights, masters, moments) and the weights at its end. */
export function diskBytes(
  trained: readonly Pick<Tensor, 'byteLength' | 'dtype'>[],
  options: Pick<TrainerOptions, 'saveStrategy' | 'saveSteps' | 'saveTotalLimit'>,
  maxSteps: number,
): number {
  const weights = trained.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const state = trained.reduce(
    (sum, { byteLength, dtype }) => sum + (byteLength / dtypeBytes(dtype)) * 3 * 4,
    0,
  );
  const saves =
    options.saveStrategy === 'no' ? 0 : Math.ceil(maxSteps / stepInterval(options.saveSteps, maxSteps));
  // One more than are kept: the newest is whole before the oldest goes.
  const kept = Math.min(saves, (options.saveTotalLimit ?? saves) + 1);
  return kept * (weights + state) + weights;
}
