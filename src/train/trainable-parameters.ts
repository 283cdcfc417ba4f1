/** What a run trains: the adapter's factors where the model has an adapter, else all weights. */

import type { LanguageModel } from '../models/language-model.js';
import type { Tensor } from '../runtime/tensor.js';

export interface TrainableParameter {
  /** As gradients are named: `layers.0.qkv`, `embedding`, `layers.0.q_proj.A`. */
  id: string;
  /** Whether weight decay applies: not to norms and biases, as in transformers' trainer. */
  decays: boolean;
  /** The tensor that the kernels use now. */
  current(): Tensor;
  /** Puts another in its place and frees the old one. */
  replace(value: Tensor): void;
}

export function trainableParameters(model: LanguageModel): TrainableParameter[] {
  const holder = model.adapter ?? model;
  return holder.entries().map(([id]) => ({
    id,
    decays: !/norm$|bias$/i.test(id),
    current: () => holder.parameter(id),
    replace: (value) => holder.replace(id, value),
  }));
}
