/**
 * Attention of one new token of each sequence over the prompt that it shares with other sequences and over its own
 * generated tokens.
 *
 * The prompt's keys lie once for all sequences that go on from it. Their queries are the rows of one matmul with
 * them, so that 64 samples of a prompt read its cache once, not 64 times.
 *
 * Letters: B sequences, P prompts, S places for sequences at each prompt, G query heads for each of KV key/value
 * heads, Tp longest prompt, To room for own tokens.
 */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { add, batchMatmul, cast, concat, reshape, sizeOf, softmax, split, toFloat32 } from './graph-math.js';

/** Far below any score, and finite: a sum with it never becomes NaN. */
const MASKED = -1e30;

/** Where sequences stand. A sequence's place `p S + s` is one of prompt p's. */
export interface DecodeLayout {
  /** float32 `[1, B, 1, Tp + To]`: 0 where a sequence sees a key, very negative elsewhere. */
  mask: GraphValue;
  /** int32 vectors `[KV, P, -1, Tp]`, `[KV, P, -1, hd]`: shapes with a prompt's sequences side by side. */
  scoresByPrompt: GraphValue;
  queriesByPrompt: GraphValue;
  /** int32 `[KV, -1, G, Tp]`: the scores' shape by place. */
  scoresByPlace: GraphValue;
  /** int32 `[2]`: Tp and To. */
  lengths: GraphValue;
  /** Where places and sequences are not the same: int32 `[P S]`, the sequence at a place (any where there is none). */
  sequenceAtPlace?: GraphValue;
  /** int32 `[B]`, the place of a sequence. */
  placeOfSequence?: GraphValue;
}

export interface DecodeCaches {
  /** `[KV, P, Tp, hd]`. */
  promptKeys: GraphValue;
  promptValues: GraphValue;
  /** `[KV, B, To, hd]`, the new token's included. */
  ownKeys: GraphValue;
  ownValues: GraphValue;
}

export interface HeadShape {
  keyValueHeads: number;
  groups: number;
  headDim: number;
}

/**
 * `softmax([q Kp^T | q Ko^T] + mask) [Vp; Vo]`, one softmax over both parts.
 *
 * @param q `[KV, B, G, hd]`, scaled
 * @returns `[KV, B, G, hd]`
 */
export function decodeAttention(
  g: GraphBuilder,
  q: GraphValue,
  caches: DecodeCaches,
  layout: DecodeLayout,
  { keyValueHeads, groups, headDim }: HeadShape,
): GraphValue {
  const byPlace = (x: GraphValue) => take(g, x, layout.sequenceAtPlace);
  const bySequence = (x: GraphValue) => take(g, x, layout.placeOfSequence);

  const promptScores = batchMatmul(g, reshape(g, byPlace(q), layout.queriesByPrompt), caches.promptKeys, {
    transposeB: true,
  });
  const ownScores = batchMatmul(g, q, caches.ownKeys, { transposeB: true });
  const scores = concat(g, [bySequence(reshape(g, promptScores, layout.scoresByPlace)), ownScores], 3);
  const p = cast(g, softmax(g, add(g, toFloat32(g, scores), layout.mask)), q.dtype);
  const [onPrompt, onOwn] = split(g, p, layout.lengths, 3, 2) as [GraphValue, GraphValue];

  const fromPrompt = batchMatmul(
    g,
    reshape(g, byPlace(onPrompt), layout.scoresByPrompt),
    caches.promptValues,
  );
  const fromOwn = batchMatmul(g, onOwn, caches.ownValues);
  return add(g, bySequence(reshape(g, fromPrompt, [keyValueHeads, -1, groups, headDim])), fromOwn);
}

export interface DecodePositions {
  /** int32 `[P]`: tokens of each prompt. */
  promptLengths: GraphValue;
  /** int32 `[B]`: each sequence's prompt. */
  promptOfSequence: GraphValue;
  /** int32 `[B]`: own tokens before the new one. */
  steps: GraphValue;
}

/**
 * What all layers of one decoding step share.
 *
 * @param promptKeys `[KV, P, Tp, hd]`, any layer's
 * @param ownKeys `[KV, B, To, hd]`, any layer's
 * @param window A token sees itself and this many minus one tokens before it; null: all before it.
 */
export function decodeLayout(
  g: GraphBuilder,
  promptKeys: GraphValue,
  ownKeys: GraphValue,
  positions: DecodePositions,
  { keyValueHeads, groups, headDim }: HeadShape,
  window: number | null,
): Omit<DecodeLayout, 'sequenceAtPlace' | 'placeOfSequence'> {
  const prompts = sizeOf(g, promptKeys, 1);
  const [tp, to] = [sizeOf(g, promptKeys, 2), sizeOf(g, ownKeys, 2)];
  const heads = g.constant('int32', [keyValueHeads]);
  const rest = g.constant('int32', [-1]);
  return {
    mask: decodeMask(g, tp, to, positions, window),
    scoresByPrompt: concat(g, [heads, prompts, rest, tp], 0),
    queriesByPrompt: concat(g, [heads, prompts, rest, g.constant('int32', [headDim])], 0),
    scoresByPlace: concat(g, [heads, rest, g.constant('int32', [groups]), tp], 0),
    lengths: concat(g, [tp, to], 0),
  };
}

/** A sequence sees its prompt's tokens and its own up to the new one, within the window. */
function decodeMask(
  g: GraphBuilder,
  tp: GraphValue,
  to: GraphValue,
  { promptLengths, promptOfSequence, steps }: DecodePositions,
  window: number | null,
): GraphValue {
  const column = (x: GraphValue) => reshape(g, x, [-1, 1]);
  const length = column(
    g.op('GatherV2', [promptLengths, promptOfSequence, g.constant('int32', 0)], {
      Tparams: attr.type('int32'),
      Tindices: attr.type('int32'),
      Taxis: attr.type('int32'),
    }),
  );
  const step = column(steps);
  const int = { T: attr.type('int32') };
  const promptKey = range(g, tp);
  const ownKey = range(g, to);
  let hiddenPrompt = g.op('GreaterEqual', [promptKey, length], int);
  let hiddenOwn = g.op('Greater', [ownKey, step], int);
  if (window !== null) {
    const oldest = add(g, step, 1 - window);
    const promptTooOld = g.op('Less', [promptKey, add(g, length, oldest)], int);
    hiddenPrompt = g.op('LogicalOr', [hiddenPrompt, promptTooOld]);
    hiddenOwn = g.op('LogicalOr', [hiddenOwn, g.op('Less', [ownKey, oldest], int)]);
  }
  const hidden = g.op('ConcatV2', [[hiddenPrompt, hiddenOwn], g.constant('int32', 1)], {
    N: attr.int(2),
    T: attr.type('bool'),
    Tidx: attr.type('int32'),
  });
  const masked = g.op('Mul', [cast(g, hidden, 'float32'), g.constant('float32', MASKED)], {
    T: attr.type('float32'),
  });
  const shape = concat(g, [g.constant('int32', [1, -1, 1]), add(g, tp, to)], 0);
  return reshape(g, masked, shape);
}

/** `[0, ..., n - 1]` as one row. */
function range(g: GraphBuilder, n: GraphValue): GraphValue {
  const values = g.op('Range', [g.constant('int32', 0), reshape(g, n, []), g.constant('int32', 1)], {
    Tidx: attr.type('int32'),
  });
  return reshape(g, values, [1, -1]);
}

/** Rows of axis 1 in the order of `indices`; `x` itself without any. */
function take(g: GraphBuilder, x: GraphValue, indices: GraphValue | undefined): GraphValue {
  if (indices === undefined) return x;
  return g.op('GatherV2', [x, indices, g.constant('int32', 1)], {
    Tparams: attr.type(x.dtype),
    Tindices: attr.type('int32'),
    Taxis: attr.type('int32'),
  });
}
