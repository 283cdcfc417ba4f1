/** A LoRA adapter's factors in TensorFlow's memory. */

import { keep, type Tensor } from '../runtime/tensor.js';
import type { LinearModule, LoraShape } from './lora-shape.js';
import { parameterAt } from './parameter-ids.js';

/** An adapter's size, factor and place. */
export interface LoraConfig {
  rank: number;
  alpha: number;
  dropout: number;
  modules: readonly LinearModule[];
  /** rsLoRA (Kalajdzievski 2023): scale by alpha / sqrt(r) instead of alpha / r. */
  useRslora: boolean;
}

/** Factors of every layer: `q_proj.A` `[r, in]`, `q_proj.B` `[out, r]`, ..., float32. */
export class LoraAdapter {
  readonly config: LoraConfig;
  readonly layers: Record<string, Tensor>[];

  constructor(config: LoraConfig, layers: Record<string, Tensor>[]) {
    this.config = config;
    this.layers = layers;
  }

  /** What the layer functions need to know, with dropout in training only. */
  shape(training: boolean): LoraShape {
    const { rank, alpha, dropout, modules, useRslora } = this.config;
    return { modules, scale: alpha / (useRslora ? Math.sqrt(rank) : rank), dropout: training ? dropout : 0 };
  }

  /** All factors by identifier (`layers.0.q_proj.A`). */
  entries(): [string, Tensor][] {
    return this.layers.flatMap((layer, i) =>
      Object.entries(layer).map(([name, factor]): [string, Tensor] => [`layers.${i}.${name}`, factor]),
    );
  }

  /** The factor called `id`. */
  parameter(id: string): Tensor {
    const { holder, name } = parameterAt(id, this.layers, {});
    return holder[name] as Tensor;
  }

  /** Replaces the factor called `id` and frees the old one. */
  replace(id: string, factor: Tensor): void {
    const { holder, name } = parameterAt(id, this.layers, {});
    holder[name]?.dispose();
    holder[name] = keep(factor);
  }

  dispose(): void {
    for (const [, factor] of this.entries()) factor.dispose();
  }
}
