/** Where an online run stands after some steps: what its checkpoints hold beside weights and moments. */

import { ConfigError } from '../../errors.js';
import type { TrainerState } from '../checkpoint.js';
import type { NoPair } from './choose-pair.js';
import { type GuardState, NO_GUARD_STATE } from './guards.js';
import type { PromptMeans } from './held-out-reward.js';

export interface OnlineState extends TrainerState {
  online: {
    /** What the rewards depend on: see `RewardScorer`. */
    scorer: string;
    /** Bytes of rollouts.jsonl that belong to the steps done. */
    rolloutBytes: number;
    guards: GuardState;
    /** Groups of samples so far, and those without a pair by reason. */
    groups: { total: number; withoutPair: Partial<Record<NoPair, number>> };
    /** Means of the held-out prompts at the first evaluation, and which prompts these were. */
    firstEvaluation: { prompts: string; means: PromptMeans } | null;
    /** Steps that had been done at the last evaluation; -1 where there was none. */
    evaluatedStep: number;
  };
}

/**
 * A new run's state, or that of the checkpoint it goes on from.
 *
 * @throws ConfigError where that is of another kind of run, or its rewards came from elsewhere
 */
export function onlineState(state: TrainerState, scorer: string, resumeFrom: string | null): OnlineState {
  const { online } = state as Partial<OnlineState>;
  if (resumeFrom === null) {
    return {
      ...state,
      online: {
        ...{ scorer, rolloutBytes: 0, guards: NO_GUARD_STATE, groups: { total: 0, withoutPair: {} } },
        ...{ firstEvaluation: null, evaluatedStep: -1 },
      },
    };
  }
  if (online === undefined) {
    throw new ConfigError(`${resumeFrom} is of a run on pairs (train), not of one that samples its own`);
  }
  if (online.scorer !== scorer) {
    throw new ConfigError(
      `${resumeFrom} is of a run with other rewards: they came from ${online.scorer}, and now from ${scorer}`,
    );
  }
  return { ...state, online };
}
