/** Prompts through the model: their keys and values, once for all samples, and the scores of the first new token. */

import { attr } from '../../runtime/attributes.js';
import { execute } from '../../runtime/execute.js';
import { callNamed, callNamedAsync, type Tensors } from '../../runtime/named-function.js';
import { disposeAll, keep, scope, type Tensor, tensor } from '../../runtime/tensor.js';
import type { LanguageModel } from '../language-model.js';
import type { GenerationFunctions } from './functions.js';
import type { SharedPrefix } from './shared-prefix.js';

/** What generation holds of a model beside its weights. */
export interface GenerationModel {
  model: LanguageModel;
  functions: GenerationFunctions;
  /** The adapter's stacked factors, layer by layer; empty records without one. */
  factors: readonly Tensors[];
  /** Copies of matrices that decoding steps take in place of the model's, layer by layer; empty records without any. */
  copies: readonly Tensors[];
  /** `[D, V]`, float32. */
  head32: Tensor;
}

export interface PromptCache {
  /** Layer by layer, `[KV, P, T, hd]` with T the longest prompt's length. */
  keys: Tensor[];
  values: Tensor[];
  lengths: number[];
  /** `[P, D]`: the last hidden state of each prompt's last token. */
  hidden: Tensor;
}

/** How much of the prompts goes through the layers at a time. */
export interface BlockLimits {
  /** Bytes of one block's attention scores in float32; three matrices of this size exist at once. */
  scoresBytes: number;
  /** Packed tokens. */
  tokens: number;
}

export const LIMITS: BlockLimits = { scoresBytes: 128 * 1024 * 1024, tokens: 8192 };

/** Keys and values of tokens that come before a block's, for each of its prompts. */
export interface Past {
  /** Tokens. */
  length: number;
  /** One layer's, `[KV, P, length, hd]`, once; whoever takes them disposes them. */
  take(layer: number): { keys: Tensor; values: Tensor };
  /** Frees what has not been taken. */
  dispose(): void;
}

/**
 * Computes the caches of `prompts` (each at least one token); the caller disposes them.
 *
 * @param prefix Where the beginning that all prompts have in common is kept; without it each computes its own
 */
export async function promptCache(
  loaded: GenerationModel,
  prompts: readonly (readonly number[])[],
  signal: AbortSignal | undefined,
  limits: BlockLimits = LIMITS,
  prefix?: SharedPrefix,
): Promise<PromptCache> {
  const { config } = loaded.model;
  const shared = (await prefix?.cover(loaded, prompts, signal, limits)) ?? 0;
  const past = (count: number) =>
    prefix === undefined || shared === 0 ? emptyPast(loaded.model, count) : prefix.past(count);
  const own = shared === 0 ? prompts : prompts.map((prompt) => prompt.slice(shared));
  const parts: PromptCache[] = [];
  try {
    for (const group of groupPrompts(own, config.numHeads, limits, shared)) {
      parts.push(
        group.length === 1
          ? await longPrompt(loaded, group[0]!, past(1), signal, limits)
          : await promptBlock(loaded, group, past(group.length), signal),
      );
    }
    return joined(parts);
  } catch (error) {
    disposeAll(parts);
    throw error;
  }
}

/** Consecutive prompts that go through the layers together, each behind `pastLength` tokens. */
export function groupPrompts(
  prompts: readonly (readonly number[])[],
  numHeads: number,
  limits: BlockLimits,
  pastLength = 0,
): (readonly (readonly number[])[])[] {
  const groups: (readonly number[])[][] = [];
  let longest = 0;
  for (const prompt of prompts) {
    const group = groups.at(-1);
    const length = Math.max(longest, prompt.length);
    const count = (group?.length ?? 0) + 1;
    const scoresBytes = 4 * numHeads * count * length * (pastLength + length);
    const fits = count * length <= limits.tokens && scoresBytes <= limits.scoresBytes;
    if (group !== undefined && fits) {
      group.push(prompt);
      longest = length;
    } else {
      groups.push([prompt]);
      longest = prompt.length;
    }
  }
  return groups;
}

/** A prompt block by block, so that its scores stay within bounds. */
export async function longPrompt(
  loaded: GenerationModel,
  prompt: readonly number[],
  before: Past,
  signal: AbortSignal | undefined,
  limits: BlockLimits,
): Promise<PromptCache> {
  const whole = before.length + prompt.length;
  const rows = Math.floor(limits.scoresBytes / (4 * loaded.model.config.numHeads * whole));
  const length = Math.max(1, Math.min(rows, limits.tokens));
  let past = before;
  let cache: PromptCache | undefined;
  for (let begin = 0; begin < prompt.length; begin += length) {
    cache?.hidden.dispose();
    cache = await promptBlock(loaded, [prompt.slice(begin, begin + length)], past, signal);
    past = pastOf(cache, cache.lengths[0]!);
  }
  return cache!;
}

type LayerCaches = Pick<PromptCache, 'keys' | 'values'>;

/** Nothing before each of `prompts` prompts. */
export function emptyPast({ config, dtype }: LanguageModel, prompts: number): Past {
  const empty = () => keep(tensor(dtype, [config.numKeyValueHeads, prompts, 0, config.headDim], []));
  return { length: 0, take: () => ({ keys: empty(), values: empty() }), dispose() {} };
}

/** Takes over `caches`. */
function pastOf({ keys, values }: LayerCaches, length: number): Past {
  return {
    length,
    take: (layer) => ({ keys: keys[layer]!, values: values[layer]! }),
    dispose: () => disposeAll([keys, values]),
  };
}

/** One block of every prompt through all layers; `past` is freed layer by layer, and all of it on an error. */
async function promptBlock(
  { model, functions, factors }: GenerationModel,
  blocks: readonly (readonly number[])[],
  past: Past,
  signal: AbortSignal | undefined,
): Promise<PromptCache> {
  const cache: LayerCaches = { keys: [], values: [] };
  try {
    const hidden = await scope(async () => {
      const { x: embedded, ...shared } = blockInputs(model, functions, blocks, past.length);
      let x = embedded!;
      for (let i = 0; i < model.config.numLayers; i++) {
        signal?.throwIfAborted();
        const { keys: pastKeys, values: pastValues } = past.take(i);
        const weights = model.layerInputs(i, null);
        const inputs = { x, ...shared, pastKeys, pastValues, ...weights, ...factors[i]! };
        const { y, keys, values } = await callNamedAsync(functions.promptLayer, inputs);
        for (const done of [x, pastKeys, pastValues]) done.dispose();
        cache.keys.push(keep(keys!));
        cache.values.push(keep(values!));
        x = y!;
      }
      return keep(gatherRows(x, lastTokens(blocks), 0));
    });
    return { ...cache, hidden, lengths: blocks.map((block) => past.length + block.length) };
  } catch (error) {
    past.dispose();
    disposeAll(cache);
    throw error;
  }
}

/** Where each block's last token lies among the packed tokens. */
function lastTokens(blocks: readonly (readonly number[])[]): number[] {
  let end = -1;
  return blocks.map((block) => (end += block.length));
}

function blockInputs(
  model: LanguageModel,
  functions: GenerationFunctions,
  blocks: readonly (readonly number[])[],
  pastLength: number,
): Tensors {
  const queries = Math.max(...blocks.map((block) => block.length));
  const tokens = blocks.flat();
  const positions = blocks.flatMap((block) => block.map((_, i) => pastLength + i));
  const placeOfToken = blocks.flatMap((block, prompt) => block.map((_, i) => prompt * queries + i));
  const tokenAtPlace = new Int32Array(blocks.length * queries);
  placeOfToken.forEach((place, token) => {
    tokenAtPlace[place] = token;
  });
  const int32s = (values: readonly number[] | Int32Array) => tensor('int32', [values.length], values);
  const layout = callNamed(functions.promptLayout, {
    positions: int32s(positions),
    frequencies: model.frequencies,
    queries: tensor('int32', [], [queries]),
    keys: tensor('int32', [], [pastLength + queries]),
  });
  const { x } = callNamed(model.headFunctions.embed, {
    table: model.weights.embedding,
    ids: int32s(tokens),
  });
  return {
    x: x!,
    ...layout,
    tokenAtPlace: int32s(tokenAtPlace),
    placeOfToken: int32s(placeOfToken),
    prompts: int32s([blocks.length]),
  };
}

/** The caches of several groups as one; the parts are freed. */
function joined(parts: PromptCache[]): PromptCache {
  if (parts.length === 1) return parts[0]!;
  const join = (pieces: Tensor[], make: (pieces: readonly Tensor[]) => Tensor) => {
    const whole = scope(() => keep(make(pieces)));
    for (const piece of pieces) piece.dispose();
    return whole;
  };
  const byLayer = (of: (part: PromptCache) => Tensor[]) =>
    of(parts[0]!).map((_, layer) =>
      join(
        parts.map((part) => of(part)[layer]!),
        concatPrompts,
      ),
    );
  return {
    keys: byLayer(({ keys }) => keys),
    values: byLayer(({ values }) => values),
    hidden: join(
      parts.map(({ hidden }) => hidden),
      (pieces) => concatAt(pieces, 0),
    ),
    lengths: parts.flatMap(({ lengths }) => lengths),
  };
}

/** One layer's keys or values of several groups of prompts, `[KV, P, T, hd]`, padded to the longest. */
export function concatPrompts(parts: readonly Tensor[]): Tensor {
  const longest = Math.max(...parts.map(({ shape }) => shape[2] as number));
  return concatAt(
    parts.map((part) => padAxis(part, 2, longest)),
    1,
  );
}

/** `x`, of rank 4, with zeros behind, so that `axis` has `length`; `x` itself where it has. */
export function padAxis(x: Tensor, axis: number, length: number): Tensor {
  const missing = length - (x.shape[axis] as number);
  if (missing === 0) return x;
  const paddings = new Int32Array(8);
  paddings[2 * axis + 1] = missing;
  return execute('Pad', [x, tensor('int32', [4, 2], paddings)], {
    T: attr.type(x.dtype),
    Tpaddings: attr.type('int32'),
  })[0]!;
}

/** The rows `indices` of axis `axis`. */
export function gatherRows(x: Tensor, indices: readonly number[], axis: number): Tensor {
  const inputs = [x, tensor('int32', [indices.length], indices), tensor('int32', [], [axis])];
  return execute('GatherV2', inputs, {
    Tparams: attr.type(x.dtype),
    Tindices: attr.type('int32'),
    Taxis: attr.type('int32'),
  })[0]!;
}

function concatAt(parts: readonly Tensor[], axis: number): Tensor {
  return execute('ConcatV2', [...parts, tensor('int32', [], [axis])], {
    N: attr.int(parts.length),
    T: attr.type(parts[0]!.dtype),
    Tidx: attr.type('int32'),
  })[0]!;
}
