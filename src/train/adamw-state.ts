/** What AdamW keeps of one parameter, in one of two precisions. */

import type { DType } from '../runtime/dtypes.js';
import type { Tensor } from '../runtime/tensor.js';
import type { GradientStore } from './gradient-store.js';

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** What the two moments are kept in. Default: float32. */
  moments?: 'float32' | '8bit';
}

/** The numbers of one update that all parameters share, float32 scalars on the device. */
export interface UpdateConstants {
  /** `lr sqrt(1 - b2^t) / (1 - b1^t)` and `eps sqrt(1 - b2^t)`: the moments' bias corrected exactly. */
  rate: Tensor;
  epsilon: Tensor;
  beta1: Tensor;
  beta2: Tensor;
  /** What gradients are scaled by. */
  factor: Tensor;
  /** `lr wd`. */
  decay: number;
}

/** One tensor of the state as checkpoints hold it. */
export interface StateTensor {
  /** Unique among a parameter's. */
  name: string;
  dtype: DType & ('float32' | 'uint8');
  shape: readonly number[];
  /** The value, read when asked for; the caller frees it. */
  read(): Tensor;
}

export interface ParameterState {
  /** One update from the gradient in `gradients`, which is freed; nothing where none came. */
  update(gradients: GradientStore, constants: UpdateConstants): void;
  tensors(): StateTensor[];
  /** Goes on from what {@link ParameterState.tensors} gave: `value` gives each by its name and is freed here. */
  restore(value: (tensor: StateTensor) => Tensor): void;
  dispose(): void;
}
