/** What a frozen model makes of each response: computed once, kept on disk, and all that a head is trained on. */

import { packPairs, splitByTokenBudget } from '../../data/pack.js';
import type { TokenizedPair } from '../../data/tokenize.js';
import { DataError } from '../../errors.js';
import type { LanguageModel } from '../../models/language-model.js';
import { placeBatch } from '../../models/packed-batch.js';
import { forward } from '../../models/passes.js';
import { disposeAll, scope } from '../../runtime/tensor.js';
import { pairKeys } from '../reference-cache.js';
import { openStore, type ReferenceStore } from '../reference-store.js';
import { responseFeatures } from './reward-head.js';

/** The features of a pair's responses, `[D]` each. */
export type FeatureLookup = (pair: TokenizedPair) => readonly [chosen: Float32Array, rejected: Float32Array];

export interface FeatureProgress {
  /** Different pairs whose features are there, those from the cache included. */
  done: number;
  total: number;
  /** Of `done`, those that an earlier run had computed. */
  cached: number;
}

export interface FeatureOptions {
  /** What identifies the model's weights: `LoadedModel.fingerprint()`. */
  fingerprint: string;
  /** Folder of the store. */
  cacheDir: string;
  /** Most tokens of one packed forward pass. Default 2,048. */
  tokenBudget?: number;
  /** Called at the start and after each pass. */
  onProgress?: (progress: FeatureProgress) => void;
  /** Ends between two passes; what was computed until then is kept. */
  signal?: AbortSignal;
}

const FILE = 'reward-features.lmdb';

/**
 * The features of all pairs, read from the store and computed where it has none: the final norm of the hidden state at
 * each response's last token. They are kept under a hash of all they depend on, see `openReferenceLogps`.
 *
 * @throws DataError when the store cannot be used
 */
export async function openFeatures(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  options: FeatureOptions,
): Promise<FeatureLookup> {
  const keyOf = pairKeys(model, options);
  const store = openStore(options.cacheDir, { file: FILE, name: 'the store of features' });
  const known = new Map<string, [Float32Array, Float32Array]>();
  const nameOf = (pair: TokenizedPair) => Buffer.from(keyOf(pair)).toString('latin1');
  try {
    await computeMissing(model, pairs, store, { ...options, keyOf });
    for (const pair of pairs) {
      const values = store.get(keyOf(pair));
      if (values === undefined) throw lost(pair);
      const { hiddenSize } = model.config;
      known.set(nameOf(pair), [values.slice(0, hiddenSize), values.slice(hiddenSize)]);
    }
  } finally {
    await store.close();
  }
  const byPair = new Map(pairs.map((pair) => [pair, known.get(nameOf(pair))!]));
  return (pair) => {
    const features = byPair.get(pair);
    if (features === undefined) throw lost(pair);
    return features;
  };
}

function lost({ id }: TokenizedPair): DataError {
  return new DataError(`The features of pair ${id} are not there. Start the run again.`, {
    details: { pair: id },
  });
}

async function computeMissing(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  store: ReferenceStore,
  options: FeatureOptions & { keyOf: (pair: TokenizedPair) => Uint8Array },
): Promise<void> {
  const { keyOf, tokenBudget = 2048, onProgress, signal } = options;
  const missing = new Map<string, TokenizedPair>();
  const seen = new Set<string>();
  for (const pair of pairs) {
    const key = keyOf(pair);
    const name = Buffer.from(key).toString('latin1');
    seen.add(name);
    if (store.get(key)?.length !== 2 * model.config.hiddenSize) missing.set(name, pair);
  }
  const cached = seen.size - missing.size;
  let done = cached;
  const report = () => onProgress?.({ done, total: seen.size, cached });
  report();
  for (const group of splitByTokenBudget([...missing.values()], { maxTokens: tokenBudget })) {
    signal?.throwIfAborted();
    const features = await featuresOf(model, group);
    await store.put(group.map((pair, i) => [keyOf(pair), features[i]!]));
    done += group.length;
    report();
  }
}

/** The features of each pair's two responses, one behind the other, `[2D]`. */
async function featuresOf(model: LanguageModel, pairs: readonly TokenizedPair[]): Promise<Float32Array[]> {
  const placed = placeBatch(model, packPairs(pairs));
  try {
    return await scope(async () => {
      const { hidden } = await forward(model, placed, { keep: 'nothing', adapter: null });
      const all = (await responseFeatures(model, placed, hidden)).data() as Float32Array;
      const size = 2 * model.config.hiddenSize;
      return pairs.map((_, i) => all.slice(i * size, (i + 1) * size));
    });
  } finally {
    disposeAll(placed.tensors);
  }
}
