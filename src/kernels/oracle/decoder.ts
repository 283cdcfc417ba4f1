/** A whole decoder of the Llama family in plain tfjs operations, from weights by Hugging Face's names. */

import * as tf from '@tensorflow/tfjs';
import { ShapeError } from '../../errors.js';
import { attention, type RowLayout, visibility } from './attention.js';
import { embed, type LowRankFactors, linear, lowRankUpdate, rmsNorm, rotate, swiglu } from './layers.js';

/** The part of a model's configuration that its computation depends on. */
export interface DecoderShape {
  numLayers: number;
  /** Query heads H. */
  numHeads: number;
  /** Key/value heads KV; divides H. */
  numKeyValueHeads: number;
  headDim: number;
  rmsNormEps: number;
  /** A token sees itself and this many minus one before it; null: all before it. */
  slidingWindow: number | null;
}

/** `model.embed_tokens.weight` and so on. A bias or a query/key norm acts where it is among the weights. */
export type DecoderWeights = Readonly<Record<string, tf.Tensor>>;

export interface OracleDecoderOptions {
  /** Rotary angle a position, `[hd / 2]`, scaled as the model does. */
  frequencies: ArrayLike<number>;
  /** Low-rank updates by module, e.g. `model.layers.0.self_attn.q_proj`. Default: none. */
  adapters?: Readonly<Record<string, LowRankFactors>>;
}

/** A sequence on its own, as a row without responses. */
export function sequenceLayout(tokens: number): RowLayout {
  return { sizes: [tokens, 0, 0, 0], positions: Array.from({ length: tokens }, (_, i) => i) };
}

/**
 * The residual stream of a packed row, `[N, D]` each: the embeddings, then what each layer hands on, the last one
 * behind the final norm. Differentiable with respect to the weights and adapters; the caller disposes it.
 *
 * @param ids Token ids, `[N]`
 * @throws ShapeError where a weight is missing
 */
export function decoderHiddenStates(
  shape: DecoderShape,
  weights: DecoderWeights,
  ids: ArrayLike<number>,
  layout: RowLayout,
  { frequencies, adapters = {} }: OracleDecoderOptions,
): tf.Tensor2D[] {
  const seen = visibility(layout, shape.slidingWindow);
  const weight = (name: string): tf.Tensor => {
    const found = weights[name];
    if (found === undefined) throw new ShapeError(`expected a weight called ${name}, got none`);
    return found;
  };
  const project = (module: string, x: tf.Tensor2D) => {
    const y = linear(x, weight(`${module}.weight`) as tf.Tensor2D, weights[`${module}.bias`]);
    const adapter = adapters[module];
    return adapter === undefined ? y : y.add<tf.Tensor2D>(lowRankUpdate(x, adapter));
  };
  const norm = <T extends tf.Tensor>(module: string, x: T) =>
    rmsNorm(x, weight(`${module}.weight`), shape.rmsNormEps);

  const selfAttention = (module: string, x: tf.Tensor2D) => {
    const { numHeads, numKeyValueHeads, headDim } = shape;
    const heads = (name: string, count: number) =>
      project(`${module}.${name}_proj`, x).reshape<tf.Tensor3D>([-1, count, headDim]);
    const positioned = (name: string, count: number) => {
      const raw = heads(name, count);
      const hasNorm = weights[`${module}.${name}_norm.weight`] !== undefined;
      return rotate(hasNorm ? norm(`${module}.${name}_norm`, raw) : raw, layout.positions, frequencies);
    };
    const q = positioned('q', numHeads);
    const k = positioned('k', numKeyValueHeads);
    const output = attention(q, k, heads('v', numKeyValueHeads), seen);
    return project(`${module}.o_proj`, output.reshape<tf.Tensor2D>([-1, numHeads * headDim]));
  };
  const feedForward = (module: string, x: tf.Tensor2D) =>
    project(
      `${module}.down_proj`,
      swiglu(project(`${module}.gate_proj`, x), project(`${module}.up_proj`, x)),
    );

  return tf.tidy(() => {
    const stream = [
      embed(weight('model.embed_tokens.weight') as tf.Tensor2D, tf.tensor1d(Array.from(ids), 'int32')),
    ];
    for (let i = 0; i < shape.numLayers; i++) {
      const layer = `model.layers.${i}`;
      const x = stream[i] as tf.Tensor2D;
      const middle = x.add<tf.Tensor2D>(
        selfAttention(`${layer}.self_attn`, norm(`${layer}.input_layernorm`, x)),
      );
      stream.push(
        middle.add<tf.Tensor2D>(
          feedForward(`${layer}.mlp`, norm(`${layer}.post_attention_layernorm`, middle)),
        ),
      );
    }
    return [...stream.slice(0, -1), norm('model.norm', stream.at(-1) as tf.Tensor2D)];
  });
}

/** The output layer's matrix, `[V, D]`: `lm_head.weight`, or the embedding where there is none. */
export function decoderHead(weights: DecoderWeights): tf.Tensor2D {
  return (weights['lm_head.weight'] ?? weights['model.embed_tokens.weight']) as tf.Tensor2D;
}
