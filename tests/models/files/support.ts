import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { CheckpointError } from '../../../src/errors.js';
import type { TensorToWrite } from '../../../src/models/safetensors-write.js';
import type { WeightDtype, WeightSource } from '../../../src/models/weight-source.js';
import { weightDtypeSize } from '../../../src/models/weight-source.js';
import { elementCount } from '../../../src/runtime/dtypes.js';

/** A function that makes temporary folders, all removed after each test. */
export function temporaryFolders(): () => string {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-files-'));
    folders.push(folder);
    return folder;
  };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The bytes of a tensor, as they are stored. */
export function rawBytes(source: WeightSource, name: string): Uint8Array {
  const bytes = new Uint8Array(source.tensors.get(name)!.byteLength);
  source.read(name, bytes);
  return bytes;
}

/** A tensor whose bytes count up from `start`. */
export function countingTensor(name: string, dtype: WeightDtype, shape: number[], start = 0): TensorToWrite {
  const length = elementCount(shape) * weightDtypeSize(dtype);
  return { name, dtype, shape, bytes: () => Uint8Array.from({ length }, (_, i) => (start + i) & 255) };
}

/** The CheckpointError that `run` throws; anything else fails the test. */
export function checkpointErrorOf(run: () => unknown): CheckpointError {
  try {
    run();
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
  throw new Error('A CheckpointError was expected; nothing was thrown.');
}

/** Damage for fuzzing: bytes flipped at places (as shares of the length), then perhaps cut or lengthened. */
export interface Damage {
  flips: { place: number; value: number }[];
  keep: number | null;
  append: number;
}

export function damaged(
  bytes: Uint8Array,
  { flips, keep, append }: Damage,
  within = bytes.length,
): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const { place, value } of flips) copy[Math.floor(place * (within - 1))] = value;
  const kept = keep === null ? copy : copy.subarray(0, Math.floor(keep * copy.length));
  const result = new Uint8Array(kept.length + append);
  result.set(kept);
  return result;
}
