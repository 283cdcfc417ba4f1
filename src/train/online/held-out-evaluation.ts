/** One measurement of the held-out reward: fresh samples of the policy as it is, scored, and what they come to. */

import { heldOutMetrics, type PromptMeans, promptMeans } from './held-out-reward.js';
import { groupsAtOnce } from './online-step.js';
import type { ResolvedOnlineTrainOptions } from './options.js';
import type { OnlinePrompt } from './prompts.js';
import { type RolloutRow, rolloutRow } from './rollout-log.js';
import { rolloutMetrics } from './rollout-metrics.js';
import { type RewardSettings, sampleAndScore } from './rollouts.js';
import type { Sampler } from './sampler.js';
import { seedOf } from './seeds.js';

export interface HeldOutInputs {
  sampler: Sampler;
  rewards: RewardSettings;
  options: Pick<ResolvedOnlineTrainOptions, 'seed' | 'numGenerationsEval' | 'generationBatchSize'>;
  signal: AbortSignal;
}

export interface HeldOutReward {
  /** `eval_*`: see {@link heldOutMetrics}, and those of the samples. */
  metrics: Record<string, number>;
  means: PromptMeans;
  rows: RolloutRow[];
}

/**
 * Measures the policy as it is after `step` steps.
 *
 * @param first Means of the first measurement of the same prompts; null where this is it
 */
export async function measureHeldOut(
  { sampler, rewards, options, signal }: HeldOutInputs,
  prompts: readonly OnlinePrompt[],
  { step, first }: { step: number; first: PromptMeans | null },
  onProgress: (written: number, scored: number) => void,
): Promise<HeldOutReward> {
  const { seed, numGenerationsEval, generationBatchSize } = options;
  const staleness = step - (await sampler.prepare(step, true));
  const groups = await sampleAndScore(sampler, rewards, {
    ...{ prompts, samples: numGenerationsEval, signal, onProgress },
    // The same random numbers each time: what changes is the policy's doing.
    seeds: prompts.map((_, index) => seedOf(seed, 'evaluation', index)),
    groupsAtOnce: groupsAtOnce(generationBatchSize, numGenerationsEval),
  });
  const means = promptMeans(groups);
  // Its mean over samples rather than over prompts would be a second, slightly other number.
  const { reward: _, ...others } = rolloutMetrics(groups);
  return {
    means,
    metrics: {
      ...heldOutMetrics(means, first),
      ...Object.fromEntries(Object.entries(others).map(([name, value]) => [`eval_${name}`, value])),
    },
    rows: groups.map((group) => rolloutRow(group, null, { step, set: 'evaluation', staleness })),
  };
}
