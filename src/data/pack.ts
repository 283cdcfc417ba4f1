/**
 * Packing: a pair is one row of tokens `prompt | chosen | rejected`, its prompt held once for both
 * responses; rows of several pairs follow one another, without padding between them.
 *
 * Both responses of a pair start at position `len(prompt)`. Which tokens see which is the attention's
 * business: rejected tokens must see their prompt and themselves, never the chosen ones.
 */
import { ConfigError, ShapeError } from '../errors.js';
import type { TokenizedPair } from './tokenize.js';

/** `B` pairs in one packed row of `N` tokens, with `M` completion tokens in all. */
export interface PackedBatch {
  /** `[N]` token ids. */
  inputIds: Int32Array;
  /** `[N]` positions for rotary embeddings; each pair starts at 0, padding is 0. */
  positions: Int32Array;
  /** `[3B + 1]` token counts in order: prompt, chosen, rejected of each pair, then the padding at the end. */
  sizes: Int32Array;
  /**
   * `[M]` where in the row the hidden state is that predicts completion token `m`. Order of completion
   * tokens: chosen of pair 0, rejected of pair 0, chosen of pair 1, ... The first token of both responses is
   * predicted by the last prompt token.
   */
  gatherIndices: Int32Array;
  /** `[M]` the completion tokens themselves. */
  labels: Int32Array;
  /** `[M]` `2i` for tokens of pair i's chosen response, `2i + 1` for its rejected one. */
  completionSegments: Int32Array;
  pairs: TokenizedPair[];
}

export interface PackOptions {
  /** The row is padded at its end to a multiple of this many tokens. Default 1, no padding. */
  padToMultipleOf?: number;
  /** Token id of the padding; nothing attends to it. Default 0. */
  padTokenId?: number;
}

/** Tokens that a pair takes in a packed row: prompt, chosen and rejected. */
export function pairTokens(pair: TokenizedPair): number {
  return pair.promptIds.length + pair.chosenIds.length + pair.rejectedIds.length;
}

/**
 * Packs pairs, in their order, into one row.
 *
 * @throws ShapeError when there are no pairs, or a prompt or response of one has no tokens
 */
export function packPairs(
  pairs: readonly TokenizedPair[],
  { padToMultipleOf = 1, padTokenId = 0 }: PackOptions = {},
): PackedBatch {
  checkMultiple(padToMultipleOf);
  if (pairs.length === 0) throw new ShapeError('Expected at least one pair to pack, got none.');
  for (const pair of pairs) {
    for (const part of ['promptIds', 'chosenIds', 'rejectedIds'] as const) {
      if (pair[part].length === 0) throw new ShapeError(`Pair ${pair.id} has no tokens in ${part}.`);
    }
  }
  const used = pairs.reduce((sum, pair) => sum + pairTokens(pair), 0);
  const total = roundUp(used, padToMultipleOf);
  const completions = pairs.reduce((sum, pair) => sum + pair.chosenIds.length + pair.rejectedIds.length, 0);
  const batch: PackedBatch = {
    inputIds: new Int32Array(total).fill(padTokenId),
    positions: new Int32Array(total),
    sizes: new Int32Array(3 * pairs.length + 1),
    gatherIndices: new Int32Array(completions),
    labels: new Int32Array(completions),
    completionSegments: new Int32Array(completions),
    pairs: [...pairs],
  };
  let token = 0;
  let completion = 0;
  const place = (ids: readonly number[], firstPosition: number) => {
    batch.inputIds.set(ids, token);
    for (let i = 0; i < ids.length; i++) batch.positions[token + i] = firstPosition + i;
    token += ids.length;
  };
  pairs.forEach((pair, index) => {
    const promptLength = pair.promptIds.length;
    batch.sizes.set([promptLength, pair.chosenIds.length, pair.rejectedIds.length], 3 * index);
    place(pair.promptIds, 0);
    const lastPromptToken = token - 1;
    [pair.chosenIds, pair.rejectedIds].forEach((ids, side) => {
      const first = token;
      place(ids, promptLength);
      for (let i = 0; i < ids.length; i++, completion++) {
        batch.gatherIndices[completion] = i === 0 ? lastPromptToken : first + i - 1;
        batch.labels[completion] = ids[i] as number;
        batch.completionSegments[completion] = 2 * index + side;
      }
    });
  });
  batch.sizes[3 * pairs.length] = total - used;
  return batch;
}

export interface TokenBudgetOptions {
  /** Tokens a packed row may hold, padding included. */
  maxTokens: number;
  /** As given to `packPairs`. Default 1. */
  padToMultipleOf?: number;
}

/**
 * Splits a batch, in its order, into groups that each fit a packed row of `maxTokens` tokens. A pair that
 * alone is longer gets a group of its own: what may be too long is cut or dropped by `tokenizePairs`, not
 * here, and no pair is lost.
 */
export function splitByTokenBudget<P extends TokenizedPair>(
  pairs: readonly P[],
  { maxTokens, padToMultipleOf = 1 }: TokenBudgetOptions,
): P[][] {
  checkMultiple(padToMultipleOf);
  if (!(maxTokens >= 1)) throw new ConfigError(`The token budget must be at least 1, got ${maxTokens}.`);
  const groups: P[][] = [];
  let used = 0;
  for (const pair of pairs) {
    const tokens = pairTokens(pair);
    const group = groups.at(-1);
    if (group !== undefined && roundUp(used + tokens, padToMultipleOf) <= maxTokens) {
      group.push(pair);
      used += tokens;
    } else {
      groups.push([pair]);
      used = tokens;
    }
  }
  return groups;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function checkMultiple(multiple: number): void {
  if (!Number.isInteger(multiple) || multiple < 1) {
    throw new ConfigError(`padToMultipleOf must be an integer from 1, got ${multiple}.`);
  }
}
