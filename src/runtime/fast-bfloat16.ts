/** Whether products of bfloat16 matrices are worth it on the runtime's device. */

import { readFileSync } from 'node:fs';
import { runsOnGpu } from './runtime.js';

/** What the processor says of itself, as Linux tells it. */
export interface ProcessorFeatures {
  vendor: string;
  flags: ReadonlySet<string>;
}

/**
 * Whether the runtime's device multiplies bfloat16 matrices faster than float32 ones. It goes by the processor's
 * features and not by a measurement, so that a run computes the same each time on the same machine.
 */
export function hasFastBfloat16(): boolean {
  return runsOnGpu() || multipliesBfloat16Fast(processorFeatures());
}

/**
 * AMX multiplies bfloat16 at 2 to 4 times the rate of float32, and so does AVX-512's bfloat16 dot product on AMD's
 * cores (measured: 800 against 400 GFLOP/s on two of them). On Intel's it has half of the units that float32 has
 * (measured where AMX is hidden from a virtual machine: 170 against 300), and without it every product is emulated.
 */
export function multipliesBfloat16Fast({ vendor, flags }: ProcessorFeatures): boolean {
  return (
    flags.has('amx_bf16') || (vendor === 'AuthenticAMD' && flags.has('avx512_bf16')) || flags.has('bf16')
  );
}

let features: ProcessorFeatures | undefined;

/** Empty where the system does not tell: then nothing counts as fast. */
function processorFeatures(): ProcessorFeatures {
  features ??= parseProcessorFeatures(readCpuInfo());
  return features;
}

/** Reads the first processor of `/proc/cpuinfo`; ARM writes `Features` for `flags`. */
export function parseProcessorFeatures(cpuInfo: string): ProcessorFeatures {
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(cpuInfo)?.[1] ?? '';
  return { vendor: field('vendor_id'), flags: new Set(field('(?:flags|Features)').split(/\s+/)) };
}

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}
