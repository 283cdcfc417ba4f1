/** A decoder's weights in TensorFlow's memory, with its adapter if it has one. */

import { CheckpointError } from '../errors.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import { hasFastBfloat16 } from '../runtime/fast-bfloat16.js';
import type { Tensors } from '../runtime/named-function.js';
import { keep, type Tensor, tensor } from '../runtime/tensor.js';
import { type HeadFunctions, headFunctions } from './head-functions.js';
import { LayerFunctions } from './layer-functions.js';
import type { LoraAdapter } from './lora-adapter.js';
import type { ModelConfig } from './model-config.js';
import { parameterAt } from './parameter-ids.js';
import { ropeFrequencies } from './rope-frequencies.js';

/**
 * Weights as the kernels take them. Linear weights are `[out, in]` in the model's dtype or float32; query, key and
 * value projections lie in one tensor.
 */
export interface ModelWeights {
  /** `[V, D]`. */
  embedding: Tensor;
  layers: Record<string, Tensor>[];
  /** `[D]`, float32. */
  finalNorm: Tensor;
  /** `[V, D]`; null where the embedding serves. */
  head: Tensor | null;
}

export interface LanguageModelOptions {
  /** Compile what lies between matrix products by XLA. Default false. */
  xla?: boolean;
  /**
   * What the passes over whole sequences multiply in. Default: the model's dtype, but float32 for a bfloat16 model where
   * the device multiplies float32 faster; activations are kept in bfloat16 all the same.
   */
  computeDtype?: ComputeDType;
}

/** A model on the runtime's device. Whoever loaded it disposes it. */
export class LanguageModel {
  readonly config: ModelConfig;
  /** What activations and caches are kept in. */
  readonly dtype: ComputeDType;
  /** What the passes over whole sequences multiply in. */
  readonly computeDtype: ComputeDType;
  readonly weights: ModelWeights;
  /** What matrices are stored in: `dtype`, or float32 where they are trained in bfloat16. */
  readonly weightDtype: ComputeDType;
  readonly functions: LayerFunctions;
  readonly headFunctions: HeadFunctions;
  /** float32 `[hd / 2]`. */
  readonly frequencies: Tensor;
  #adapter: LoraAdapter | null = null;

  constructor(
    config: ModelConfig,
    dtype: ComputeDType,
    weights: ModelWeights,
    { xla = false, computeDtype = fastestDtype(dtype) }: LanguageModelOptions = {},
  ) {
    this.config = config;
    this.dtype = dtype;
    this.computeDtype = computeDtype;
    this.weights = weights;
    this.weightDtype = weights.embedding.dtype as ComputeDType;
    const dtypes = { dtype: computeDtype, activationDtype: dtype, weightDtype: this.weightDtype };
    this.functions = new LayerFunctions(config, dtypes, xla);
    this.headFunctions = headFunctions(config, dtypes);
    this.frequencies = keep(tensor('float32', [config.headDim / 2], ropeFrequencies(config)));
  }

  /** The adapter that acts on top of the weights, if any. */
  get adapter(): LoraAdapter | null {
    return this.#adapter;
  }

  /** Puts an adapter on the model; the model owns it from here on. Throws CheckpointError if there is one already. */
  attach(adapter: LoraAdapter): void {
    if (this.#adapter !== null)
      throw new CheckpointError('the model has an adapter already; merge or detach it first');
    this.#adapter = adapter;
  }

  /** Takes the adapter off; the caller owns it then. */
  detach(): LoraAdapter | null {
    const adapter = this.#adapter;
    this.#adapter = null;
    return adapter;
  }

  /** The output layer's matrix, `[V, D]`: the head, or the embedding where they are tied. */
  get head(): Tensor {
    return this.weights.head ?? this.weights.embedding;
  }

  /** Inputs of layer `index`'s functions, with the adapter's factors where `adapter` is on. */
  layerInputs(index: number, adapter: LoraAdapter | null): Tensors {
    const own = this.weights.layers[index] as Record<string, Tensor>;
    return adapter === null ? own : { ...own, ...adapter.layers[index] };
  }

  /** All weights by identifier (`embedding`, `layers.0.qkv`, `finalNorm`, `head`). */
  entries(): [string, Tensor][] {
    const { embedding, layers, finalNorm, head } = this.weights;
    const inLayers = layers.flatMap((layer, i) =>
      Object.entries(layer).map(([name, weight]): [string, Tensor] => [`layers.${i}.${name}`, weight]),
    );
    return [
      ['embedding', embedding],
      ...inLayers,
      ['finalNorm', finalNorm],
      ...(head === null ? [] : ([['head', head]] satisfies [string, Tensor][])),
    ];
  }

  /** The weight called `id` (as in {@link entries}). */
  parameter(id: string): Tensor {
    const { holder, name } = this.#at(id);
    return holder[name] as Tensor;
  }

  /** Replaces the weight called `id` and frees the old one. */
  replace(id: string, weight: Tensor): void {
    const { holder, name } = this.#at(id);
    holder[name]?.dispose();
    holder[name] = keep(weight);
  }

  #at(id: string) {
    return parameterAt(id, this.weights.layers, this.weights as unknown as Record<string, Tensor>);
  }

  dispose(): void {
    for (const [, weight] of this.entries()) weight.dispose();
    this.frequencies.dispose();
    this.#adapter?.dispose();
    this.#adapter = null;
  }
}

function fastestDtype(dtype: ComputeDType): ComputeDType {
  return dtype === 'bfloat16' && !hasFastBfloat16() ? 'float32' : dtype;
}
