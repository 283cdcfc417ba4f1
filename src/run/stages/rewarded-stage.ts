/** What stages share that ask the run's reward model. */

import type { RewardModel } from '../../rewards/reward-model.js';
import { type AskedEstimate, measuredRate } from '../estimate.js';
import { rewardUsage } from '../rewards.js';
import type { KnownFacts, RunStage, StageResult, StageWork } from '../stage.js';
import { plain } from './asking-stage.js';
import type { StageSetup } from './setup.js';

export interface RewardedStageParts extends Pick<RunStage, 'name' | 'version' | 'inputs'> {
  options: object;
  /** What it will ask at most; null: not known yet. */
  estimate(facts: KnownFacts): AskedEstimate | null;
  run(work: StageWork, scorer: RewardModel): Promise<Pick<StageResult, 'outputs' | 'counts' | 'facts'>>;
}

export function rewardedStage(
  { rewards, models, folder }: StageSetup,
  { run, options, estimate, ...parts }: RewardedStageParts,
): RunStage {
  return {
    ...parts,
    options: plain(options),
    templates: rewards.templates(),
    get model() {
      return rewards.describe();
    },
    resumes: false,
    estimate(facts) {
      const asked = estimate(facts);
      if (asked === null) return null;
      const description = rewards.describe();
      const rate = description === null ? null : measuredRate(folder, description);
      return { ...asked, seconds: rate === null ? null : asked.promptTokens / rate, cost: null };
    },
    async run(work) {
      // The reward model wants the memory that the language models have.
      await models.dispose();
      const scorer = await rewards.open();
      const before = { ...scorer.usage() };
      const result = await run(work, scorer);
      const after = scorer.usage();
      const cut = after.truncated - before.truncated;
      if (cut > 0) {
        work.onNotice(
          `${cut} answers with their conversation were longer than the reward model takes, and were cut.`,
        );
      }
      return {
        ...result,
        facts: { ...result.facts, truncated: cut },
        modelIdentity: scorer.identity,
        usage: rewardUsage(after, before),
      };
    },
  };
}
