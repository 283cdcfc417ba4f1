/** One update of the weights from the gradients of a step. */

import type { TokenizedPair } from '../data/tokenize.js';
import { TrainingError } from '../errors.js';
import type { AdamW } from './adamw.js';
import { clipFactor, type GradientStore } from './gradient-store.js';

/** A loss beyond this is taken for an explosion. */
const EXPLODED_LOSS = 1e6;

export interface Update {
  optimizer: AdamW;
  gradients: GradientStore;
  loss: number;
  learningRate: number;
  maxGradNorm: number;
  /** For the error: the step's number, its pairs, and the newest checkpoint. */
  step: number;
  pairs: readonly TokenizedPair[];
  checkpoint: string | null;
}

/**
 * Clips, checks and applies the gradients; returns their norm before clipping.
 *
 * @throws TrainingError when loss or norm is no number or exploded; the weights are as they were then
 */
export function updateWeights(update: Update): number {
  const { optimizer, gradients, loss, learningRate, maxGradNorm } = update;
  const norm = gradients.norm();
  const factor = clipFactor(norm, maxGradNorm);
  try {
    const value = norm.data()[0] as number;
    if (!Number.isFinite(loss) || !Number.isFinite(value) || Math.abs(loss) > EXPLODED_LOSS) {
      throw explosion(update, value);
    }
    optimizer.step(gradients, learningRate, factor);
    return value;
  } finally {
    norm.dispose();
    factor.dispose();
  }
}

function explosion({ loss, step, pairs, checkpoint }: Update, gradNorm: number): TrainingError {
  const kept = checkpoint === null ? 'there is no checkpoint yet' : `the last checkpoint is ${checkpoint}`;
  const ids = pairs.map(({ id }) => id);
  return new TrainingError(
    `step ${step} gave loss ${loss} and gradient norm ${gradNorm} on the pairs ${ids.join(', ')}; the weights were ` +
      `not updated by it, and ${kept}. A lower learning_rate or max_grad_norm may help.`,
    { details: { step, loss, gradNorm, pairs: ids } },
  );
}

/** Seed of what is random in a micro-batch's pass: each of the run has its own, the same when the run is resumed. */
export function passSeed(seed: number, microBatch: number): number {
  return (seed ^ Math.imul(microBatch + 1, 0x9e3779b1)) | 0;
}

/** Tokens of a pair as TRL counts them: a prompt with each of its responses. */
export function tokensAsCounted({ promptIds, chosenIds, rejectedIds }: TokenizedPair): number {
  return 2 * promptIds.length + chosenIds.length + rejectedIds.length;
}
