/** Where the rewards of an online run come from. */

import { ConfigError } from '../../errors.js';
import { openRewardModel } from '../../rewards/open-reward-model.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import type { ResolvedOnlineTrainOptions } from './options.js';

export interface ScorerInputs {
  options: ResolvedOnlineTrainOptions;
  /** Stays the caller's; undefined for the reward model that options name. */
  given: RewardScorer | undefined;
  onStage: (message: string) => void;
}

/** Runs `work` with a scorer, and ends what was opened for it. */
export async function withScorer<Result>(
  { options, given, onStage }: ScorerInputs,
  work: (scorer: RewardScorer) => Promise<Result>,
): Promise<Result> {
  if (given !== undefined) return work(given);
  const { rewardModel: model } = options;
  if (model === null) throw new ConfigError('reward_model is required: the folder of a reward model in ONNX');
  onStage(`loading the reward model ${model}`);
  // Samples of a policy that changes come once: there is nothing to keep their rewards for.
  const opened = await openRewardModel({
    model,
    executionProvider: options.rewardExecutionProvider,
    batchTokens: options.rewardBatchTokens,
    threads: options.rewardThreads,
    personaTemplate: options.rewardPersonaTemplate,
  });
  try {
    onStage(`the reward model runs on ${opened.executionProvider}`);
    return await work(opened);
  } finally {
    const { truncated, candidates } = opened.usage();
    if (truncated > 0) onStage(`${truncated} of ${candidates} answers were cut before they were scored`);
    await opened.dispose();
  }
}
