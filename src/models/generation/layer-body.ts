/** One decoder layer for inference: what prompts and single new tokens share, around an attention that differs. */

import { add, cast, matmul } from '../../kernels/graph-math.js';
import type { DType } from '../../runtime/dtypes.js';
import type { GraphBuilder, GraphValue } from '../../runtime/graph-function.js';
import { layerWeights } from '../decoder-layer.js';
import { type Heads, LayerGraph, type LayerSpec, type Values } from '../layer-graph.js';
import type { LinearModule, LoraShape } from '../lora-shape.js';

/** The fused linear weights of a layer and the modules whose outputs lie side by side in each. */
export const FUSED_MODULES = {
  qkv: ['q_proj', 'k_proj', 'v_proj'],
  output: ['o_proj'],
  gate: ['gate_proj'],
  up: ['up_proj'],
  down: ['down_proj'],
} as const satisfies Record<string, readonly LinearModule[]>;

export type FusedLinear = keyof typeof FUSED_MODULES;

export const FUSED_LINEARS = Object.keys(FUSED_MODULES) as FusedLinear[];

/** The fused linear weights that an adapter changes. */
export function adaptedLinears(lora: LoraShape | null): FusedLinear[] {
  if (lora === null) return [];
  return FUSED_LINEARS.filter((name) => FUSED_MODULES[name].some((module) => lora.modules.includes(module)));
}

/** Inputs of the layer beside x and the angles: its weights, and the adapter's stacked factors. */
export function layerBodyInputs(spec: LayerSpec): Record<string, DType> {
  const factors = adaptedLinears(spec.lora).flatMap((name) => [
    [`${name}.down`, spec.activationDtype],
    [`${name}.up`, spec.activationDtype],
  ]);
  return { ...layerWeights(spec), ...Object.fromEntries(factors) };
}

export interface LayerBodySpec extends LayerSpec {
  /** Whether the matrices are `[in, out]`, not `[out, in]`. Default false. */
  turned?: boolean;
}

/**
 * @param inputs {@link layerBodyInputs}' by name, and `cos`, `sin` `[N, 1, hd]`
 * @param x `[N, D]`
 * @param attend From the heads of the N tokens to what they gather, `[N, H hd]`
 * @returns `[N, D]`
 */
export function layerBody(
  g: GraphBuilder,
  spec: LayerBodySpec,
  inputs: Values,
  x: GraphValue,
  attend: (heads: Heads) => GraphValue,
): GraphValue {
  // The adapter acts through its stacked factors, not through the training layer's own inputs.
  const layer = new LayerGraph(g, { ...spec, lora: null }, inputs);
  const adapted = new Set(adaptedLinears(spec.lora));
  const product = (name: FusedLinear, input: GraphValue) => {
    if (!spec.turned) return layer.linear(FUSED_MODULES[name], input, name);
    const y = matmul(g, input, layer.input(name));
    const bias = inputs[`${name}Bias`];
    return bias === undefined ? y : add(g, y, cast(g, bias, y.dtype));
  };
  const linear = (name: FusedLinear, input: GraphValue) => {
    const y = product(name, input);
    if (!adapted.has(name)) return y;
    const factor = (side: 'down' | 'up') => cast(g, layer.input(`${name}.${side}`), input.dtype);
    const inner = matmul(g, input, factor('down'), { transposeB: true });
    return add(g, y, matmul(g, inner, factor('up'), { transposeB: true }));
  };
  const h = layer.norm(x, layer.input('inputNorm'));
  const attended = attend(layer.heads(linear('qkv', h)));
  const middle = layer.residual(x, linear('output', attended));
  const h2 = layer.norm(middle, layer.input('postNorm'));
  return layer.residual(middle, linear('down', layer.swiglu(linear('gate', h2), linear('up', h2))));
}
