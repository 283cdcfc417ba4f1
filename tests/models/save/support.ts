import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import type { LanguageModel } from '../../../src/models/language-model.js';
import { tokenLogits } from '../../../src/models/logits.js';
import type { LoraAdapter } from '../../../src/models/lora-adapter.js';
import { tensor } from '../../../src/runtime/tensor.js';

/** A function that makes temporary folders, all removed when the file's tests are done. */
export function temporaryFolders(): () => string {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-save-'));
    folders.push(folder);
    return folder;
  };
}

export async function logitsOf(model: LanguageModel, ids: readonly number[]): Promise<Float32Array> {
  const logits = await tokenLogits(model, ids);
  const values = logits.data() as Float32Array;
  logits.dispose();
  return values;
}

/** Largest absolute difference, over the largest absolute value that was expected. */
export function relativeDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return difference / scale;
}

/** Puts random numbers in an adapter's B factors, which are zero in a new one: now it changes the model. */
export function randomizeB(adapter: LoraAdapter, seed = 7, size = 0.2): void {
  adapter.entries().forEach(([id, factor], index) => {
    if (!id.endsWith('.B')) return;
    const random = createRandom(seed, index);
    const count = factor.shape.reduce((product, each) => product * each, 1);
    const values = Float32Array.from({ length: count }, () => size * random.normal());
    adapter.replace(id, tensor('float32', factor.shape, values));
  });
}
