/** A reward model from the options of a run: loaded, and its rewards kept. */

import { join } from 'node:path';
import { type LoadRewardModelOptions, loadRewardModel } from './load-reward-model.js';
import { withRewardCache } from './reward-cache.js';
import type { RewardModel } from './reward-model.js';
import type { RewardModelOptions } from './reward-options.js';
import type { RewardStore } from './reward-store.js';

/** The file of kept rewards in a run's cache folder. */
export const REWARD_CACHE_FILE = 'rewards.lmdb';

export interface OpenRewardModelOptions extends Pick<LoadRewardModelOptions, 'hashCacheDir'> {
  /** File of the reward cache (made where it is missing), or a store; null for none. Default null. */
  cache?: string | RewardStore | null;
}

/** See `loadRewardModel` and `withRewardCache`. `dispose()` ends everything that was opened for it. */
export async function openRewardModel(
  { model, ...options }: RewardModelOptions,
  { cache = null, hashCacheDir }: OpenRewardModelOptions = {},
): Promise<RewardModel> {
  const loaded = await loadRewardModel(model, {
    ...options,
    ...(hashCacheDir === undefined ? {} : { hashCacheDir }),
  });
  if (cache === null) return loaded;
  try {
    return withRewardCache(loaded, cache);
  } catch (error) {
    await loaded.dispose();
    throw error;
  }
}

/** The reward cache's path in a folder. */
export function rewardCachePath(folder: string): string {
  return join(folder, REWARD_CACHE_FILE);
}
