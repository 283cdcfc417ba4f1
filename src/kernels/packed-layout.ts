/** What every layer needs to know of a packed row, computed once a batch: attention masks and rotary angles. */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { add, cast, concat, gather, mul, sub } from './graph-math.js';

/** Far below any score, and finite: a sum with it never becomes NaN. */
const MASKED = -1e30;

/**
 * The three masks of each pair, float32 `[queries, keys]`: 0 where key `j` may be seen by query `i`, that is
 * `j <= i + keys - queries`, and -1e30 elsewhere.
 *
 * @param sizes Token counts, as in PackedLayout
 * @param window A query sees itself and this many minus one keys before it; null: all before it.
 */
export function attentionMasks(
  g: GraphBuilder,
  sizes: GraphValue,
  pairs: number,
  window: number | null,
): GraphValue[] {
  const size = (piece: number) =>
    g.op('GatherV2', [sizes, g.constant('int32', piece), g.constant('int32', 0)], {
      Tparams: attr.type('int32'),
      Tindices: attr.type('int32'),
      Taxis: attr.type('int32'),
    });
  return Array.from({ length: pairs }, (_, i) => {
    const prompt = size(3 * i);
    const responses = [size(3 * i + 1), size(3 * i + 2)];
    return [
      causalMask(g, prompt, prompt, window),
      ...responses.map((queries) => causalMask(g, queries, add(g, prompt, queries), window)),
    ];
  }).flat();
}

/** The mask of one rectangle: its last key is its last query's own. */
export function causalMask(
  g: GraphBuilder,
  queries: GraphValue,
  keys: GraphValue,
  window: number | null,
): GraphValue {
  const range = (count: GraphValue) =>
    g.op('Range', [g.constant('int32', 0), count, g.constant('int32', 1)], { Tidx: attr.type('int32') });
  const expand = (x: GraphValue, axis: number) =>
    g.op('ExpandDims', [x, g.constant('int32', axis)], { T: attr.type('int32'), Tdim: attr.type('int32') });
  const key = expand(range(keys), 0);
  const own = expand(add(g, range(queries), sub(g, keys, queries)), 1);
  const later = g.op('Greater', [key, own], { T: attr.type('int32') });
  if (window === null) return mul(g, cast(g, later, 'float32'), MASKED);
  const tooOld = g.op('LessEqual', [key, sub(g, own, window)], { T: attr.type('int32') });
  return mul(g, cast(g, g.op('LogicalOr', [later, tooOld]), 'float32'), MASKED);
}

/**
 * `cos(position * frequency)` and `sin(...)` of each token, each frequency twice (both halves of a head share them).
 *
 * @param positions int32 `[N]`
 * @param frequencies float32 `[hd / 2]`
 * @returns `[N, 1, hd]` each, float32
 */
export function rotaryAngles(
  g: GraphBuilder,
  positions: GraphValue,
  frequencies: GraphValue,
  headDim: number,
): { cos: GraphValue; sin: GraphValue } {
  const at = g.op('Reshape', [cast(g, positions, 'float32'), g.constant('int32', [-1, 1, 1])], {
    T: attr.type('float32'),
    Tshape: attr.type('int32'),
  });
  const half = mul(
    g,
    at,
    g.op('Reshape', [frequencies, g.constant('int32', [1, 1, headDim / 2])], {
      T: attr.type('float32'),
      Tshape: attr.type('int32'),
    }),
  );
  const angles = concat(g, [half, half], 2);
  return {
    cos: g.op('Cos', [angles], { T: attr.type('float32') }),
    sin: g.op('Sin', [angles], { T: attr.type('float32') }),
  };
}

/** Embedding rows of the tokens, `[N, D]`, in `dtype`. */
export function embed(
  g: GraphBuilder,
  table: GraphValue,
  ids: GraphValue,
  dtype: 'bfloat16' | 'float32',
): GraphValue {
  return cast(g, gather(g, table, ids), dtype);
}
