import * as tf from '@tensorflow/tfjs';
import { createRandom } from '../../src/data/random.js';
import { lowRankUpdate } from '../../src/kernels/linear.js';
import type { DType } from '../../src/runtime/dtypes.js';
import type { GraphBuilder, GraphValue } from '../../src/runtime/graph-function.js';
import { callNamed, defineNamed, type NamedFunction } from '../../src/runtime/named-function.js';
import { bfloat16ToFloat32, float32ToBfloat16, scope, tensor } from '../../src/runtime/tensor.js';

/** A tensor on the host. */
export interface Value {
  dtype: 'float32' | 'int32';
  shape: number[];
  data: number[];
}

export type Values = Record<string, Value>;
export type Graph = Record<string, GraphValue>;
export type TfTensors = Record<string, tf.Tensor>;

let stream = 0;

/** Normally distributed numbers, others at each call. */
export function normal(shape: number[], { scale = 1, mean = 0 } = {}): Value {
  const random = createRandom(17, stream++);
  const count = shape.reduce((a, b) => a * b, 1);
  return {
    dtype: 'float32',
    shape,
    data: Array.from({ length: count }, () => Math.fround(mean + scale * random.normal())),
  };
}

export function integers(data: readonly number[], shape = [data.length]): Value {
  return { dtype: 'int32', shape, data: [...data] };
}

/** A kernel under test, and its meaning. */
export interface KernelCase {
  title: string;
  inputs: Values;
  /** Inputs that have the compute dtype; the others are float32 or int32 always. */
  compute: string[];
  /** Whether XLA may compile it. */
  xla: boolean;
  /** Largest error in bfloat16, as a share of the largest value; forward and backward. */
  bfloat16Tolerance: number;
  forward(g: GraphBuilder, v: Graph): GraphValue;
  oracle(t: TfTensors): tf.Tensor;
  /** Gradients by the inputs' names, from `v.dy`; with it the kernel is checked backward too. */
  backward?(g: GraphBuilder, v: Graph): Graph;
  /** dtype of the incoming gradient. Default: the compute dtype. */
  gradientDtype?: 'float32';
}

export type Precision = 'float32' | 'bfloat16';

/** The values as a kernel of this precision gets them: those of the compute dtype rounded. */
export function rounded(
  { inputs, compute }: Pick<KernelCase, 'inputs' | 'compute'>,
  precision: Precision,
): Values {
  if (precision === 'float32') return inputs;
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [
      name,
      compute.includes(name) ? { ...value, data: roundToBfloat16(value.data) } : value,
    ]),
  );
}

export function roundToBfloat16(data: readonly number[]): number[] {
  return Array.from(bfloat16ToFloat32(float32ToBfloat16(Float32Array.from(data))));
}

function dtypesOf({ inputs, compute }: Pick<KernelCase, 'inputs' | 'compute'>, precision: Precision) {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype }]): [string, DType] => [
      name,
      compute.includes(name) ? precision : dtype,
    ]),
  );
}

/** The kernel as a graph function with the output `y`. */
export function forwardFunction(kernel: KernelCase, precision: Precision, xla = false): NamedFunction {
  return defineNamed('kernel', dtypesOf(kernel, precision), (g, v) => ({ y: kernel.forward(g, v) }), { xla });
}

/** Its gradients as a graph function of the inputs and `dy`. */
export function backwardFunction(kernel: KernelCase, precision: Precision, xla = false): NamedFunction {
  const inputs = { ...dtypesOf(kernel, precision), dy: kernel.gradientDtype ?? precision };
  return defineNamed('kernel_gradient', inputs, (g, v) => kernel.backward!(g, v), { xla });
}

/** Runs a function on host values and reads its outputs. */
export function evaluate(
  fn: NamedFunction,
  inputs: Values,
  dtypes: Readonly<Record<string, DType>> = {},
): Record<string, number[]> {
  return scope(() => {
    const placed = Object.fromEntries(
      Object.entries(inputs).map(([name, { dtype, shape, data }]) => [
        name,
        tensor(dtypes[name] ?? dtype, shape, data),
      ]),
    );
    const outputs = callNamed(fn, placed);
    return Object.fromEntries(Object.entries(outputs).map(([name, y]) => [name, y.toNumbers()]));
  });
}

export function evaluateForward(kernel: KernelCase, precision: Precision, xla = false): number[] {
  return evaluate(forwardFunction(kernel, precision, xla), kernel.inputs, dtypesOf(kernel, precision)).y!;
}

export function evaluateBackward(
  kernel: KernelCase,
  precision: Precision,
  dy: Value,
  xla = false,
): Record<string, number[]> {
  const dtypes = { ...dtypesOf(kernel, precision), dy: kernel.gradientDtype ?? precision };
  return evaluate(backwardFunction(kernel, precision, xla), { ...kernel.inputs, dy }, dtypes);
}

function toTfjs({ dtype, shape, data }: Value): tf.Tensor {
  return tf.tensor(data, shape, dtype);
}

/** What the oracle gives, with its shape. */
export function evaluateOracle(kernel: KernelCase, precision: Precision): Value {
  return tf.tidy(() => {
    const inputs = Object.entries(rounded(kernel, precision)).map(([name, value]) => [name, toTfjs(value)]);
    const y = kernel.oracle(Object.fromEntries(inputs));
    return { dtype: 'float32', shape: y.shape, data: Array.from(y.dataSync()) };
  });
}

/** Gradients of `sum(dy * oracle)` by tfjs for the inputs in `names`. */
export function oracleGradients(
  kernel: KernelCase,
  precision: Precision,
  dy: Value,
  names: readonly string[],
): Record<string, number[]> {
  return tf.tidy(() => {
    const values = rounded(kernel, precision);
    const fixed = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toTfjs(value)]));
    const loss = (...xs: tf.Tensor[]) => {
      const free = Object.fromEntries(names.map((name, i) => [name, xs[i]!]));
      return kernel
        .oracle({ ...fixed, ...free })
        .mul(toTfjs(dy))
        .sum();
    };
    const gradients = tf.grads(loss)(names.map((name) => fixed[name]!));
    return Object.fromEntries(names.map((name, i) => [name, Array.from(gradients[i]!.dataSync())]));
  });
}

/**
 * `d sum(dy * kernel) / d input[i]` by fourth-order central differences of the float32 kernel, for up to 24 elements
 * spread over the input.
 */
export function centralDifferences(
  kernel: KernelCase,
  fn: NamedFunction,
  dy: Value,
  name: string,
  step = 0.04,
): { indices: number[]; slopes: number[] } {
  const { data } = kernel.inputs[name]!;
  const objective = (i: number, delta: number) => {
    const moved = data.slice();
    moved[i]! += delta;
    const { y } = evaluate(fn, { ...kernel.inputs, [name]: { ...kernel.inputs[name]!, data: moved } });
    return y!.reduce((sum, value, j) => sum + value * dy.data[j]!, 0);
  };
  const stride = Math.max(1, Math.floor(data.length / 24));
  const indices = Array.from({ length: Math.ceil(data.length / stride) }, (_, i) => i * stride);
  const slopes = indices.map((i) => {
    const difference = (h: number) => objective(i, h) - objective(i, -h);
    return (8 * difference(step) - difference(2 * step)) / (12 * step);
  });
  return { indices, slopes };
}

/** What a dropout of this seed multiplies an input by: seen through an update whose factors do nothing else. */
export function drawnDropout(rate: number, seed: Value, [rows, columns]: [number, number]): Value {
  const identity = Array.from({ length: columns ** 2 }, (_, i) => (i % (columns + 1) === 0 ? 1 : 0));
  const square: Value = { dtype: 'float32', shape: [columns, columns], data: identity };
  const fn = defineNamed('dropout', { x: 'float32', a: 'float32', b: 'float32', seed: 'int32' }, (g, v) => ({
    y: lowRankUpdate(g, v.x!, { a: v.a!, b: v.b!, scale: 1, dropout: { rate, seed: v.seed! } }),
  }));
  const ones = new Array<number>(rows * columns).fill(1);
  const x: Value = { dtype: 'float32', shape: [rows, columns], data: ones };
  return { ...x, data: evaluate(fn, { x, a: square, b: square, seed }).y! };
}
