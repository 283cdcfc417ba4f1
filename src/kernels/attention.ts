/**
 * Grouped-query attention over a packed row of pairs.
 *
 * A pair's tokens lie as `[prompt | chosen | rejected]`. Prompt tokens attend to the prompt, chosen ones to prompt
 * and chosen, rejected ones to prompt and rejected: three rectangles, each causal at its end, so that the prompt
 * is computed once for both responses and no row is padded.
 *
 * Shapes: q `[KV, G, N, hd]`, k and v `[KV, 1, N, hd]`, with G query heads for each key/value head.
 */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import {
  add,
  batchMatmul,
  cast,
  concat,
  mul,
  reshape,
  sizeOf,
  softmax,
  split,
  sub,
  toFloat32,
} from './graph-math.js';

const TOKEN_AXIS = 2;

/** Queries, keys and values of a packed row, or their gradients. */
export interface AttentionInputs {
  q: GraphValue;
  k: GraphValue;
  v: GraphValue;
}

/** Where the pairs of a packed row lie. */
export interface PackedLayout {
  pairs: number;
  /** int32 `[3 pairs + 1]`: token counts of prompt, chosen and rejected of each pair, then padding. */
  sizes: GraphValue;
  /** Three for each pair: float32 `[queries, keys]`, 0 where a query sees a key and very negative elsewhere. */
  masks: readonly GraphValue[];
}

/** `softmax(q k^T + mask) v` for each rectangle, `[KV, G, N, hd]`; q comes scaled. Padding tokens get zeros. */
export function packedAttention(g: GraphBuilder, inputs: AttentionInputs, layout: PackedLayout): GraphValue {
  const parts = splitInputs(g, inputs, layout);
  const outputs = rectangles(layout.pairs).map((rectangle, i) => {
    const p = probabilities(g, parts, rectangle, layout.masks[i] as GraphValue);
    return batchMatmul(g, p, pick(g, parts.v, rectangle.keys));
  });
  outputs.push(zerosLike(g, parts.q[3 * layout.pairs] as GraphValue));
  return concat(g, outputs, TOKEN_AXIS);
}

/**
 * With `P` the probabilities, computed anew, and `O = P V`: `dV = P^T dO`, `dS = P * (dO V^T - rowsum(dO * O))`,
 * `dQ = dS K`, `dK = dS^T Q`; keys and values of the prompt gather from all three rectangles.
 *
 * @param dOutput dO, `[KV, G, N, hd]`
 * @param rowSums `rowsum(dO * O)`, float32 `[KV, G, N, 1]`
 * @returns the gradient of q in its dtype, those of k and v in float32
 */
export function packedAttentionGradient(
  g: GraphBuilder,
  inputs: AttentionInputs,
  dOutput: GraphValue,
  rowSums: GraphValue,
  layout: PackedLayout,
  { keyValueHeads, headDim }: { keyValueHeads: number; headDim: number },
): AttentionInputs {
  const parts = splitInputs(g, inputs, layout);
  const count = 3 * layout.pairs + 1;
  const dOutputs = split(g, dOutput, layout.sizes, TOKEN_AXIS, count);
  const sums = split(g, rowSums, layout.sizes, TOKEN_AXIS, count);
  const grouped = (x: GraphValue) => reshape(g, x, [keyValueHeads, 1, -1, headDim]);

  const dq: GraphValue[] = [];
  const dk: GraphValue[][] = Array.from({ length: count }, () => []);
  const dv: GraphValue[][] = Array.from({ length: count }, () => []);
  rectangles(layout.pairs).forEach((rectangle, i) => {
    const { query, keys } = rectangle;
    const p = probabilities(g, parts, rectangle, layout.masks[i] as GraphValue);
    const q = parts.q[query] as GraphValue;
    const dO = dOutputs[query] as GraphValue;
    const k = pick(g, parts.k, keys);
    const dP = batchMatmul(g, dO, pick(g, parts.v, keys), { transposeB: true });
    const centred = sub(g, toFloat32(g, dP), sums[query] as GraphValue);
    const dS = cast(g, mul(g, toFloat32(g, p), centred), q.dtype);
    dq.push(batchMatmul(g, dS, k));
    // The query heads of one group meet in their shared key/value head: one product over all their rows.
    const rows = groupedRows(g, k, keyValueHeads);
    const dK = batchMatmul(g, reshape(g, dS, rows), grouped(q), { transposeA: true });
    const dV = batchMatmul(g, reshape(g, p, rows), grouped(dO), { transposeA: true });
    scatter(g, dk, dK, keys, parts.k);
    scatter(g, dv, dV, keys, parts.k);
  });
  const padding = 3 * layout.pairs;
  dq.push(zerosLike(g, parts.q[padding] as GraphValue));
  dk[padding] = [zerosLike(g, parts.k[padding] as GraphValue)];
  dv[padding] = [zerosLike(g, parts.k[padding] as GraphValue)];
  const gathered = (pieces: GraphValue[][]) =>
    concat(
      g,
      pieces.map((terms) => total(g, terms)),
      TOKEN_AXIS,
    );
  return { q: concat(g, dq, TOKEN_AXIS), k: gathered(dk), v: gathered(dv) };
}

/** Which piece of a row asks, and which pieces it sees. */
interface Rectangle {
  query: number;
  keys: number[];
}

/** Pieces of a row by their number. */
interface Pieces {
  q: GraphValue[];
  k: GraphValue[];
  v: GraphValue[];
}

/** `softmax(q k^T + mask)` of one rectangle, `[KV, G, queries, keys]` in q's dtype. */
function probabilities(
  g: GraphBuilder,
  parts: Pieces,
  { query, keys }: Rectangle,
  mask: GraphValue,
): GraphValue {
  const q = parts.q[query] as GraphValue;
  const scores = batchMatmul(g, q, pick(g, parts.k, keys), { transposeB: true });
  return cast(g, softmax(g, add(g, toFloat32(g, scores), mask)), q.dtype);
}

/** The rectangles of a row in order. */
function rectangles(pairs: number): Rectangle[] {
  return Array.from({ length: pairs }, (_, i) => {
    const prompt = 3 * i;
    return [
      { query: prompt, keys: [prompt] },
      { query: prompt + 1, keys: [prompt, prompt + 1] },
      { query: prompt + 2, keys: [prompt, prompt + 2] },
    ];
  }).flat();
}

function splitInputs(g: GraphBuilder, { q, k, v }: AttentionInputs, { sizes, pairs }: PackedLayout): Pieces {
  const pieces = (x: GraphValue) => split(g, x, sizes, TOKEN_AXIS, 3 * pairs + 1);
  return { q: pieces(q), k: pieces(k), v: pieces(v) };
}

function pick(g: GraphBuilder, pieces: readonly GraphValue[], wanted: readonly number[]): GraphValue {
  return concat(
    g,
    wanted.map((piece) => pieces[piece] as GraphValue),
    TOKEN_AXIS,
  );
}

/** The shape `[KV, 1, G * queries, keys]` for a rectangle whose keys are `k`. */
function groupedRows(g: GraphBuilder, k: GraphValue, keyValueHeads: number): GraphValue {
  return concat(g, [g.constant('int32', [keyValueHeads, 1, -1]), sizeOf(g, k, TOKEN_AXIS)], 0);
}

/** Adds the gradient of a rectangle's keys to the pieces that they came from. */
function scatter(
  g: GraphBuilder,
  sums: GraphValue[][],
  gradient: GraphValue,
  keys: readonly number[],
  pieces: readonly GraphValue[],
): void {
  const sizes = concat(
    g,
    keys.map((piece) => sizeOf(g, pieces[piece] as GraphValue, TOKEN_AXIS)),
    0,
  );
  split(g, gradient, sizes, TOKEN_AXIS, keys.length).forEach((part, i) => {
    (sums[keys[i] as number] as GraphValue[]).push(part);
  });
}

/** The sum of `terms` in float32: the prompt's keys gather from rectangles of very different size. */
function total(g: GraphBuilder, terms: readonly GraphValue[]): GraphValue {
  const [first, ...rest] = terms as [GraphValue, ...GraphValue[]];
  return rest.reduce((sumSoFar, term) => add(g, sumSoFar, toFloat32(g, term)), toFloat32(g, first));
}

function zerosLike(g: GraphBuilder, x: GraphValue): GraphValue {
  return g.op('ZerosLike', [x], { T: attr.type(x.dtype) });
}
