/** A parameter's state in float32: master weight and two moments, updated in place in one pass over memory. */

import { attr } from '../runtime/attributes.js';
import { execute } from '../runtime/execute.js';
import { scope, type Tensor, tensor } from '../runtime/tensor.js';
import { castTensor } from '../runtime/tensor-ops.js';
import { Variable } from '../runtime/variable.js';
import type { ParameterState, StateTensor, UpdateConstants } from './adamw-state.js';
import type { GradientStore } from './gradient-store.js';
import type { TrainableParameter } from './trainable-parameters.js';

const SLOTS = ['master', 'firstMoment', 'secondMoment'] as const;

export class Float32State implements ParameterState {
  readonly #parameter: TrainableParameter;
  /** The weight at full precision, of which the kernels' tensor is a copy in their dtype; and the moments. */
  readonly #slots: Record<(typeof SLOTS)[number], Variable>;

  constructor(parameter: TrainableParameter) {
    this.#parameter = parameter;
    this.#slots = scope(() => {
      const value = castTensor(parameter.current(), 'float32');
      const zeros = () => execute('ZerosLike', [value], { T: attr.type('float32') })[0]!;
      return {
        master: new Variable(value),
        firstMoment: new Variable(zeros()),
        secondMoment: new Variable(zeros()),
      };
    });
  }

  update(gradients: GradientStore, constants: UpdateConstants): void {
    const parameter = this.#parameter;
    const gradient = gradients.read(parameter.id);
    if (gradient === undefined) return;
    const { rate, epsilon, beta1, beta2, factor, decay } = constants;
    const [scaled] = execute('Mul', [gradient, factor], { T: attr.type('float32') });
    gradient.dispose();
    gradients.release(parameter.id);
    const { master, firstMoment, secondMoment } = this.#slots;
    const working = parameter.current();
    const { dtype } = working;
    // A float32 parameter is the master's own memory: freed first, so that the update need not copy it.
    if (dtype === 'float32') working.dispose();
    if (decay > 0 && parameter.decays) shrink(master, 1 - decay);
    const zero = tensor('float32', [], [0]);
    const resources = [master.resource, firstMoment.resource, secondMoment.resource];
    execute(
      'ResourceApplyAdam',
      // The op would correct the bias with powers of beta in float32; folded into the rate it is exact.
      [...resources, zero, zero, rate, beta1, beta2, epsilon, scaled!],
      { T: attr.type('float32'), use_locking: attr.bool(false), use_nesterov: attr.bool(false) },
      0,
    );
    parameter.replace(copyOf(master, dtype));
  }

  tensors(): StateTensor[] {
    return SLOTS.map((name) => {
      const variable = this.#slots[name];
      return { name, dtype: 'float32', shape: variable.shape, read: () => variable.read() };
    });
  }

  restore(value: (tensor: StateTensor) => Tensor): void {
    for (const each of this.tensors()) this.#slots[each.name as (typeof SLOTS)[number]].assign(value(each));
    this.#parameter.replace(copyOf(this.#slots.master, this.#parameter.current().dtype));
  }

  dispose(): void {
    for (const name of SLOTS) this.#slots[name].dispose();
  }
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
