/** Keys and values of generated tokens, written in place. */

import { attr } from '../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { reshape } from './graph-math.js';

/**
 * Writes one token's keys (or values) for each sequence into the cache and gives the cache with them. TensorFlow's
 * InplaceUpdate changes its input's buffer: nothing is copied, and the tensor passed in as the cache holds the new
 * rows afterwards. Read the cache only through the value returned, so that reading waits for the writing.
 *
 * @param cache `[KV, B, T, hd]`
 * @param slots int32 `[KV B]`: where each row goes, `(kv B + b) T + t`
 * @param rows `[KV, 1, B, hd]` in the cache's dtype
 */
export function writeCache(
  g: GraphBuilder,
  cache: GraphValue,
  slots: GraphValue,
  rows: GraphValue,
  headDim: number,
): GraphValue {
  const before = stored(g, cache, headDim);
  const after = g.op('InplaceUpdate', [before, slots, stored(g, rows, headDim)], {
    T: attr.type('float32'),
  });
  const shape = g.op('Shape', [cache], { T: attr.type(cache.dtype), out_type: attr.type('int32') });
  return reshape(g, bitcast(g, after, cache.dtype), shape);
}

/**
 * `x` as float32 rows, in the same memory. InplaceUpdate has no GPU kernel for bfloat16: two of its numbers move as
 * the bits of one.
 */
function stored(g: GraphBuilder, x: GraphValue, headDim: number): GraphValue {
  if (x.dtype === 'float32') return reshape(g, x, [-1, headDim]);
  return bitcast(g, reshape(g, x, [-1, headDim / 2, 2]), 'float32');
}

function bitcast(g: GraphBuilder, x: GraphValue, dtype: GraphValue['dtype']): GraphValue {
  if (x.dtype === dtype) return x;
  return g.op('Bitcast', [x], { T: attr.type(x.dtype), type: attr.type(dtype) });
}
