/** AdamW (Loshchilov and Hutter 2019) with float32 master weights, updated in place on the device. */

import { CheckpointError } from '../errors.js';
import { attr } from '../runtime/attributes.js';
import { execute } from '../runtime/execute.js';
import { scope, type Tensor, tensor } from '../runtime/tensor.js';
import { castTensor } from '../runtime/tensor-ops.js';
import { Variable } from '../runtime/variable.js';
import type { GradientStore } from './gradient-store.js';
import type { TrainableParameter } from './trainable-parameters.js';

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
}

/** The state of one parameter, float32 each. */
interface Slots {
  /** The weight at full precision, of which the kernels' tensor is a copy in their dtype. */
  master: Variable;
  firstMoment: Variable;
  secondMoment: Variable;
}

/** Which tensors a checkpoint holds for each parameter. */
export const OPTIMIZER_SLOTS = ['master', 'firstMoment', 'secondMoment'] as const;
export type OptimizerSlot = (typeof OPTIMIZER_SLOTS)[number];

/**
 * With gradient g, step t: `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
 * `w = w (1 - lr wd) - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`, as torch.optim.AdamW.
 * The update of w, m and v is one pass over memory (ResourceApplyAdam).
 */
export class AdamW {
  readonly #parameters: readonly TrainableParameter[];
  /** What an update takes beside the gradients is largest for the largest: when it comes, the others' are gone. */
  readonly #smallestFirst: readonly TrainableParameter[];
  readonly #options: AdamWOptions;
  readonly #slots = new Map<string, Slots>();
  #steps = 0;

  constructor(parameters: readonly TrainableParameter[], options: AdamWOptions) {
    this.#parameters = parameters;
    this.#smallestFirst = parameters.toSorted((a, b) => a.current().byteLength - b.current().byteLength);
    this.#options = options;
    for (const parameter of parameters) this.#slots.set(parameter.id, newSlots(parameter.current()));
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
      // The op would correct the bias with powers of beta in float32; folded into the rate it is exact.
      const zero = scalar(0);
      const rate = scalar((learningRate * correction2) / correction1);
      const constants = [zero, zero, rate, scalar(beta1), scalar(beta2), scalar(epsilon * correction2)];
      for (const parameter of this.#smallestFirst) {
        scope(() => this.#update(parameter, gradients, constants, factor, learningRate * weightDecay));
      }
    });
  }

  #update(
    parameter: TrainableParameter,
    gradients: GradientStore,
    constants: readonly Tensor[],
    factor: Tensor,
    decay: number,
  ): void {
    const gradient = gradients.read(parameter.id);
    if (gradient === undefined) return;
    const [scaled] = execute('Mul', [gradient, factor], { T: attr.type('float32') });
    gradient.dispose();
    gradients.release(parameter.id);
    const { master, firstMoment, secondMoment } = this.#slotsOf(parameter.id);
    const working = parameter.current();
    const { dtype } = working;
    // A float32 parameter is the master's own memory: freed first, so that the update need not copy it.
    if (dtype === 'float32') working.dispose();
    if (decay > 0 && parameter.decays) shrink(master, 1 - decay);
    const resources = [master.resource, firstMoment.resource, secondMoment.resource];
    execute(
      'ResourceApplyAdam',
      [...resources, ...constants, scaled!],
      { T: attr.type('float32'), use_locking: attr.bool(false), use_nesterov: attr.bool(false) },
      0,
    );
    parameter.replace(copyOf(master, dtype));
  }

  /** Every slot's value, read when asked for (the caller frees it), by `slot` and parameter. */
  *state(): Generator<{ slot: OptimizerSlot; id: string; shape: readonly number[]; read: () => Tensor }> {
    for (const { id } of this.#parameters) {
      for (const slot of OPTIMIZER_SLOTS) {
        const variable = this.#slotsOf(id)[slot];
        yield { slot, id, shape: variable.shape, read: () => variable.read() };
      }
    }
  }

  /** Goes on from a checkpoint's state: `value` gives each slot, float32 and freed here. */
  restore(steps: number, value: (slot: OptimizerSlot, id: string) => Tensor): void {
    this.#steps = steps;
    for (const parameter of this.#parameters) {
      scope(() => {
        const slots = this.#slotsOf(parameter.id);
        for (const slot of OPTIMIZER_SLOTS) slots[slot].assign(value(slot, parameter.id));
        parameter.replace(copyOf(slots.master, parameter.current().dtype));
      });
    }
  }

  dispose(): void {
    for (const slots of this.#slots.values()) for (const slot of OPTIMIZER_SLOTS) slots[slot].dispose();
    this.#slots.clear();
  }

  #slotsOf(id: string): Slots {
    const slots = this.#slots.get(id);
    if (slots === undefined) throw new CheckpointError(`the optimizer has no parameter ${id}`);
    return slots;
  }
}

function newSlots(parameter: Tensor): Slots {
  return scope(() => {
    const zeros = () =>
      execute('ZerosLike', [castTensor(parameter, 'float32')], { T: attr.type('float32') })[0]!;
    return {
      master: new Variable(castTensor(parameter, 'float32')),
      firstMoment: new Variable(zeros()),
      secondMoment: new Variable(zeros()),
    };
  });
}

function shrink(master: Variable, factor: number): void {
  const value = master.read();
  const [smaller] = execute('Mul', [value, tensor('float32', [], [factor])], { T: attr.type('float32') });
  value.dispose();
  master.assign(smaller!);
}

/** The master's value in the kernels' dtype. */
function copyOf(master: Variable, dtype: Tensor['dtype']): Tensor {
  const value = master.read();
  if (dtype === 'float32') return value;
  return castTensor(value, dtype);
}
