import type { Command } from 'commander';
import type { FileOptions } from '../train/option-set.js';
import { rewardOptionSet, type TrainRewardOptions } from '../train/reward/reward-options.js';
import { addOptionFlags, readOptionFlags } from './option-flags.js';

/** Gives a command one flag for each option of training a reward model, see `addOptionFlags`. */
export function addRewardFlags(command: Command): void {
  addOptionFlags(command, rewardOptionSet);
}

/** The options that a call asks for; `resolveRewardFileOptions` does the rest. */
export function readRewardFlags(
  command: Command,
  config: { config?: string | undefined },
): FileOptions<TrainRewardOptions> {
  return readOptionFlags(command, rewardOptionSet, config);
}
