/**
 * Causal attention of several prompts at once, whose keys and values become the cache that their samples share.
 *
 * Linear layers run over packed tokens; only attention, and the cache it leaves, are laid out as one rectangle a
 * prompt, padded to the longest. A long prompt comes block by block: its queries see the blocks before as `past`.
 *
 * Letters: N packed tokens, P prompts, Tq tokens of a block, Tk = past + Tq, G query heads for each of KV heads.
 */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import type { HeadShape } from './decode-attention.js';
import {
  add,
  batchMatmul,
  cast,
  concat,
  gather,
  reshape,
  sizeOf,
  softmax,
  toFloat32,
  transpose,
} from './graph-math.js';

export interface PromptLayout {
  /** int32 `[P Tq]`: the packed token at a place of the rectangles; padding may name any token. */
  tokenAtPlace: GraphValue;
  /** int32 `[N]`: the place of a packed token. */
  placeOfToken: GraphValue;
  /** int32 `[1]`: P. */
  prompts: GraphValue;
  /** float32 `[Tq, Tk]`: 0 where a query sees a key and very negative elsewhere. Padding is later than any query. */
  mask: GraphValue;
  /** `[KV, P, Tk - Tq, hd]`: keys and values of earlier blocks. */
  pastKeys: GraphValue;
  pastValues: GraphValue;
}

/**
 * `softmax(q [past; k]^T + mask) [past; v]`.
 *
 * @param q `[KV, G, N, hd]`, scaled
 * @param k `[KV, 1, N, hd]`
 * @param v `[KV, 1, N, hd]`
 * @returns the outputs of the tokens, `[N, H hd]`, and the keys and values with the past, `[KV, P, Tk, hd]`
 */
export function promptAttention(
  g: GraphBuilder,
  { q, k, v }: { q: GraphValue; k: GraphValue; v: GraphValue },
  layout: PromptLayout,
  { keyValueHeads, groups, headDim }: HeadShape,
): { output: GraphValue; keys: GraphValue; values: GraphValue } {
  const shape = (...sizes: (number | GraphValue)[]) =>
    concat(
      g,
      sizes.map((size) => (typeof size === 'number' ? g.constant('int32', [size]) : size)),
      0,
    );
  const { prompts } = layout;
  // [KV, heads, N, hd] to [KV, heads, P, Tq, hd]
  const placed = (x: GraphValue, heads: number) => {
    const rows = g.op('GatherV2', [x, layout.tokenAtPlace, g.constant('int32', 2)], {
      Tparams: attr.type(x.dtype),
      Tindices: attr.type('int32'),
      Taxis: attr.type('int32'),
    });
    return reshape(g, rows, shape(keyValueHeads, heads, prompts, -1, headDim));
  };
  const cached = (x: GraphValue, past: GraphValue) =>
    concat(g, [past, reshape(g, placed(x, 1), shape(keyValueHeads, prompts, -1, headDim))], 2);
  const keys = cached(k, layout.pastKeys);
  const values = cached(v, layout.pastValues);

  const byPrompt = transpose(g, placed(q, groups), [0, 2, 1, 3, 4]);
  const queries = sizeOf(g, byPrompt, 3);
  const rows = reshape(g, byPrompt, shape(keyValueHeads, prompts, -1, headDim));
  const scores = batchMatmul(g, rows, keys, { transposeB: true });
  const byQuery = reshape(g, scores, shape(keyValueHeads, prompts, groups, queries, sizeOf(g, keys, 2)));
  const p = cast(g, softmax(g, add(g, toFloat32(g, byQuery), layout.mask)), q.dtype);
  const flat = reshape(g, p, shape(keyValueHeads, prompts, -1, sizeOf(g, keys, 2)));
  const attended = batchMatmul(g, flat, values);

  const byHead = reshape(g, attended, shape(keyValueHeads, prompts, groups, queries, headDim));
  const byPlace = reshape(
    g,
    transpose(g, byHead, [1, 3, 0, 2, 4]),
    shape(-1, keyValueHeads * groups * headDim),
  );
  return { output: gather(g, byPlace, layout.placeOfToken), keys, values };
}
