/** The mean reward of fresh samples on held-out prompts, with intervals. */

import { mean, standardError } from '../../data/statistics.js';
import { studentQuantile } from '../../data/student-quantile.js';
import { rewardsOf } from './rollout-metrics.js';
import type { Group } from './rollouts.js';

/** Mean reward of each held-out prompt; null where none of its samples has one. */
export type PromptMeans = (number | null)[];

export function promptMeans(groups: readonly Group[]): PromptMeans {
  return groups.map((group) => {
    const rewards = rewardsOf(group);
    return rewards.length === 0 ? null : mean(rewards);
  });
}

/**
 * - `eval_reward`: mean over prompts of the mean reward of their samples, with `eval_reward_low` and
 *   `eval_reward_high`, the ends of a 95 % interval over prompts (Student's t)
 * - `eval_reward_change`, `_low`, `_high`: the same of what each prompt gained since the first evaluation. The same
 *   prompts are asked with the same random numbers each time, so that this interval is the narrower one.
 *
 * Intervals are left out where there are fewer than two prompts.
 *
 * @param first Means of the first evaluation; null where this is it
 */
export function heldOutMetrics(means: PromptMeans, first: PromptMeans | null): Record<string, number> {
  const known = means.filter((value) => value !== null);
  if (known.length === 0) return {};
  const changes =
    first === null
      ? []
      : means.flatMap((value, i) => {
          const before = first[i];
          return value === null || before === null || before === undefined ? [] : [value - before];
        });
  return { ...withInterval('eval_reward', known), ...withInterval('eval_reward_change', changes) };
}

function withInterval(name: string, values: readonly number[]): Record<string, number> {
  if (values.length === 0) return {};
  const center = mean(values);
  if (values.length < 2) return { [name]: center };
  const half = studentQuantile(0.975, values.length - 1) * standardError(values);
  return { [name]: center, [`${name}_low`]: center - half, [`${name}_high`]: center + half };
}
