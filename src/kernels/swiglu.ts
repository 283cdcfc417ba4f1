/** The gated activation of Llama's feed-forward layer, and its gradient. */

import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { add, cast, mul, sigmoid, sub, toFloat32 } from './graph-math.js';

/**
 * `silu(gate) * up` with `silu(z) = z sigmoid(z)`, in float32 inside.
 *
 * @param gate `[N, I]`, as is `up`
 * @returns `[N, I]` in gate's dtype
 */
export function swiglu(g: GraphBuilder, gate: GraphValue, up: GraphValue): GraphValue {
  const gate32 = toFloat32(g, gate);
  const silu = mul(g, gate32, sigmoid(g, gate32));
  return cast(g, mul(g, silu, toFloat32(g, up)), gate.dtype);
}

/**
 * `d up = d * silu(gate)`, `d gate = d * up * s (1 + gate (1 - s))` with `s = sigmoid(gate)`.
 *
 * @param d Gradient of the activation, `[N, I]`
 * @returns the gradients, and the activation itself, which shares most of the work; `[N, I]` each in gate's dtype
 */
export function swigluGradient(
  g: GraphBuilder,
  gate: GraphValue,
  up: GraphValue,
  d: GraphValue,
): { dGate: GraphValue; dUp: GraphValue; activation: GraphValue } {
  const [gate32, up32, d32] = [toFloat32(g, gate), toFloat32(g, up), toFloat32(g, d)];
  const s = sigmoid(g, gate32);
  const silu = mul(g, gate32, s);
  const slope = add(g, s, mul(g, silu, sub(g, g.constant('float32', 1), s)));
  return {
    dGate: cast(g, mul(g, mul(g, d32, up32), slope), gate.dtype),
    dUp: cast(g, mul(g, d32, silu), gate.dtype),
    activation: cast(g, mul(g, silu, up32), gate.dtype),
  };
}
