/** The gated activation of Llama's feed-forward layer, and its gradient. */

import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { add, cast, concat, mul, sigmoid, split, sub, toFloat32 } from './graph-math.js';

/**
 * `silu(gate) * up` with `silu(z) = z sigmoid(z)`, in float32 inside.
 *
 * @param gateUp `[N, 2 I]`: gate, then up
 * @returns `[N, I]` in gateUp's dtype
 */
export function swiglu(g: GraphBuilder, gateUp: GraphValue, intermediateSize: number): GraphValue {
  const [gate, up] = halves(g, gateUp, intermediateSize);
  return cast(g, mul(g, mul(g, gate, sigmoid(g, gate)), up), gateUp.dtype);
}

/**
 * `d up = d * silu(gate)`, `d gate = d * up * s (1 + gate (1 - s))` with `s = sigmoid(gate)`.
 *
 * @param d Gradient of the activation, `[N, I]`
 * @returns `[N, 2 I]` in gateUp's dtype
 */
export function swigluGradient(
  g: GraphBuilder,
  gateUp: GraphValue,
  d: GraphValue,
  intermediateSize: number,
): GraphValue {
  const [gate, up] = halves(g, gateUp, intermediateSize);
  const d32 = toFloat32(g, d);
  const s = sigmoid(g, gate);
  const silu = mul(g, gate, s);
  const slope = add(g, s, mul(g, silu, sub(g, g.constant('float32', 1), s)));
  const dGate = mul(g, mul(g, d32, up), slope);
  const dUp = mul(g, d32, silu);
  return concat(g, [cast(g, dGate, gateUp.dtype), cast(g, dUp, gateUp.dtype)], 1);
}

function halves(g: GraphBuilder, gateUp: GraphValue, size: number): [GraphValue, GraphValue] {
  const [gate, up] = split(g, gateUp, [size, size], 1, 2) as [GraphValue, GraphValue];
  return [toFloat32(g, gate), toFloat32(g, up)];
}
