/** How much memory a run takes, and what it does about it: recomputing activations, smaller packed rows. */

import type { PackedBatch } from '../data/pack.js';
import { ConfigError } from '../errors.js';
import type { LanguageModel } from '../models/language-model.js';
import type { ModelConfig } from '../models/model-config.js';
import { dtypeBytes } from '../runtime/dtypes.js';
import { gpuMemoryBytes } from '../runtime/runtime.js';
import type { Tensor } from '../runtime/tensor.js';

export interface MemoryPlanOptions {
  /** Bytes that training may use; null: 80 % of what is free now. */
  memoryBudget: number | null;
  /** Most tokens in a packed row; null: as many as fit, at most {@link MAX_TOKEN_BUDGET}. */
  tokenBudget: number | null;
  gradientCheckpointing: boolean | 'auto';
  /** Tokens of the longest pair, which must fit a row alone. */
  longestPair: number;
  /** What the optimizer keeps its two moments in. Default: float32. */
  moments?: 'float32' | '8bit';
  /** Whether gradients of several rows are summed before an update. */
  accumulates: boolean;
}

export interface MemoryPlan {
  tokenBudget: number;
  /** Whether this row's activations are computed anew in the backward pass. */
  recompute: (row: PackedBatch) => boolean;
}

/** Beyond this a longer row does not make matmuls faster. */
const MAX_TOKEN_BUDGET = 8192;
/** Chunks of logits, the libraries' own memory, and what is transient in an update. */
const OVERHEAD_BYTES = 700e6;
const SHARE_OF_FREE = 0.8;

/**
 * Plans rows so that weights, optimizer state, gradients and activations stay within the budget.
 *
 * @throws ConfigError when not even the longest pair fits with recomputation.
 */
export function planMemory(model: LanguageModel, options: MemoryPlanOptions): MemoryPlan {
  const budget = options.memoryBudget ?? SHARE_OF_FREE * freeBytes();
  const available = budget - OVERHEAD_BYTES - trainingBytes(model, options, options.memoryBudget !== null);
  const fits = (tokens: number, kept: 'inputs' | 'everything') =>
    activationBytes(model, tokens, tokens * options.longestPair, kept) <= available;
  const kept = options.gradientCheckpointing === false ? 'everything' : 'inputs';
  if (!fits(options.longestPair, kept)) {
    throw new ConfigError(
      `a pair of ${options.longestPair} tokens does not fit into ${gigabytes(budget)} of memory` +
        (kept === 'everything'
          ? '; set gradient_checkpointing to auto or true'
          : '; lower max_length, or train a LoRA adapter'),
      { details: { budget, available } },
    );
  }
  const wanted = options.tokenBudget ?? MAX_TOKEN_BUDGET;
  let tokenBudget = Math.max(wanted, options.longestPair);
  if (options.tokenBudget === null) {
    while (tokenBudget > options.longestPair && !fits(tokenBudget, kept))
      tokenBudget = Math.floor(tokenBudget * 0.8);
    tokenBudget = Math.max(tokenBudget, options.longestPair);
  }
  return {
    tokenBudget,
    recompute: (row) => {
      if (options.gradientCheckpointing !== 'auto') return options.gradientCheckpointing;
      return activationBytes(model, row.inputIds.length, attentionEntries(row), 'everything') > available;
    },
  };
}

/**
 * Bytes that the backward pass keeps of a row of `tokens` tokens, and those of the layer that it is at: several
 * matrices of attention's size at once, in float32.
 *
 * @param attention Query-key combinations of one head over the whole row
 */
export function activationBytes(
  { config, dtype }: Pick<LanguageModel, 'config' | 'dtype'>,
  tokens: number,
  attention: number,
  kept: 'inputs' | 'everything',
): number {
  const saved = tokens * savedPerToken(config);
  const perLayer = kept === 'everything' ? saved : tokens * config.hiddenSize;
  const atWork = 2 * saved + 3 * config.numHeads * attention;
  return config.numLayers * perLayer * dtypeBytes(dtype) + atWork * dtypeBytes('float32');
}

/** Elements that one layer keeps for each token. */
function savedPerToken(config: ModelConfig): number {
  const heads = (2 * config.numHeads + 2 * config.numKeyValueHeads) * config.headDim;
  return 2 * config.hiddenSize + heads + 2 * config.intermediateSize;
}

/** Query-key combinations of a packed row: three rectangles for each pair. */
function attentionEntries({ pairs }: PackedBatch): number {
  return pairs.reduce((sum, { promptIds, chosenIds, rejectedIds }) => {
    const [p, c, r] = [promptIds.length, chosenIds.length, rejectedIds.length];
    return sum + p * p + c * (p + c) + r * (p + r);
  }, 0);
}

/** Optimizer state and gradients, and the weights where they count against the budget. */
function trainingBytes(
  model: LanguageModel,
  { accumulates, moments = 'float32' }: MemoryPlanOptions,
  withWeights: boolean,
): number {
  const weights = sizeOf(model.entries());
  const trained = model.adapter === null ? weights : sizeOf(model.adapter.entries());
  const gradient = accumulates ? 4 : dtypeBytes(model.dtype);
  // Two moments (packed, with a scale for 256 of them); the master is the float32 weight itself, or a copy of a narrower one.
  const perMoment = moments === '8bit' ? 1 + 4 / 256 : 4;
  const copies = (4 + 2 * perMoment) * trained.elements - trained.float32Bytes;
  return copies + gradient * trained.elements + (withWeights ? weights.bytes : 0);
}

function sizeOf(entries: readonly [string, Pick<Tensor, 'byteLength' | 'dtype'>][]) {
  let bytes = 0;
  let elements = 0;
  let float32Bytes = 0;
  for (const [, { byteLength, dtype }] of entries) {
    bytes += byteLength;
    elements += byteLength / dtypeBytes(dtype);
    if (dtype === 'float32') float32Bytes += byteLength;
  }
  return { bytes, elements, float32Bytes };
}

function freeBytes(): number {
  // A processor's counts the limit of a container, too.
  return gpuMemoryBytes() ?? process.availableMemory();
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
