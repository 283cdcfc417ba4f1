/**
 * One layer of a Llama-family decoder as graph functions: forward, and backward with every gradient written out.
 * The functions are the same for all layers; they are built once for each number of pairs in a packed row.
 *
 *     h  = rmsNorm(x);   q, k, v = rotate(h W_qkv);   x' = x + attention(q, k, v) W_o
 *     h' = rmsNorm(x');  y = x' + swiglu(h' W_gateUp) W_down
 */

import { packedAttention, packedAttentionGradient } from '../kernels/attention.js';
import type { DType } from '../runtime/dtypes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { defineNamed, type NamedFunction } from '../runtime/named-function.js';
import { LayerGraph, type LayerSpec } from './layer-graph.js';
import { adapterInputs } from './lora-shape.js';

/** The layer's own weights: name to dtype; linear ones in the compute dtype, the rest float32. */
export function layerWeights({ config, dtype }: Pick<LayerSpec, 'config' | 'dtype'>): Record<string, DType> {
  return {
    inputNorm: 'float32',
    qkv: dtype,
    ...(config.attentionBias && { qkvBias: 'float32' as const }),
    ...(config.queryKeyNorm && { queryNorm: 'float32' as const, keyNorm: 'float32' as const }),
    output: dtype,
    ...(config.attentionOutputBias && { outputBias: 'float32' as const }),
    postNorm: 'float32',
    gateUp: dtype,
    ...(config.mlpBias && { gateUpBias: 'float32' as const }),
    down: dtype,
    ...(config.mlpBias && { downBias: 'float32' as const }),
  };
}

/** What is the same for all layers of one packed row. */
function layoutInputs(pairs: number): Record<string, DType> {
  const masks = Array.from({ length: 3 * pairs }, (_, i) => [`mask${i}`, 'float32' as const]);
  return { sizes: 'int32', cos: 'float32', sin: 'float32', ...Object.fromEntries(masks) };
}

/** What the forward pass keeps for the backward pass, beside its input x. */
function savedInputs({ config, dtype, pairs }: LayerSpec): Record<string, DType> {
  const names = ['q', 'k', 'v', 'attended', 'middle', 'gateUpOut'];
  const probabilities = Array.from({ length: 3 * pairs }, (_, i) => `p${i}`);
  const raw = config.queryKeyNorm ? ['rawQuery', 'rawKey'] : [];
  return Object.fromEntries([...names, ...probabilities, ...raw].map((name) => [name, dtype]));
}

/**
 * The forward function: input `x` `[N, D]`, output `y` `[N, D]`.
 *
 * @param save Whether to return, beside `y`, what {@link layerBackward} needs.
 */
export function layerForward(spec: LayerSpec, save: boolean): NamedFunction {
  const inputs = {
    x: spec.dtype,
    ...layoutInputs(spec.pairs),
    ...layerWeights(spec),
    ...adapterInputs(spec.lora),
  };
  return defineNamed(save ? 'layer_forward' : 'layer_inference', inputs, (g, values) => {
    const layer = new LayerGraph(g, spec, values);
    const x = layer.input('x');
    const h = layer.norm(x, layer.input('inputNorm'));
    const heads = layer.heads(layer.linear(['q_proj', 'k_proj', 'v_proj'], h, 'qkv'));
    const { output, probabilities } = packedAttention(g, heads, layer.layout);
    const attended = layer.mergeHeads(output);
    const middle = layer.residual(x, layer.linear(['o_proj'], attended, 'output'));
    const h2 = layer.norm(middle, layer.input('postNorm'));
    const gateUpOut = layer.linear(['gate_proj', 'up_proj'], h2, 'gateUp');
    const y = layer.residual(middle, layer.linear(['down_proj'], layer.swiglu(gateUpOut), 'down'));
    if (!save) return { y };
    const kept = Object.fromEntries(probabilities.map((p, i) => [`p${i}`, p]));
    return { y, ...heads, attended, middle, gateUpOut, ...kept };
  });
}

/**
 * The backward function: inputs `dy`, `x` and what the forward pass saved; outputs `dx` and the gradients, named
 * `d:` and the weight's or adapter's name. With an adapter only its gradients are computed.
 */
export function layerBackward(spec: LayerSpec): NamedFunction {
  const inputs = {
    dy: spec.dtype,
    x: spec.dtype,
    ...savedInputs(spec),
    ...layoutInputs(spec.pairs),
    ...layerWeights(spec),
    ...adapterInputs(spec.lora),
  };
  return defineNamed('layer_backward', inputs, (g, values) => {
    const layer = new LayerGraph(g, spec, values);
    const feedForward = feedForwardBackward(layer, spec);
    const attention = attentionBackward(g, layer, spec, feedForward.dMiddle);
    return { dx: attention.dx, ...attention.gradients, ...feedForward.gradients };
  });
}

/** From `dy` to the gradient of the residual stream between attention and feed-forward. */
function feedForwardBackward(layer: LayerGraph, { lora }: LayerSpec) {
  const dy = layer.input('dy');
  const middle = layer.input('middle');
  const gateUpOut = layer.input('gateUpOut');
  const down = layer.linearGradient(['down_proj'], 'down', layer.swiglu(gateUpOut), dy);
  const dGateUp = layer.swigluGradient(gateUpOut, down.dx);
  const h2 = layer.norm(middle, layer.input('postNorm'));
  const gateUp = layer.linearGradient(['gate_proj', 'up_proj'], 'gateUp', h2, dGateUp);
  const norm = layer.normGradient(middle, layer.input('postNorm'), gateUp.dx, dy);
  const own = lora === null ? { 'd:postNorm': norm.dw } : {};
  return { dMiddle: norm.dx, gradients: { ...down.gradients, ...gateUp.gradients, ...own } };
}

/** From there to the gradient of the layer's input. */
function attentionBackward(g: GraphBuilder, layer: LayerGraph, spec: LayerSpec, dMiddle: GraphValue) {
  const { config, pairs, lora } = spec;
  const attended = layer.input('attended');
  const out = layer.linearGradient(['o_proj'], 'output', attended, dMiddle);
  const d = packedAttentionGradient(
    g,
    { q: layer.input('q'), k: layer.input('k'), v: layer.input('v') },
    Array.from({ length: 3 * pairs }, (_, i) => layer.input(`p${i}`)),
    layer.splitHeads(out.dx),
    layer.attentionRowSums(attended, out.dx),
    layer.layout,
    { keyValueHeads: config.numKeyValueHeads, headDim: config.headDim },
  );
  const heads = layer.headsGradient(d.q, d.k, d.v);
  const x = layer.input('x');
  const h = layer.norm(x, layer.input('inputNorm'));
  const qkv = layer.linearGradient(['q_proj', 'k_proj', 'v_proj'], 'qkv', h, heads.dQkv);
  const norm = layer.normGradient(x, layer.input('inputNorm'), qkv.dx, dMiddle);
  const own = lora === null ? { 'd:inputNorm': norm.dw } : {};
  return { dx: norm.dx, gradients: { ...out.gradients, ...heads.gradients, ...qkv.gradients, ...own } };
}
