/** What an online run tells while it works, and what it hands back. */

import type { TrainEvent, TrainSummary } from '../events.js';
import type { GuardWarning } from './guards.js';

/** What `trainOnline` tells while it runs: what `train` tells, and what sampling and rewards add. */
export type OnlineTrainEvent =
  | TrainEvent
  /** Samples of a step, or of an evaluation: groups written and groups scored, of `total`. */
  | {
      type: 'rollout';
      step: number;
      set: 'train' | 'evaluation';
      written: number;
      scored: number;
      total: number;
    }
  /** The server has taken over the adapter as it is after `step` steps. */
  | { type: 'reload'; step: number; adapter: string }
  /** A limit of the signs of reward hacking is passed; told once until the sign is gone again. */
  | ({ type: 'reward-hacking'; step: number } & GuardWarning);

/** How an online run ended, and where its results are. */
export interface OnlineTrainSummary extends Omit<TrainSummary, 'pairs' | 'bestCheckpoint'> {
  /** Prompts trained on, rows set aside as unreadable, prompts that the policy could not be given. */
  prompts: { used: number; bad: number; dropped: number };
  /** Groups of samples so far, and those without a usable pair by reason. */
  groups: { total: number; withoutPair: Record<string, number> };
  /** Signs of reward hacking that were there at the end; with outcome `stopped-early` they are why. */
  warnings: GuardWarning[];
}
