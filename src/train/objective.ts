/** What a training run minimizes and is judged by: the part of the loop that differs from one kind of run to another. */

import type { TokenizedPair } from '../data/tokenize.js';
import type { GradientSink } from '../models/passes.js';
import type { TrainableParameter } from './trainable-parameters.js';

/** What a pass over a micro-batch tells the loop; an objective's own passes tell more. */
export interface PassOutcome {
  /** Mean over the pairs. */
  loss: number;
  /** Tokens that went through the model, each prompt once. */
  packedTokens: number;
}

export interface TrainingPass {
  /** What the gradients are multiplied by: one over the micro-batches of a step. */
  weight: number;
  /** Seed of this micro-batch's dropout, for an objective that has any. */
  seed: number;
  sink: GradientSink;
}

/** A loss over preference pairs, with the weights it is minimized by. */
export interface Objective<Pass extends PassOutcome = PassOutcome> {
  /** What is trained. Gradients go by the parameters' ids. */
  readonly parameters: readonly TrainableParameter[];
  /** Loss, metrics and gradients; each gradient goes to the sink as soon as it is there. */
  train(pairs: readonly TokenizedPair[], pass: TrainingPass): Promise<Pass>;
  /** Loss and metrics without gradients. */
  evaluate(pairs: readonly TokenizedPair[]): Promise<Pass>;
  /** Metrics of one micro-batch. */
  metrics(pass: Pass): Record<string, number>;
  /** Metrics over all pairs of several passes, `eval_` before each name. */
  evaluationMetrics(passes: readonly Pass[]): Record<string, number>;
}
