/** RMSNorm (Zhang and Sennrich 2019) over the last axis, and its gradient. */

import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { add, cast, mean, mul, rsqrt, square, sub, sum, toFloat32 } from './graph-math.js';

/**
 * `y = x / sqrt(mean(x^2) + eps) * w`, computed in float32 and returned in x's dtype.
 *
 * @param x `[..., D]`
 * @param weight `[D]`, float32
 */
export function rmsNorm(g: GraphBuilder, x: GraphValue, weight: GraphValue, eps: number): GraphValue {
  const x32 = toFloat32(g, x);
  return cast(g, mul(g, mul(g, x32, inverseRms(g, x32, eps)), weight), x.dtype);
}

/**
 * With `r = 1 / sqrt(mean(x^2) + eps)` and `h = dy * w`: `dx = r * (h - x * r^2 * mean(h * x))`,
 * `dw = sum(dy * x * r)` over all axes but the last.
 *
 * @param rank Rank of x.
 * @returns `dx` in float32 (what is added to it decides its rounding) and `dw`, float32.
 */
export function rmsNormGradient(
  g: GraphBuilder,
  x: GraphValue,
  weight: GraphValue,
  dy: GraphValue,
  eps: number,
  rank: number,
): { dx: GraphValue; dw: GraphValue } {
  const x32 = toFloat32(g, x);
  const dy32 = toFloat32(g, dy);
  const r = inverseRms(g, x32, eps);
  const h = mul(g, dy32, weight);
  const projection = mul(g, mul(g, r, r), mean(g, mul(g, h, x32), [-1]));
  const dx = mul(g, r, sub(g, h, mul(g, x32, projection)));
  const leading = Array.from({ length: rank - 1 }, (_, axis) => axis);
  const dw = sum(g, mul(g, mul(g, dy32, x32), r), leading, false);
  return { dx, dw };
}

function inverseRms(g: GraphBuilder, x32: GraphValue, eps: number): GraphValue {
  return rsqrt(g, add(g, mean(g, square(g, x32), [-1]), eps));
}
