/** Metrics of samples and their rewards, by TRL's names where it has them (GRPOTrainer, OnlineDPOTrainer). */

import { mean, sum } from '../../data/statistics.js';
import type { PairLogps } from '../preference-pass.js';
import { repetitionOf } from './guards.js';
import type { Group, ScoredSample } from './rollouts.js';

/**
 * Of all samples of a step, before its update:
 *
 * - `reward`: mean over all samples; `reward_std`: standard deviation within a group, `reward_max` and `reward_min`: its
 *   best and worst reward, each the mean over groups; `frac_reward_zero_std`: groups whose rewards are all equal
 * - `completions/mean_length`, `min_length`, `max_length`: tokens, the end of turn included;
 *   `completions/clipped_ratio`: cut at the limit; `completions/empty_ratio`: without words, and so without a reward
 * - `completions/repetition`: see {@link repetitionOf}, the mean over samples
 *
 * What no sample has (rewards, of empty ones alone) is left out.
 */
export function rolloutMetrics(groups: readonly Group[]): Record<string, number> {
  const samples = groups.flatMap((group) => group.samples);
  const lengths = samples.map(({ ids }) => ids.length);
  const share = (test: (sample: ScoredSample) => boolean) => samples.filter(test).length / samples.length;
  return {
    ...rewardMetrics(groups),
    'completions/mean_length': mean(lengths),
    'completions/min_length': lengths.reduce((least, length) => Math.min(least, length)),
    'completions/max_length': lengths.reduce((most, length) => Math.max(most, length)),
    'completions/clipped_ratio': share(({ finishReason }) => finishReason === 'length'),
    'completions/empty_ratio': share(({ reward }) => reward === null),
    'completions/repetition': mean(samples.map(({ ids }) => repetitionOf(ids))),
  };
}

function rewardMetrics(groups: readonly Group[]): Record<string, number> {
  const rewards = groups.map(rewardsOf).filter((group) => group.length > 0);
  if (rewards.length === 0) return {};
  const deviations = rewards.map(deviation);
  return {
    reward: mean(rewards.flat()),
    reward_std: mean(deviations),
    reward_max: mean(rewards.map((group) => Math.max(...group))),
    reward_min: mean(rewards.map((group) => Math.min(...group))),
    frac_reward_zero_std: deviations.filter((value) => value === 0).length / deviations.length,
  };
}

export function rewardsOf({ samples }: Group): number[] {
  return samples.flatMap(({ reward }) => (reward === null ? [] : [reward]));
}

/** Log-probabilities of a pair's answers under the policy, before the update. */
export interface PolicyLogps {
  chosen: number;
  rejected: number;
}

/**
 * Of the answers that became pairs, before the update, under the policy's own distribution (temperature 1, nothing cut):
 *
 * - `objective/kl`: `log π(y) - log π_ref(y)`, the mean over answers (k1 of Schulman's estimators, as in
 *   OnlineDPOTrainer); `objective/kl_per_token`: the same summed over all answers, over the number of their tokens
 * - `objective/entropy`: `-log π(y)`, the mean over answers
 *
 * They are the divergence and the entropy of the policy only for answers drawn at temperature 1 from all tokens, and
 * for any answer rather than the best and the worst; else they tell how they change.
 */
export function divergenceMetrics(
  policy: readonly PolicyLogps[],
  reference: readonly PairLogps[],
): Record<string, number> {
  if (policy.length === 0) return {};
  const answers = policy.flatMap(({ chosen, rejected }, i) => {
    const { chosen: chosenReference, rejected: rejectedReference } = reference[i] as PairLogps;
    return [
      { own: chosen, reference: sum(chosenReference), tokens: chosenReference.length },
      { own: rejected, reference: sum(rejectedReference), tokens: rejectedReference.length },
    ];
  });
  const ratios = answers.map((answer) => answer.own - answer.reference);
  return {
    'objective/kl': mean(ratios),
    'objective/kl_per_token': sum(ratios) / sum(answers.map(({ tokens }) => tokens)),
    'objective/entropy': mean(answers.map(({ own }) => -own)),
  };
}

function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - center) ** 2)));
}
