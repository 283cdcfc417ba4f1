/** The reference's log-probabilities: computed once before training, kept on disk, used again by later runs. */

import { createHash } from 'node:crypto';
import { splitByTokenBudget } from '../data/pack.js';
import type { TokenizedPair } from '../data/tokenize.js';
import { DataError } from '../errors.js';
import type { LanguageModel } from '../models/language-model.js';
import type { LoraAdapter } from '../models/lora-adapter.js';
import { adapterFingerprint } from '../models/model-fingerprint.js';
import { runtime } from '../runtime/runtime.js';
import { DEFAULT_TOKEN_BUDGET, packedLogps } from './pair-logps.js';
import type { PairLogps, ReferenceLookup } from './preference-pass.js';
import { memoryStore, openStore, type ReferenceStore } from './reference-store.js';

/** To be raised with every change of kernels that changes log-probabilities: kept values are then not used. */
const KERNEL_VERSION = 1;

export interface ReferenceProgress {
  /** Different pairs whose values are there, those from the cache included. */
  done: number;
  total: number;
  /** Of `done`, those that an earlier run had computed. */
  cached: number;
}

export interface ReferenceOptions {
  /** What identifies the model's weights: `LoadedModel.fingerprint()`. */
  fingerprint: string;
  /** Folder of the store; null keeps the values in memory, and computes them in every run. */
  cacheDir: string | null;
  /** The adapter that belongs to the reference; null: the base model. Default null. */
  adapter?: LoraAdapter | null;
  /** Most tokens of one packed forward pass. Default 2,048. */
  tokenBudget?: number;
  /** Packed rows are padded to a multiple of this, so that compiled shapes repeat. Default 1. */
  padToMultipleOf?: number;
  /** Called at the start and after each pass. */
  onProgress?: (progress: ReferenceProgress) => void;
  /** Ends between two passes; what was computed until then is kept. */
  signal?: AbortSignal;
}

export interface ReferenceLogps {
  /** Reads a pair's values. Throws DataError for a pair that was not among those opened with. */
  lookup: ReferenceLookup;
  /** How many different pairs went through the model now, and how many were there already. */
  computed: number;
  cached: number;
  close(): Promise<void>;
}

/**
 * Makes sure that the reference's log-probabilities of all pairs' completion tokens are there, and gives access to
 * them. They are kept under a hash of all they depend on: the weights and the adapter, the token ids (in which
 * tokenizer, template and persona have gone), the dtypes of weights and products, XLA, the kind of device, the versions of TensorFlow
 * and of our kernels. So they are never stale, a changed pair costs only itself, and other losses and betas share
 * them. Each pass's values are kept as soon as it is done: an interrupted run goes on where it was, with the same
 * values bit for bit, since passes are divided by all pairs and not by those that are missing.
 *
 * Values are read from the store one pair at a time; several processes may use a store at once.
 *
 * @throws DataError when the store cannot be used
 */
export async function openReferenceLogps(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  options: ReferenceOptions,
): Promise<ReferenceLogps> {
  const keyOf = pairKeys(model, options);
  const store = options.cacheDir === null ? memoryStore() : openStore(options.cacheDir);
  try {
    const counts = await computeMissing(model, pairs, store, keyOf, options);
    return { ...counts, lookup: lookupIn(store, keyOf), close: () => store.close() };
  } catch (error) {
    await store.close();
    throw error;
  }
}

type KeyOf = (pair: TokenizedPair) => Uint8Array;

/** The keys of what a model computes of pairs: a hash of the pair's ids and of everything else it depends on. */
export function pairKeys(
  model: LanguageModel,
  { fingerprint, adapter = null }: Pick<ReferenceOptions, 'fingerprint' | 'adapter'>,
): KeyOf {
  const { device, version } = runtime();
  const context = createHash('sha256').update(
    JSON.stringify({
      kernels: KERNEL_VERSION,
      tensorflow: version,
      device: device.includes('GPU') ? 'cuda' : 'cpu',
      dtype: model.dtype,
      computeDtype: model.computeDtype,
      weightDtype: model.weightDtype,
      xla: model.functions.xla,
      weights: fingerprint,
      adapter: adapter && adapterFingerprint(adapter),
    }),
  );
  return ({ promptIds, chosenIds, rejectedIds }) => {
    const sizes = [promptIds.length, chosenIds.length, rejectedIds.length];
    const ids = Int32Array.from([...sizes, ...promptIds, ...chosenIds, ...rejectedIds]);
    return context.copy().update(ids).digest();
  };
}

function lookupIn(store: ReferenceStore, keyOf: KeyOf): ReferenceLookup {
  return (pair) => {
    const values = read(store, keyOf(pair), pair);
    if (values !== undefined) return values;
    throw new DataError(
      `The reference's log-probabilities of pair ${pair.id} are not there: it was not among the pairs they were computed for, or the store has lost them. Start the run again.`,
      { details: { pair: pair.id } },
    );
  };
}

function read(store: ReferenceStore, key: Uint8Array, pair: TokenizedPair): PairLogps | undefined {
  const { chosenIds, rejectedIds } = pair;
  const values = store.get(key);
  if (values?.length !== chosenIds.length + rejectedIds.length) return undefined;
  return { chosen: values.subarray(0, chosenIds.length), rejected: values.subarray(chosenIds.length) };
}

async function computeMissing(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  store: ReferenceStore,
  keyOf: KeyOf,
  options: ReferenceOptions,
): Promise<{ computed: number; cached: number }> {
  const {
    adapter = null,
    tokenBudget = DEFAULT_TOKEN_BUDGET,
    padToMultipleOf = 1,
    onProgress,
    signal,
  } = options;
  const distinct = new Map<string, TokenizedPair>();
  const missing = new Map<TokenizedPair, Uint8Array>();
  for (const pair of pairs) {
    const key = keyOf(pair);
    const name = Buffer.from(key).toString('latin1');
    if (distinct.has(name)) continue;
    distinct.set(name, pair);
    if (read(store, key, pair) === undefined) missing.set(pair, key);
  }
  const total = distinct.size;
  const cached = total - missing.size;
  let computed = 0;
  const report = () => onProgress?.({ done: cached + computed, total, cached });
  report();
  for (const group of splitByTokenBudget([...distinct.values()], {
    maxTokens: tokenBudget,
    padToMultipleOf,
  })) {
    const needed = group.filter((pair) => missing.has(pair));
    if (needed.length === 0) continue;
    signal?.throwIfAborted();
    const scored = await packedLogps(model, needed, { adapter, padToMultipleOf });
    await store.put(
      scored.map(({ pair, chosenLogps, rejectedLogps }) => [
        missing.get(pair)!,
        Float32Array.from([...chosenLogps, ...rejectedLogps]),
      ]),
    );
    computed += needed.length;
    report();
  }
  return { computed, cached };
}
