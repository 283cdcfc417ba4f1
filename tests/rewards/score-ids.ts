/** Rewards of rows of token ids by an exported model, without a tokenizer. */

import { join } from 'node:path';
import { rewardNetwork } from '../../src/rewards/network.js';
import { readRecipe } from '../../src/rewards/recipe.js';
import { ScoringQueue } from '../../src/rewards/scoring-queue.js';
import { openOnnxSession } from '../../src/runtime/onnx-session.js';

export interface ScoreIdsOptions {
  /** Whether rows of a group may go on from a shared context. Default true. */
  share?: boolean;
  batchTokens?: number;
}

/** Rewards of groups of rows, each group as one request. */
export async function scoreIds(
  folder: string,
  groups: readonly (readonly (readonly number[])[])[],
  { share = true, batchTokens = 8192 }: ScoreIdsOptions = {},
): Promise<number[][]> {
  const recipe = readRecipe(folder);
  const path = join(folder, recipe.model);
  const session = await openOnnxSession(path, { executionProvider: 'cpu', threads: 1 });
  try {
    const network = rewardNetwork(session, recipe, path);
    const queue = new ScoringQueue({ ...network, sharesPrefixes: share }, { batchTokens, name: folder });
    return await Promise.all(
      groups.map((rows) => queue.score(rows.map((ids) => ({ ids: [...ids], truncated: false })))),
    );
  } finally {
    await session.dispose();
  }
}
