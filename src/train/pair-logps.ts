/** Log-probabilities of the responses of pairs under a model, without training it. */

import { packPairs, splitByTokenBudget } from '../data/pack.js';
import type { TokenizedPair } from '../data/tokenize.js';
import type { LanguageModel } from '../models/language-model.js';
import type { LoraAdapter } from '../models/lora-adapter.js';
import { placeBatch } from '../models/packed-batch.js';
import { completionLogps, forward } from '../models/passes.js';
import { disposeAll } from '../runtime/tensor.js';

export interface PairLogps {
  pair: TokenizedPair;
  /** `log p(token | all before it)` of each token of the chosen response, its end of turn included. */
  chosenLogps: Float32Array;
  rejectedLogps: Float32Array;
}

export interface PairLogpsOptions {
  /** The adapter to apply; null: the base model. Default: the model's own. */
  adapter?: LoraAdapter | null;
  /** Most tokens of one packed forward pass; a longer pair gets a pass of its own. Default 2,048. */
  tokenBudget?: number;
  signal?: AbortSignal;
}

/**
 * The log-probabilities of both responses' tokens, pair by pair in the order given. A prompt goes through the
 * model once for both of its responses; several pairs share a pass, none of them seeing another.
 */
export async function* pairLogps(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  { adapter = model.adapter, tokenBudget = 2048, signal }: PairLogpsOptions = {},
): AsyncGenerator<PairLogps> {
  for (const group of splitByTokenBudget(pairs, { maxTokens: tokenBudget })) {
    signal?.throwIfAborted();
    const all = await packedLogps(model, group, adapter);
    let start = 0;
    for (const pair of group) {
      const middle = start + pair.chosenIds.length;
      const end = middle + pair.rejectedIds.length;
      yield { pair, chosenLogps: all.slice(start, middle), rejectedLogps: all.slice(middle, end) };
      start = end;
    }
  }
}

/** Those of a packed row, chosen and rejected of each pair after one another. */
async function packedLogps(
  model: LanguageModel,
  group: readonly TokenizedPair[],
  adapter: LoraAdapter | null,
): Promise<Float32Array> {
  const batch = placeBatch(model, packPairs(group));
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
