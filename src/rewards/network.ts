/** An ONNX file that gives rewards to rows of token ids. */

import type { OnnxSession, OnnxTensor } from '../runtime/onnx-session.js';
import { customNetwork } from './custom-network.js';
import { decoderNetwork } from './decoder-network.js';
import type { RewardRecipe } from './recipe.js';
import type { RowBatch } from './row-batches.js';

export interface RewardNetwork {
  /** Whether it can go on from a prefix; else every batch's prefixes are empty. */
  readonly sharesPrefixes: boolean;
  /** Rewards of a batch's rows, in their order, and the tokens that were computed for them, padding not counted. */
  run(batch: RowBatch): Promise<{ rewards: Float32Array; tokens: number }>;
  /** Forgets what it keeps between batches. */
  release(): void;
}

/**
 * What the recipe says that the session's model is.
 *
 * @throws CheckpointError when the file has other inputs or outputs
 */
export function rewardNetwork(session: OnnxSession, recipe: RewardRecipe, path: string): RewardNetwork {
  return recipe.head.kind === 'custom'
    ? customNetwork(session, recipe.head, path)
    : decoderNetwork(session, path);
}

/** Rows of ids as one tensor, padded at the end with 0. */
export function paddedIds(rows: readonly (readonly number[])[], width: number): OnnxTensor {
  const data = new BigInt64Array(rows.length * width);
  for (const [row, ids] of rows.entries()) {
    for (const [i, id] of ids.entries()) data[row * width + i] = BigInt(id);
  }
  return { type: 'int64', dims: [rows.length, width], data };
}

export function int64(values: readonly number[]): OnnxTensor {
  return { type: 'int64', dims: [values.length], data: BigInt64Array.from(values, BigInt) };
}
