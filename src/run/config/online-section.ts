/** The section of online training: the names of `persona-dpo train-online`, and which prompts of the run it takes. */

import { z } from 'zod';
import {
  type OnlineTrainOptions,
  type ResolvedOnlineTrainOptions,
  resolveOnlineTrainOptions,
} from '../../train/online/options.js';

export const POOLS = ['all', 'curated'] as const;

/** What the run adds to the options of online training. */
export const onlineRunSchema = z.object({
  pool: z
    .enum(POOLS)
    .default('all')
    .describe(
      'Prompts that are trained on. all: those of the prompts stage; curated: those of them whose best and worst candidate pass the quality filter of the pairs (appendix C.2), which needs candidates.',
    ),
});

/** Options that come from the run: prompts and folder, and the reward model from `reward`. */
export const ONLINE_RUN_OWNED = [
  'prompts',
  'outputDir',
  'resumeFromCheckpoint',
  'rewardModel',
  'rewardExecutionProvider',
  'rewardBatchTokens',
  'rewardThreads',
  'rewardPersonaTemplate',
] as const;

/** Options of online training that a run leaves to the user. */
export type RunOnlineOptions = Omit<OnlineTrainOptions, (typeof ONLINE_RUN_OWNED)[number]> &
  z.input<typeof onlineRunSchema>;

/** The options of online training, with the run's prompts and folder. */
export function resolveRunOnline(
  { pool: _, ...options }: RunOnlineOptions,
  { prompts, outputDir, resume = false }: { prompts: string; outputDir: string; resume?: boolean },
): ResolvedOnlineTrainOptions {
  return resolveOnlineTrainOptions({ ...options, prompts, outputDir, resumeFromCheckpoint: resume }, 'file');
}
