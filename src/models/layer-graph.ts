/**
 * The pieces of one decoder layer inside a graph. What lies between two matmuls is one block; with `xla` a block
 * becomes a nested function compiled by XLA (which then needs token counts that repeat: see `padToMultipleOf`).
 */

import type { PackedLayout } from '../kernels/attention.js';
import {
  add,
  type ComputeDType,
  cast,
  concat,
  matmul,
  mul,
  reshape,
  split,
  sum,
  toFloat32,
  transpose,
} from '../kernels/graph-math.js';
import {
  type LowRank,
  linear,
  lowRankFactorGradients,
  lowRankInputGradient,
  lowRankUpdate,
} from '../kernels/linear.js';
import { rmsNorm, rmsNormGradient } from '../kernels/rms-norm.js';
import { rotate, rotateGradient } from '../kernels/rotary.js';
import { swiglu, swigluGradient } from '../kernels/swiglu.js';
import {
  defineFunction,
  type GraphBuilder,
  type GraphFunction,
  type GraphValue,
} from '../runtime/graph-function.js';
import { LINEAR_MODULES, type LinearModule, type LoraShape } from './lora-shape.js';
import type { ModelConfig } from './model-config.js';

/** Which numbers a model's functions work with. */
export interface Dtypes {
  /** What is multiplied in, and computed in around it where float32 is not needed. */
  dtype: ComputeDType;
  /** What goes from function to function and is kept for the backward pass. */
  activationDtype: ComputeDType;
  /** What matrices are stored in: float32 where they are trained, so that there is no second copy of them. */
  weightDtype: ComputeDType;
}

export interface LayerSpec extends Dtypes {
  config: ModelConfig;
  /** Pairs in the packed row. */
  pairs: number;
  /** Compile what lies between matmuls by XLA. */
  xla: boolean;
  /** The adapter, or null: without one, gradients are those of the layer's own weights. */
  lora: LoraShape | null;
}

export type Values = Readonly<Record<string, GraphValue>>;

/** Queries, keys and values in attention's layout, and before query/key norm where there is one. */
export interface Heads {
  q: GraphValue;
  k: GraphValue;
  v: GraphValue;
  rawQuery?: GraphValue;
  rawKey?: GraphValue;
}

/** Compiled blocks by what they depend on; a block is the same for every layer and every number of pairs. */
const blocks = new Map<string, GraphFunction>();

/** Builds a layer's operations into `g`; `inputs` are the layer function's inputs by name. */
export class LayerGraph {
  readonly #g: GraphBuilder;
  readonly #spec: LayerSpec;
  readonly inputs: Values;

  constructor(g: GraphBuilder, spec: LayerSpec, inputs: Values) {
    this.#g = g;
    this.#spec = spec;
    this.inputs = inputs;
  }

  input(name: string): GraphValue {
    return this.inputs[name] as GraphValue;
  }

  get layout(): PackedLayout {
    const { pairs } = this.#spec;
    const masks = Array.from({ length: 3 * pairs }, (_, i) => this.input(`mask${i}`));
    return { pairs, sizes: this.input('sizes'), masks };
  }

  norm(x: GraphValue, weight: GraphValue): GraphValue {
    const { rmsNormEps } = this.#spec.config;
    return this.#block('norm', [x, weight], (g, [x, w]) => [rmsNorm(g, x!, w!, rmsNormEps)])[0]!;
  }

  /** `x + delta`, rounded once. */
  residual(x: GraphValue, delta: GraphValue): GraphValue {
    return add(this.#g, x, delta);
  }

  swiglu(gate: GraphValue, up: GraphValue): GraphValue {
    return this.#block('swiglu', [gate, up], (g, [gate, up]) => [swiglu(g, gate!, up!)])[0]!;
  }

  swigluGradient(gate: GraphValue, up: GraphValue, d: GraphValue): ReturnType<typeof swigluGradient> {
    const [dGate, dUp, activation] = this.#block('swiglu_gradient', [gate, up, d], (g, [gate, up, d]) => {
      const all = swigluGradient(g, gate!, up!, d!);
      return [all.dGate, all.dUp, all.activation];
    });
    return { dGate: dGate!, dUp: dUp!, activation: activation! };
  }

  /** `dx` of the residual stream: `dy` plus what comes back through the norm; and the norm's own gradient. */
  normGradient(
    x: GraphValue,
    weight: GraphValue,
    dh: GraphValue,
    dy: GraphValue,
  ): { dx: GraphValue; dw: GraphValue } {
    const { rmsNormEps } = this.#spec.config;
    const [dx, dw] = this.#block('norm_gradient', [x, weight, dh, dy], (g, [x, w, dh, dy]) => {
      const gradient = rmsNormGradient(g, x!, w!, dh!, rmsNormEps, 2);
      return [cast(g, add(g, toFloat32(g, dy!), gradient.dx), x!.dtype), gradient.dw];
    });
    return { dx: dx!, dw: dw! };
  }

  /** A linear layer over the modules whose outputs lie side by side in the weight called `name`. */
  linear(modules: readonly LinearModule[], x: GraphValue, name: string): GraphValue {
    const g = this.#g;
    const y = linear(g, x, this.#weight(name), this.inputs[`${name}Bias`]);
    if (modules.every((module) => this.#adapter(module) === undefined)) return y;
    const updated = this.#byModule(modules, y).map(([module, part]) => {
      const adapter = this.#adapter(module);
      return adapter === undefined ? part : add(g, part, lowRankUpdate(g, x, adapter));
    });
    return concat(g, updated, 1);
  }

  /** The gradient of {@link linear}'s input. */
  inputGradient(modules: readonly LinearModule[], name: string, dy: GraphValue): GraphValue {
    const g = this.#g;
    const dx = matmul(g, dy, this.#weight(name));
    if (this.#spec.lora === null) return dx;
    return this.#byModule(modules, dy).reduce((total, [module, part]) => {
      const adapter = this.#adapter(module);
      return adapter === undefined ? total : add(g, total, lowRankInputGradient(g, part, adapter));
    }, dx);
  }

  /**
   * Gradients of what is trained of a {@link linear} layer: the adapters where the layer has some, else the weight
   * and bias. They are named `d:` and the input's name.
   */
  parameterGradients(modules: readonly LinearModule[], name: string, x: GraphValue, dy: GraphValue): Values {
    const g = this.#g;
    if (this.#spec.lora === null) return this.#weightGradients(name, x, dy);
    const gradients: Record<string, GraphValue> = {};
    for (const [module, part] of this.#byModule(modules, dy)) {
      const adapter = this.#adapter(module);
      if (adapter === undefined) continue;
      const { da, db } = lowRankFactorGradients(g, x, part, adapter);
      gradients[`d:${module}.A`] = da;
      gradients[`d:${module}.B`] = db;
    }
    return gradients;
  }

  /** Splits the fused projection into heads, norms them where the model does, rotates, and lays them out for attention. */
  heads(qkv: GraphValue): Heads {
    const { config } = this.#spec;
    const names = ['cos', 'sin', ...(config.queryKeyNorm ? ['queryNorm', 'keyNorm'] : [])];
    const [q, k, v, rawQuery, rawKey] = this.#block(
      'heads',
      [qkv, ...names.map((name) => this.input(name))],
      (g, [qkv, cos, sin, queryNorm, keyNorm]) =>
        headsForward(g, config, qkv!, { cos: cos!, sin: sin! }, queryNorm, keyNorm),
    );
    return { q: q!, k: k!, v: v!, ...(rawQuery && rawKey && { rawQuery, rawKey }) };
  }

  /** The gradient of the fused projection `[N, (H + 2 KV) hd]`, and of the query and key norms where there are some. */
  headsGradient(dq: GraphValue, dk: GraphValue, dv: GraphValue): { dQkv: GraphValue; gradients: Values } {
    const { config, dtype } = this.#spec;
    const names = [
      'cos',
      'sin',
      ...(config.queryKeyNorm ? ['queryNorm', 'keyNorm', 'rawQuery', 'rawKey'] : []),
    ];
    const [dQkv, dQueryNorm, dKeyNorm] = this.#block(
      'heads_gradient',
      [dq, dk, dv, ...names.map((name) => this.input(name))],
      (g, values) => headsBackward(g, config, dtype, values),
    );
    const gradients: Record<string, GraphValue> = {};
    if (dQueryNorm && dKeyNorm && this.#spec.lora === null) {
      gradients['d:queryNorm'] = dQueryNorm;
      gradients['d:keyNorm'] = dKeyNorm;
    }
    return { dQkv: dQkv!, gradients };
  }

  /** `[KV, G, N, hd]` to `[N, H hd]`. */
  mergeHeads(output: GraphValue): GraphValue {
    const { numHeads, headDim } = this.#spec.config;
    return reshape(this.#g, transpose(this.#g, output, [2, 0, 1, 3]), [-1, numHeads * headDim]);
  }

  /** `[N, H hd]` to `[KV, G, N, hd]`. */
  splitHeads(merged: GraphValue): GraphValue {
    return transpose(this.#g, this.#byGroup(merged), [1, 2, 0, 3]);
  }

  /** `rowsum(dO * O)` of each query, `[KV, G, N, 1]` in float32, from the merged layouts. */
  attentionRowSums(attended: GraphValue, dAttended: GraphValue): GraphValue {
    const g = this.#g;
    const product = mul(g, toFloat32(g, attended), toFloat32(g, dAttended));
    return transpose(g, sum(g, this.#byGroup(product), [3]), [1, 2, 0, 3]);
  }

  #byGroup(merged: GraphValue): GraphValue {
    const { numHeads, numKeyValueHeads, headDim } = this.#spec.config;
    return reshape(this.#g, merged, [-1, numKeyValueHeads, numHeads / numKeyValueHeads, headDim]);
  }

  /** A matrix in the compute dtype, whatever it is stored in. */
  #weight(name: string): GraphValue {
    return cast(this.#g, this.input(name), this.#spec.dtype);
  }

  /** The columns of each module. */
  #byModule(modules: readonly LinearModule[], columns: GraphValue): [LinearModule, GraphValue][] {
    const widths = modules.map((module) => this.#outputWidth(module));
    const parts = split(this.#g, columns, widths, 1, modules.length);
    return modules.map((module, i) => [module, parts[i]!]);
  }

  #weightGradients(name: string, x: GraphValue, dy: GraphValue): Values {
    const g = this.#g;
    const gradients: Record<string, GraphValue> = { [`d:${name}`]: matmul(g, dy, x, { transposeA: true }) };
    if (this.inputs[`${name}Bias`] !== undefined) {
      gradients[`d:${name}Bias`] = sum(g, toFloat32(g, dy), [0], false);
    }
    return gradients;
  }

  #adapter(module: LinearModule): LowRank | undefined {
    const { lora } = this.#spec;
    if (lora === null || !lora.modules.includes(module)) return undefined;
    const factors = { a: this.input(`${module}.A`), b: this.input(`${module}.B`), scale: lora.scale };
    if (lora.dropout === 0) return factors;
    const seed = add(
      this.#g,
      this.input('seed'),
      this.#g.constant('int32', [0, LINEAR_MODULES.indexOf(module)]),
    );
    return { ...factors, dropout: { rate: lora.dropout, seed } };
  }

  #outputWidth(module: LinearModule): number {
    const { numHeads, numKeyValueHeads, headDim, hiddenSize, intermediateSize } = this.#spec.config;
    switch (module) {
      case 'q_proj':
        return numHeads * headDim;
      case 'k_proj':
      case 'v_proj':
        return numKeyValueHeads * headDim;
      case 'gate_proj':
      case 'up_proj':
        return intermediateSize;
      case 'o_proj':
      case 'down_proj':
        return hiddenSize;
    }
  }

  #block(
    name: string,
    inputs: readonly GraphValue[],
    body: (g: GraphBuilder, values: readonly (GraphValue | undefined)[]) => GraphValue[],
  ): (GraphValue | undefined)[] {
    if (!this.#spec.xla) return body(this.#g, inputs);
    const key = JSON.stringify([name, this.#spec.config, inputs.map(({ dtype }) => dtype)]);
    let block = blocks.get(key);
    if (block === undefined) {
      const dtypes = inputs.map(({ dtype }) => dtype);
      block = defineFunction(
        name,
        (g) =>
          body(
            g,
            dtypes.map((dtype) => g.input(dtype)),
          ),
        { xla: true },
      );
      blocks.set(key, block);
    }
    return this.#g.call(block, inputs);
  }
}

function headsForward(
  g: GraphBuilder,
  config: ModelConfig,
  qkv: GraphValue,
  angles: { cos: GraphValue; sin: GraphValue },
  queryNorm: GraphValue | undefined,
  keyNorm: GraphValue | undefined,
): GraphValue[] {
  const { numHeads, numKeyValueHeads, headDim, rmsNormEps } = config;
  const byHead = reshape(g, qkv, [-1, numHeads + 2 * numKeyValueHeads, headDim]);
  const parts = split(g, byHead, [numHeads, numKeyValueHeads, numKeyValueHeads], 1, 3);
  const [rawQuery, rawKey, value] = parts as [GraphValue, GraphValue, GraphValue];
  const normed = (x: GraphValue, w: GraphValue | undefined) =>
    w === undefined ? x : rmsNorm(g, x, w, rmsNormEps);
  const q = rotate(g, toFloat32(g, normed(rawQuery, queryNorm)), angles, headDim);
  const k = rotate(g, toFloat32(g, normed(rawKey, keyNorm)), angles, headDim);
  const layOut = (x: GraphValue, groups: number) => {
    const grouped = reshape(g, cast(g, x, qkv.dtype), [-1, numKeyValueHeads, groups, headDim]);
    return transpose(g, grouped, [1, 2, 0, 3]);
  };
  const scaled = mul(g, q, 1 / Math.sqrt(headDim));
  const heads = [layOut(scaled, numHeads / numKeyValueHeads), layOut(k, 1), layOut(value, 1)];
  return queryNorm === undefined ? heads : [...heads, rawQuery, rawKey];
}

function headsBackward(
  g: GraphBuilder,
  config: ModelConfig,
  dtype: ComputeDType,
  values: readonly (GraphValue | undefined)[],
): GraphValue[] {
  const { numHeads, numKeyValueHeads, headDim, rmsNormEps } = config;
  const [dq, dk, dv, cos, sin, queryNorm, keyNorm, rawQuery, rawKey] = values;
  const byToken = (x: GraphValue, heads: number) =>
    reshape(g, transpose(g, x, [2, 0, 1, 3]), [-1, heads, headDim]);
  const angles = { cos: cos!, sin: sin! };
  const dScaled = mul(g, toFloat32(g, byToken(dq!, numHeads)), 1 / Math.sqrt(headDim));
  const dQuery = rotateGradient(g, dScaled, angles, headDim);
  const dKey = rotateGradient(g, toFloat32(g, byToken(dk!, numKeyValueHeads)), angles, headDim);
  const join = (q: GraphValue, k: GraphValue) => {
    const parts = [q, k, byToken(dv!, numKeyValueHeads)].map((part) => cast(g, part, dtype));
    return reshape(g, concat(g, parts, 1), [-1, (numHeads + 2 * numKeyValueHeads) * headDim]);
  };
  if (queryNorm === undefined) return [join(dQuery, dKey)];
  const query = rmsNormGradient(g, rawQuery!, queryNorm, dQuery, rmsNormEps, 3);
  const key = rmsNormGradient(g, rawKey!, keyNorm!, dKey, rmsNormEps, 3);
  return [join(query.dx, key.dx), query.dw, key.dw];
}
