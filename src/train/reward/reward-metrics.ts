/** Metrics of reward models by TRL's names. */

import type { RewardPass } from './reward-pass.js';

/**
 * `loss`, `accuracy` (share of pairs with chosen above rejected; a tie is none), `margin` (mean of chosen minus
 * rejected), and `min_reward`, `mean_reward`, `max_reward` over all responses: of one micro-batch, as TRL 1.13's
 * RewardTrainer computes them.
 */
export function rewardMetrics({ loss, pairs }: RewardPass): Record<string, number> {
  const all = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    loss,
    accuracy: mean(pairs.map(({ chosen, rejected }) => (chosen > rejected ? 1 : 0))),
    margin: mean(pairs.map(({ chosen, rejected }) => chosen - rejected)),
    min_reward: all.reduce((least, reward) => Math.min(least, reward), Number.POSITIVE_INFINITY),
    mean_reward: mean(all),
    max_reward: all.reduce((most, reward) => Math.max(most, reward), Number.NEGATIVE_INFINITY),
  };
}

/** The metrics over all pairs of several passes, `eval_` before each name. TRL reports the means of its batches. */
export function rewardEvaluationMetrics(passes: readonly RewardPass[]): Record<string, number> {
  const pairs = passes.flatMap((pass) => pass.pairs);
  const weighted = passes.reduce((sum, pass) => sum + pass.loss * pass.pairs.length, 0);
  const all = rewardMetrics({ loss: weighted / pairs.length, pairs, packedTokens: 0 });
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`eval_${name}`, value]));
}
