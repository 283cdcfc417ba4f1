/** Gradients of one optimizer step, on the device. */

import type { GradientRows } from '../models/passes.js';
import { attr } from '../runtime/attributes.js';
import { execute } from '../runtime/execute.js';
import { call, defineFunction, type GraphFunction } from '../runtime/graph-function.js';
import { disposeAll, scope, type Tensor, tensor } from '../runtime/tensor.js';
import { castTensor, zeros } from '../runtime/tensor-ops.js';
import { Variable } from '../runtime/variable.js';

type Held = { kind: 'once'; gradient: Tensor } | { kind: 'sum'; sum: Variable };

/**
 * Collects gradients by parameter. A gradient that comes once stays as it came (in the compute dtype: half the
 * memory); one that comes again is summed in float32, in place.
 */
export class GradientStore {
  readonly #held = new Map<string, Held>();

  /** Adds `gradient` to what there is for `id`, and owns it, and the indices of its rows, from here on. */
  add(id: string, gradient: Tensor, rows?: GradientRows): void {
    const held = this.#held.get(id);
    if (rows !== undefined) {
      this.#addRows(id, gradient, rows);
      return;
    }
    if (held === undefined) {
      this.#held.set(id, { kind: 'once', gradient });
      return;
    }
    const sum = held.kind === 'sum' ? held.sum : this.#startSum(id, held.gradient);
    scope(() => {
      execute(
        'AssignAddVariableOp',
        [sum.resource, castTensor(gradient, 'float32')],
        { dtype: attr.type('float32') },
        0,
      );
    });
    gradient.dispose();
  }

  /** The gradient of `id` as float32, or undefined if none came. The caller (or its scope) frees it. */
  read(id: string): Tensor | undefined {
    const gradient = this.readAsItCame(id);
    if (gradient === undefined || gradient.dtype === 'float32') return gradient;
    const cast = castTensor(gradient, 'float32');
    gradient.dispose();
    return cast;
  }

  /** The gradient of `id` in the dtype it came in, or undefined if none came. The caller (or its scope) frees it. */
  readAsItCame(id: string): Tensor | undefined {
    const held = this.#held.get(id);
    if (held === undefined) return undefined;
    return held.kind === 'sum' ? held.sum.read() : castTensor(held.gradient, held.gradient.dtype);
  }

  /** The 2-norm of all gradients together: a float32 scalar on the device. */
  norm(): Tensor {
    return scope(() => {
      const halves = [...this.#held.values()].map((held) => {
        const gradient = held.kind === 'sum' ? held.sum.read() : held.gradient;
        return call(halfSumOfSquares(gradient.dtype), [gradient])[0]!;
      });
      const T = { T: attr.type('float32') };
      const [half] = execute('AddN', halves, { N: attr.int(halves.length), ...T });
      const [total] = execute('AddV2', [half!, half!], T);
      return execute('Sqrt', [total!], T)[0]!;
    });
  }

  /** Frees the gradient of `id`, which has been used. */
  release(id: string): void {
    const held = this.#held.get(id);
    if (held?.kind === 'sum') held.sum.dispose();
    else held?.gradient.dispose();
    this.#held.delete(id);
  }

  dispose(): void {
    for (const id of [...this.#held.keys()]) this.release(id);
  }

  /** In place: a matrix of a vocabulary's size, made for a few rows, would be the largest thing in memory. */
  #addRows(id: string, gradient: Tensor, { indices, count }: GradientRows): void {
    const held = this.#held.get(id);
    if (held === undefined) this.#startZeros(id, [count, ...gradient.shape.slice(1)]);
    else if (held.kind === 'once') this.#startSum(id, held.gradient);
    const { sum } = this.#held.get(id) as { sum: Variable };
    // In the variable's own memory, which the value read shares. After ResourceScatterAdd every later read would copy.
    scope(() => execute('InplaceAdd', [sum.read(), indices, gradient], { T: attr.type('float32') }));
    disposeAll([gradient, indices]);
  }

  #startZeros(id: string, shape: readonly number[]): void {
    this.#held.set(id, { kind: 'sum', sum: scope(() => new Variable(zeros('float32', shape))) });
  }

  #startSum(id: string, first: Tensor): Variable {
    const sum = scope(() => new Variable(castTensor(first, 'float32')));
    first.dispose();
    this.#held.set(id, { kind: 'sum', sum });
    return sum;
  }
}

/** `min(1, maxNorm / (norm + 1e-6))`, as torch.nn.utils.clip_grad_norm_; 1 where `maxNorm` is 0. */
export function clipFactor(norm: Tensor, maxNorm: number): Tensor {
  const T = { T: attr.type('float32') };
  const constant = (value: number) => tensor('float32', [], [value]);
  if (maxNorm === 0) return constant(1);
  return scope(() => {
    const [shifted] = execute('AddV2', [norm, constant(1e-6)], T);
    const [ratio] = execute('RealDiv', [constant(maxNorm), shifted!], T);
    return execute('Minimum', [ratio!, constant(1)], T)[0]!;
  });
}

const sumFunctions = new Map<string, GraphFunction>();

/** `sum(x^2) / 2` */
function halfSumOfSquares(dtype: Tensor['dtype']): GraphFunction {
  let fn = sumFunctions.get(dtype);
  if (fn === undefined) {
    fn = defineFunction('half_sum_of_squares', (g) => {
      const x = g.input(dtype);
      const x32 =
        dtype === 'float32' ? x : g.op('Cast', [x], { SrcT: attr.type(dtype), DstT: attr.type('float32') });
      // Reduces as it squares: no second matrix of the embedding's size.
      return [g.op('L2Loss', [x32], { T: attr.type('float32') })];
    });
    sumFunctions.set(dtype, fn);
  }
  return fn;
}
