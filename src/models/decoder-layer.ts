/**
 * One layer of a Llama-family decoder as graph functions: forward, and backward with every gradient written out.
 * The functions are the same for all layers; they are built once for each number of pairs in a packed row. Inside
 * they compute in `dtype`; what goes in and out is in `activationDtype`.
 *
 *     h  = rmsNorm(x);   q, k, v = rotate(h W_qkv);   x' = x + attention(q, k, v) W_o
 *     h' = rmsNorm(x');  y = x' + swiglu(h' W_gate, h' W_up) W_down
 */

import { packedAttention, packedAttentionGradient } from '../kernels/attention.js';
import { add, cast } from '../kernels/graph-math.js';
import type { DType } from '../runtime/dtypes.js';
import type { GraphBuilder, GraphValue } from '../runtime/graph-function.js';
import { defineNamed, type NamedFunction } from '../runtime/named-function.js';
import { LayerGraph, type LayerSpec, type Values } from './layer-graph.js';
import { adapterInputs } from './lora-shape.js';

const QKV = ['q_proj', 'k_proj', 'v_proj'] as const;

/** The layer's matrices among its weights. */
const MATRICES = ['qkv', 'output', 'gate', 'up', 'down'] as const;

/** The layer's own weights: name to dtype; norms and biases are float32. */
export function layerWeights({
  config,
  weightDtype,
}: Pick<LayerSpec, 'config' | 'weightDtype'>): Record<string, DType> {
  return {
    inputNorm: 'float32',
    qkv: weightDtype,
    ...(config.attentionBias && { qkvBias: 'float32' as const }),
    ...(config.queryKeyNorm && { queryNorm: 'float32' as const, keyNorm: 'float32' as const }),
    output: weightDtype,
    ...(config.attentionOutputBias && { outputBias: 'float32' as const }),
    postNorm: 'float32',
    gate: weightDtype,
    ...(config.mlpBias && { gateBias: 'float32' as const }),
    up: weightDtype,
    ...(config.mlpBias && { upBias: 'float32' as const }),
    down: weightDtype,
    ...(config.mlpBias && { downBias: 'float32' as const }),
  };
}

/** What is the same for all layers of one packed row. */
function layoutInputs(pairs: number): Record<string, DType> {
  const masks = Array.from({ length: 3 * pairs }, (_, i) => [`mask${i}`, 'float32' as const]);
  return { sizes: 'int32', cos: 'float32', sin: 'float32', ...Object.fromEntries(masks) };
}

/**
 * What the forward pass keeps for the backward pass, beside its input x. Attention's probabilities are not among it:
 * they are nearly as much again as all the rest, and cost little to compute anew.
 */
function savedInputs({ config, activationDtype }: LayerSpec): Record<string, DType> {
  const names = ['q', 'k', 'v', 'attended', 'middle', 'gateOut', 'upOut'];
  const raw = config.queryKeyNorm ? ['rawQuery', 'rawKey'] : [];
  return Object.fromEntries([...names, ...raw].map((name) => [name, activationDtype]));
}

/** Inputs of every pass beside the hidden states. */
function sharedInputs(spec: LayerSpec): Record<string, DType> {
  return { ...layoutInputs(spec.pairs), ...layerWeights(spec), ...adapterInputs(spec.lora) };
}

/**
 * The forward function: input `x` `[N, D]`, output `y` `[N, D]`.
 *
 * @param save Whether to return, beside `y`, what {@link layerBackward} needs.
 */
export function layerForward(spec: LayerSpec, save: boolean): NamedFunction {
  const inputs = { x: spec.activationDtype, ...sharedInputs(spec) };
  return defineNamed(save ? 'layer_forward' : 'layer_inference', inputs, (g, values) => {
    const { y, ...saved } = runForward(g, spec, values);
    return inDtype(g, save ? { y: y!, ...saved } : { y: y! }, spec.activationDtype);
  });
}

/** The output `y`, and what the backward pass needs, all in `dtype`. */
function runForward(g: GraphBuilder, spec: LayerSpec, { x: input, ...shared }: Values): Values {
  const x = cast(g, input!, spec.dtype);
  const layer = new LayerGraph(g, spec, shared);
  const h = layer.norm(x, layer.input('inputNorm'));
  const heads = layer.heads(layer.linear(QKV, h, 'qkv'));
  const attended = layer.mergeHeads(packedAttention(g, heads, layer.layout));
  const middle = layer.residual(x, layer.linear(['o_proj'], attended, 'output'));
  const h2 = layer.norm(middle, layer.input('postNorm'));
  const gateOut = layer.linear(['gate_proj'], h2, 'gate');
  const upOut = layer.linear(['up_proj'], h2, 'up');
  const activation = layer.swiglu(gateOut, upOut);
  const y = layer.residual(middle, layer.linear(['down_proj'], activation, 'down'));
  return { y, ...heads, attended, middle, gateOut, upOut };
}

/**
 * The backward function: inputs `dy`, `x` and what the forward pass saved; outputs `dx` and the gradients, named
 * `d:` and the weight's or adapter's name. With an adapter only its gradients are computed.
 */
export function layerBackward(spec: LayerSpec): NamedFunction {
  const { activationDtype } = spec;
  const inputs = {
    ...{ dy: activationDtype, x: activationDtype },
    ...savedInputs(spec),
    ...sharedInputs(spec),
  };
  return defineNamed('layer_backward', inputs, (g, values) => runBackward(g, spec, values));
}

/**
 * Forward again and backward at once: inputs `dy` and `x`, outputs as {@link layerBackward}. What the forward pass
 * would have kept is rounded as it would have been: the gradients are the same to the bit.
 */
export function layerForwardBackward(spec: LayerSpec): NamedFunction {
  const { activationDtype } = spec;
  const inputs = { dy: activationDtype, x: activationDtype, ...sharedInputs(spec) };
  return defineNamed('layer_recomputed', inputs, (g, values) => {
    const { y: _, ...saved } = runForward(g, spec, values);
    return runBackward(g, spec, { ...values, ...inDtype(g, saved, activationDtype) });
  });
}

function runBackward(g: GraphBuilder, spec: LayerSpec, values: Values): Values {
  const { dtype, activationDtype } = spec;
  const activations = ['dy', 'x', ...Object.keys(savedInputs(spec))].map((name) => [name, values[name]!]);
  const layer = new LayerGraph(g, spec, {
    ...values,
    ...inDtype(g, Object.fromEntries(activations), dtype),
  });
  const feedForward = feedForwardBackward(g, layer, spec);
  const { dx, gradients } = attentionBackward(g, layer, spec, feedForward.dMiddle);
  const all: Values = { ...gradients, ...feedForward.gradients };
  // Those of norms, biases and adapters are float32 and stay so.
  const matrices = MATRICES.map((name) => `d:${name}`).flatMap((name) => {
    const gradient = all[name];
    return gradient === undefined ? [] : [[name, gradient] as const];
  });
  return {
    dx: cast(g, dx, activationDtype),
    ...all,
    ...inDtype(g, Object.fromEntries(matrices), activationDtype),
  };
}

function inDtype(g: GraphBuilder, values: Values, dtype: DType): Record<string, GraphValue> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, cast(g, value, dtype)]));
}

/** From `dy` to the gradient of the residual stream between attention and feed-forward. */
function feedForwardBackward(g: GraphBuilder, layer: LayerGraph, { lora }: LayerSpec) {
  const dy = layer.input('dy');
  const middle = layer.input('middle');
  const d = layer.inputGradient(['down_proj'], 'down', dy);
  const inner = layer.swigluGradient(layer.input('gateOut'), layer.input('upOut'), d);
  const h2 = layer.norm(middle, layer.input('postNorm'));
  const dh2 = add(
    g,
    layer.inputGradient(['gate_proj'], 'gate', inner.dGate),
    layer.inputGradient(['up_proj'], 'up', inner.dUp),
  );
  const norm = layer.normGradient(middle, layer.input('postNorm'), dh2, dy);
  return {
    dMiddle: norm.dx,
    gradients: {
      ...layer.parameterGradients(['down_proj'], 'down', inner.activation, dy),
      ...layer.parameterGradients(['gate_proj'], 'gate', h2, inner.dGate),
      ...layer.parameterGradients(['up_proj'], 'up', h2, inner.dUp),
      ...(lora === null && { 'd:postNorm': norm.dw }),
    },
  };
}

/** From there to the gradient of the layer's input. */
function attentionBackward(g: GraphBuilder, layer: LayerGraph, spec: LayerSpec, dMiddle: GraphValue) {
  const { config, lora } = spec;
  const attended = layer.input('attended');
  const dAttended = layer.inputGradient(['o_proj'], 'output', dMiddle);
  const inputs = { q: layer.input('q'), k: layer.input('k'), v: layer.input('v') };
  const d = packedAttentionGradient(
    g,
    inputs,
    layer.splitHeads(dAttended),
    layer.attentionRowSums(attended, dAttended),
    layer.layout,
    { keyValueHeads: config.numKeyValueHeads, headDim: config.headDim },
  );
  const heads = layer.headsGradient(d.q, d.k, d.v);
  const x = layer.input('x');
  const h = layer.norm(x, layer.input('inputNorm'));
  const dh = layer.inputGradient(QKV, 'qkv', heads.dQkv);
  const norm = layer.normGradient(x, layer.input('inputNorm'), dh, dMiddle);
  return {
    dx: norm.dx,
    gradients: {
      ...layer.parameterGradients(['o_proj'], 'output', attended, dMiddle),
      ...heads.gradients,
      ...layer.parameterGradients(QKV, 'qkv', h, heads.dQkv),
      ...(lora === null && { 'd:inputNorm': norm.dw }),
    },
  };
}
