/** What training of a reward model tells while it works, and what it hands back. */

import type { TrainEvent, TrainSummary } from '../events.js';
import type { TrainHooks } from '../training-run.js';
import type { FeatureProgress } from './features.js';

export type TrainRewardEvent =
  | TrainEvent
  /** Mode `head`: what the frozen model makes of responses, `done` of `total` pairs, `cached` of them from disk. */
  | ({ type: 'features' } & FeatureProgress);

/** How a program follows and stops a run. */
export interface TrainRewardHooks extends Omit<TrainHooks, 'onEvent'> {
  /** Told of everything that happens, in order. */
  onEvent?: (event: TrainRewardEvent) => void;
}

/** How a run ended, and where its results are. */
export interface TrainRewardSummary extends Omit<TrainSummary, 'weights'> {
  /** The reward model in transformers' layout, an adapter merged into it; `null` when the run was interrupted. */
  model: string | null;
  /** PEFT's folder of the adapter and the head; only in mode `lora`. */
  adapter: string | null;
  /** What `loadRewardModel` loads; `null` where none was asked for, or the model has no tokenizer. */
  onnx: string | null;
  /** How many held-out pairs the saved model ranks right; `null` without pairs for evaluation. */
  heldOut: { pairs: number; correct: number } | null;
}
