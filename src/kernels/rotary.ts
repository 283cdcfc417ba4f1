/** Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face's Llama. */

import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { add, concat, mul, neg, split, sub } from './graph-math.js';

/** Angles for each packed token: `[N, 1, hd]`, float32. */
export interface RotaryAngles {
  cos: GraphValue;
  sin: GraphValue;
}

/**
 * `y = x cos + rotateHalf(x) sin`, where `rotateHalf([a, b]) = [-b, a]`.
 *
 * @param x `[N, heads, hd]`, float32
 */
export function rotate(
  g: GraphBuilder,
  x: GraphValue,
  { cos, sin }: RotaryAngles,
  headDim: number,
): GraphValue {
  return add(g, mul(g, x, cos), mul(g, rotateHalf(g, x, headDim), sin));
}

/** The gradient of {@link rotate}: a rotation by the opposite angle, since both halves share their angles. */
export function rotateGradient(
  g: GraphBuilder,
  dy: GraphValue,
  { cos, sin }: RotaryAngles,
  headDim: number,
): GraphValue {
  return sub(g, mul(g, dy, cos), mul(g, rotateHalf(g, dy, headDim), sin));
}

function rotateHalf(g: GraphBuilder, x: GraphValue, headDim: number): GraphValue {
  const [first, second] = split(g, x, [headDim / 2, headDim / 2], 2, 2) as [GraphValue, GraphValue];
  return concat(g, [neg(g, second), first], 2);
}
