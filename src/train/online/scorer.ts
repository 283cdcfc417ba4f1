/** Where the rewards of an online run come from. */

import { ConfigError } from '../../errors.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import type { ResolvedOnlineTrainOptions } from './options.js';

/** Runs `work` with the scorer that is given, which stays the caller's, or with the reward model that options name. */
export async function withScorer<Result>(
  options: ResolvedOnlineTrainOptions,
  given: RewardScorer | undefined,
  work: (scorer: RewardScorer) => Promise<Result>,
): Promise<Result> {
  if (given !== undefined) return work(given);
  throw new ConfigError(`reward_model ${options.rewardModel} cannot be opened`);
}
