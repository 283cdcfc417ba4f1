/** The rate of one matrix product, measured in a process of its own; prints `{ flopsPerSecond }`. */

import { attr } from '../../src/runtime/attributes.js';
import { execute } from '../../src/runtime/execute.js';
import { type RuntimeOptions, startRuntime } from '../../src/runtime/runtime.js';
import { scope, type Tensor, tensor } from '../../src/runtime/tensor.js';
import { childInput } from './child.js';

export interface MatmulRequest extends Pick<RuntimeOptions, 'device' | 'threads'> {
  dtype: 'bfloat16' | 'float32';
  /** `[rows, inner] x [inner, columns]` */
  shape: readonly [rows: number, inner: number, columns: number];
}

export interface MatmulReport {
  /** Multiply-adds count as two. */
  flopsPerSecond: number;
}

const LEAST_SECONDS = 0.3;
const ATTEMPTS = 7;

const { device, threads, dtype, shape } = childInput<MatmulRequest>();
startRuntime({ ...(device && { device }), ...(threads !== undefined && { threads }) });
const [rows, inner, columns] = shape;
const report = scope((): MatmulReport => {
  const a = ones([rows, inner]);
  const b = ones([inner, columns]);
  let repeats = 1;
  while (productSeconds(a, b, repeats) < LEAST_SECONDS) repeats *= 2;
  // The best of several: what slows a product down is other programs.
  const best = Math.min(...Array.from({ length: ATTEMPTS }, () => productSeconds(a, b, repeats)));
  return { flopsPerSecond: (2 * rows * inner * columns * repeats) / best };
});
console.log(JSON.stringify(report));

function ones(size: readonly number[]): Tensor {
  const values = new Float32Array(size.reduce((product, each) => product * each, 1)).fill(1);
  return execute('Cast', [tensor('float32', size, values)], { DstT: attr.type(dtype) })[0] as Tensor;
}

/** Time of `repeats` products. Reading a number at the end waits for a device that works behind our back. */
function productSeconds(a: Tensor, b: Tensor, repeats: number): number {
  return scope(() => {
    const begun = performance.now();
    let last: Tensor | undefined;
    for (let i = 0; i < repeats; i++) {
      last?.dispose();
      [last] = execute('MatMul', [a, b]) as [Tensor];
    }
    const corner = [tensor('int32', [2], [0, 0]), tensor('int32', [2], [1, 1])];
    (execute('Slice', [last as Tensor, ...corner])[0] as Tensor).data();
    return (performance.now() - begun) / 1e3;
  });
}
