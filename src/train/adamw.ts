/** AdamW (Loshchilov and Hutter 2019) with float32 master weights, updated in place on the device. */

import { CheckpointError } from '../errors.js';
import { elementCount } from '../runtime/dtypes.js';
import { disposeAll, scope, type Tensor, tensor } from '../runtime/tensor.js';
import { EightBitState, LEAST_QUANTIZED } from './adamw-8bit.js';
import { type MomentTables, momentTables } from './adamw-8bit-update.js';
import { Float32State } from './adamw-float32.js';
import type { AdamWOptions, ParameterState, StateTensor } from './adamw-state.js';
import type { GradientStore } from './gradient-store.js';
import type { TrainableParameter } from './trainable-parameters.js';

export type { AdamWOptions } from './adamw-state.js';

/** A tensor of the state and the parameter it belongs to. */
export interface OptimizerTensor extends StateTensor {
  id: string;
}

/**
 * With gradient g, step t: `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
 * `w = w (1 - lr wd) - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`, as torch.optim.AdamW.
 *
 * Between two updates m and v are kept in float32, or in 8 bits, which takes 2 bytes a weight in place of 8.
 */
export class AdamW {
  readonly #parameters: readonly TrainableParameter[];
  /** What an update takes beside the gradients is largest for the largest: when it comes, the others' are gone. */
  readonly #smallestFirst: readonly TrainableParameter[];
  readonly #options: AdamWOptions;
  readonly #states = new Map<string, ParameterState>();
  readonly #tables: MomentTables | null;
  #steps = 0;

  constructor(parameters: readonly TrainableParameter[], options: AdamWOptions) {
    this.#parameters = parameters;
    this.#smallestFirst = parameters.toSorted((a, b) => a.current().byteLength - b.current().byteLength);
    this.#options = options;
    const tables = options.moments === '8bit' ? momentTables() : null;
    this.#tables = tables;
    for (const parameter of parameters) {
      const quantized = tables !== null && elementCount(parameter.current().shape) >= LEAST_QUANTIZED;
      const state = quantized ? new EightBitState(parameter, tables) : new Float32State(parameter);
      this.#states.set(parameter.id, state);
    }
  }

  /** Updates made so far. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * One update. Each gradient is scaled by `factor` (a float32 scalar, see clipFactor) and freed once it is used.
   */
  step(gradients: GradientStore, learningRate: number, factor: Tensor): void {
    this.#steps++;
    const { beta1, beta2, epsilon, weightDecay } = this.#options;
    const correction1 = 1 - beta1 ** this.#steps;
    const correction2 = Math.sqrt(1 - beta2 ** this.#steps);
    const scalar = (value: number) => tensor('float32', [], [value]);
    scope(() => {
      const constants = {
        rate: scalar((learningRate * correction2) / correction1),
        epsilon: scalar(epsilon * correction2),
        ...{ beta1: scalar(beta1), beta2: scalar(beta2), factor, decay: learningRate * weightDecay },
      };
      for (const { id } of this.#smallestFirst) {
        scope(() => this.#stateOf(id).update(gradients, constants));
      }
    });
  }

  /** Every tensor of the state, by parameter. */
  *state(): Generator<OptimizerTensor> {
    for (const { id } of this.#parameters) {
      for (const each of this.#stateOf(id).tensors()) yield { ...each, id };
    }
  }

  /** Goes on from a checkpoint's state: `value` gives each tensor, which is freed here. */
  restore(steps: number, value: (wanted: OptimizerTensor) => Tensor): void {
    this.#steps = steps;
    for (const { id } of this.#parameters) {
      scope(() => this.#stateOf(id).restore((wanted) => value({ ...wanted, id })));
    }
  }

  dispose(): void {
    for (const state of this.#states.values()) state.dispose();
    this.#states.clear();
    disposeAll(this.#tables ?? []);
  }

  #stateOf(id: string): ParameterState {
    const state = this.#states.get(id);
    if (state === undefined) throw new CheckpointError(`the optimizer has no parameter ${id}`);
    return state;
  }
}
