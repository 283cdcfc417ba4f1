/** What this machine gives to training: measured, not looked up. */

import { availableParallelism, cpus, totalmem } from 'node:os';
import { attr } from './attributes.js';
import { execute } from './execute.js';
import { runsOnGpu } from './runtime.js';
import { scope, type Tensor, tensor } from './tensor.js';

export interface MachineReport {
  cpu: string;
  cores: number;
  memoryBytes: number;
  /** What a program may still take, as the system estimates it. */
  availableBytes: number;
}

/** Processor and memory; in a container whose memory is limited, the limit. */
export function machineReport(): MachineReport {
  const limit = process.constrainedMemory();
  const total = totalmem();
  const memoryBytes = limit > 0 && limit < total ? limit : total;
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes,
    availableBytes: Math.min(memoryBytes, process.availableMemory()),
  };
}

export interface MatmulRateOptions {
  /** Width of the square matrices. Default 1,024 on a CPU, 8,192 on a GPU. */
  width?: number;
  /** Least time to measure over, in milliseconds. Default 300. */
  leastMs?: number;
}

/**
 * Multiply-add operations a second (2 w³ for a product of width w) that the runtime's device reaches in large
 * matrix products of `dtype`, the best of three measurements.
 */
export function measureMatmulRate(dtype: 'float32' | 'bfloat16', options: MatmulRateOptions = {}): number {
  const onGpu = runsOnGpu();
  const { width = onGpu ? 8192 : 1024, leastMs = 300 } = options;
  return scope(() => {
    // A constant of 1 / w: every product is again such a matrix, so that no number overflows.
    const values = new Float32Array(width * width).fill(1 / width);
    const [matrix] = execute('Cast', [tensor('float32', [width, width], values)], {
      DstT: attr.type(dtype),
    }) as [Tensor];
    const seconds = (repeats: number) => timeProducts(matrix, repeats);
    seconds(1);
    let repeats = 1;
    while (seconds(repeats) * 1000 < leastMs / 3 && repeats < 4096) repeats *= 2;
    const best = Math.min(seconds(repeats), seconds(repeats), seconds(repeats));
    return (2 * width ** 3 * repeats) / best;
  });
}

/** Reading one element at the end waits for a device that works behind our back. */
function timeProducts(matrix: Tensor, repeats: number): number {
  return scope(() => {
    const start = performance.now();
    let product = matrix;
    for (let i = 0; i < repeats; i++) {
      const [next] = execute('MatMul', [product, matrix]) as [Tensor];
      if (product !== matrix) product.dispose();
      product = next;
    }
    const [row] = execute('Slice', [product, tensor('int32', [2], [0, 0]), tensor('int32', [2], [1, 1])]) as [
      Tensor,
    ];
    row.data();
    return (performance.now() - start) / 1000;
  });
}
