/** Log-probabilities of the responses of pairs under a model, without training it. */

import { packPairs, splitByTokenBudget } from '../data/pack.js';
import type { TokenizedPair } from '../data/tokenize.js';
import type { LanguageModel } from '../models/language-model.js';
import type { LoraAdapter } from '../models/lora-adapter.js';
import { placeBatch } from '../models/packed-batch.js';
import { completionLogps, forward } from '../models/passes.js';
import { disposeAll } from '../runtime/tensor.js';

export interface ScoredPair {
  pair: TokenizedPair;
  /** `log p(token | all before it)` of each token of the chosen response, its end of turn included. */
  chosenLogps: Float32Array;
  rejectedLogps: Float32Array;
}

export interface PackedLogpsOptions {
  /** The adapter to apply; null: the base model. Default: the model's own. */
  adapter?: LoraAdapter | null;
  /** Packed rows are padded to a multiple of this, so that compiled shapes repeat. Default 1. */
  padToMultipleOf?: number;
}

/** How pairs are packed while they are scored. */
export interface PairLogpsOptions extends PackedLogpsOptions {
  /** Most tokens of one packed forward pass; a longer pair gets a pass of its own. Default 2,048. */
  tokenBudget?: number;
  /** Ends between two passes. */
  signal?: AbortSignal;
}

export const DEFAULT_TOKEN_BUDGET = 2048;

/**
 * The log-probabilities of both responses' tokens, pair by pair in the order given. A prompt goes through the
 * model once for both of its responses; several pairs share a pass, none of them seeing another.
 *
 * Which pairs share a pass does not matter to the mathematics, but to the last bits: sums are taken in another order.
 * On SmolLM2-135M values move by up to 1e-6 of their size in float32; in bfloat16 a few tokens in a hundred move by up to
 * 1e-2 of it, the rest not at all.
 */
export async function* pairLogps(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  { tokenBudget = DEFAULT_TOKEN_BUDGET, signal, ...options }: PairLogpsOptions = {},
): AsyncGenerator<ScoredPair> {
  const { padToMultipleOf = 1 } = options;
  for (const group of splitByTokenBudget(pairs, { maxTokens: tokenBudget, padToMultipleOf })) {
    signal?.throwIfAborted();
    yield* await packedLogps(model, group, options);
  }
}

/** Those of a few pairs in one forward pass. */
export async function packedLogps(
  model: LanguageModel,
  group: readonly TokenizedPair[],
  { adapter = model.adapter, padToMultipleOf = 1 }: PackedLogpsOptions = {},
): Promise<ScoredPair[]> {
  const all = await rowLogps(model, group, adapter, padToMultipleOf);
  let start = 0;
  const take = ({ length }: readonly number[]) => {
    start += length;
    return all.slice(start - length, start);
  };
  return group.map((pair) => ({
    pair,
    chosenLogps: take(pair.chosenIds),
    rejectedLogps: take(pair.rejectedIds),
  }));
}

/** Those of a packed row, chosen and rejected of each pair after one another. */
async function rowLogps(
  model: LanguageModel,
  group: readonly TokenizedPair[],
  adapter: LoraAdapter | null,
  padToMultipleOf: number,
): Promise<Float32Array> {
  const batch = placeBatch(model, packPairs(group, { padToMultipleOf }));
  try {
    const { hidden } = await forward(model, batch, { keep: 'nothing', adapter });
    try {
      const logps = await completionLogps(model, batch, hidden);
      const values = logps.data() as Float32Array;
      logps.dispose();
      return values;
    } finally {
      hidden.dispose();
    }
  } finally {
    disposeAll(batch.tensors);
  }
}
