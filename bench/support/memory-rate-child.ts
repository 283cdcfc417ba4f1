/** How fast the device reads its memory, measured in a process of its own; prints `{ bytesPerSecond }`. */

import { attr } from '../../src/runtime/attributes.js';
import { execute } from '../../src/runtime/execute.js';
import { type RuntimeOptions, startRuntime } from '../../src/runtime/runtime.js';
import { scope, type Tensor, tensor } from '../../src/runtime/tensor.js';
import { zeros } from '../../src/runtime/tensor-ops.js';
import { childInput } from './child.js';

export type MemoryRateRequest = Pick<RuntimeOptions, 'device' | 'threads'>;

export interface MemoryRateReport {
  bytesPerSecond: number;
}

/** More than any cache holds. */
const NUMBERS = 2 ** 28;
const ATTEMPTS = 9;

const { device, threads } = childInput<MemoryRateRequest>();
startRuntime({ ...(device && { device }), ...(threads !== undefined && { threads }) });
const report = scope((): MemoryRateReport => {
  const numbers = zeros('float32', [NUMBERS]);
  // The best of several: what slows reading down is other programs.
  const seconds = Array.from({ length: ATTEMPTS }, () => secondsToRead(numbers));
  return { bytesPerSecond: (4 * NUMBERS) / Math.min(...seconds) };
});
console.log(JSON.stringify(report));

/** The time of a sum of all numbers: one addition for four bytes. */
function secondsToRead(numbers: Tensor): number {
  return scope(() => {
    const begun = performance.now();
    const [sum] = execute('Sum', [numbers, tensor('int32', [1], [0])], {
      T: attr.type('float32'),
      Tidx: attr.type('int32'),
    });
    sum!.data();
    return (performance.now() - begun) / 1e3;
  });
}
