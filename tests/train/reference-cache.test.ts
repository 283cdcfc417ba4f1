import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TokenizedPair } from '../../src/data/tokenize.js';
import { createLoraAdapter } from '../../src/models/create-adapter.js';
import { type LoadedModel, loadModel } from '../../src/models/load-model.js';
import { memory, tensor } from '../../src/runtime/tensor.js';
import { pairLogps } from '../../src/train/pair-logps.js';
import { openReferenceLogps, type ReferenceProgress } from '../../src/train/reference-cache.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { randomPairs } from './random-pairs.js';

const STORE = 'reference-logps.lmdb';
const folders: string[] = [];
let loaded: LoadedModel;
let modelFolder: string;
let fingerprint: string;

beforeAll(async () => {
  modelFolder = folder();
  writeTinyModel(modelFolder);
  loaded = await loadModel(modelFolder, { dtype: 'float32' });
  fingerprint = await loaded.fingerprint();
});

afterAll(() => {
  loaded.dispose();
  for (const each of folders) rmSync(each, { recursive: true, force: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'persona-dpo-reference-'));
  folders.push(path);
  return path;
}

const pairs = randomPairs(12);

function openWith(cacheDir: string | null, rest: object = {}, which: readonly TokenizedPair[] = pairs) {
  return openReferenceLogps(loaded.model, which, { cacheDir, fingerprint, tokenBudget: 100, ...rest });
}

/** Opens, reads all values, closes. */
async function valuesAt(cacheDir: string | null, rest: object = {}, which: readonly TokenizedPair[] = pairs) {
  const reference = await openWith(cacheDir, rest, which);
  const { computed, cached } = reference;
  const values = which.map((pair) => reference.lookup(pair));
  await reference.close();
  return { computed, cached, values };
}

describe('reference log-probabilities', () => {
  it.each(['on disk', 'in memory'])(
    '%s are those of the model, in order of the pairs asked for',
    async (where) => {
      const before = memory().tensors;
      const { computed, cached, values } = await valuesAt(where === 'on disk' ? folder() : null);
      expect([computed, cached]).toEqual([12, 0]);
      let i = 0;
      for await (const { chosenLogps, rejectedLogps } of pairLogps(loaded.model, pairs, {
        tokenBudget: 100,
      })) {
        expect(values[i]).toEqual({ chosen: chosenLogps, rejected: rejectedLogps });
        i++;
      }
      expect(memory().tensors).toBe(before);
    },
  );

  it('are computed once, and a changed pair costs only itself', async () => {
    const cacheDir = folder();
    const first = await valuesAt(cacheDir);
    const second = await valuesAt(cacheDir);
    expect(second).toEqual({ computed: 0, cached: 12, values: first.values });
    const changed = pairs.map((pair, i) => (i === 5 ? { ...pair, chosenIds: [...pair.chosenIds, 3] } : pair));
    const third = await valuesAt(cacheDir, {}, changed);
    expect([third.computed, third.cached]).toEqual([1, 11]);
    expect(third.values[4]).toEqual(first.values[4]);
    expect(third.values[5]!.chosen).toHaveLength(pairs[5]!.chosenIds.length + 1);
  });

  it('know the same ids divided otherwise as another pair', async () => {
    const cacheDir = folder();
    const one = { id: 'a', promptIds: [5, 6], chosenIds: [7, 8], rejectedIds: [9] };
    const other = { id: 'a', promptIds: [5, 6], chosenIds: [7], rejectedIds: [8, 9] };
    await valuesAt(cacheDir, {}, [one]);
    expect(await valuesAt(cacheDir, {}, [other])).toMatchObject({ computed: 1, cached: 0 });
  });

  it('compute a pair that comes twice once, whatever it is called', async () => {
    const twice = [pairs[0]!, { ...pairs[0]!, id: 'again' }];
    const { computed, values } = await valuesAt(null, {}, twice);
    expect(computed).toBe(1);
    expect(values[1]).toEqual(values[0]);
  });

  it('are not used for other weights, another adapter or another dtype', async () => {
    const cacheDir = folder();
    const plain = await valuesAt(cacheDir);
    expect(await valuesAt(cacheDir, { fingerprint: 'other' })).toMatchObject({ computed: 12, cached: 0 });
    const adapter = createLoraAdapter(loaded.model, { rank: 2 });
    adapter.replace('layers.0.q_proj.B', tensor('float32', [32, 2], new Float32Array(64).fill(0.5)));
    const adapted = await valuesAt(cacheDir, { adapter });
    expect(adapted.computed).toBe(12);
    expect(adapted.values).not.toEqual(plain.values);
    adapter.replace('layers.1.q_proj.B', tensor('float32', [32, 2], new Float32Array(64).fill(0.1)));
    expect(await valuesAt(cacheDir, { adapter })).toMatchObject({ computed: 12 });
    expect(await valuesAt(cacheDir, { adapter })).toMatchObject({ computed: 0 });
    adapter.dispose();
    const narrow = await loadModel(modelFolder, { dtype: 'bfloat16' });
    const reference = await openReferenceLogps(narrow.model, pairs, { cacheDir, fingerprint });
    expect(reference.computed).toBe(12);
    await reference.close();
    narrow.dispose();
    // Weights under full training are rounded when they are used, which gives other last bits.
    const wide = await loadModel(modelFolder, { dtype: 'bfloat16', weightDtype: 'float32' });
    const ofWide = await openReferenceLogps(wide.model, pairs, { cacheDir, fingerprint });
    expect(ofWide.computed).toBe(12);
    await ofWide.close();
    wide.dispose();
    expect(await valuesAt(cacheDir)).toEqual({ computed: 0, cached: 12, values: plain.values });
  });

  it('leave out the adapter on the model unless it is the reference', async () => {
    const plain = await valuesAt(null);
    const adapter = createLoraAdapter(loaded.model, { rank: 2 });
    adapter.replace('layers.0.v_proj.B', tensor('float32', [16, 2], new Float32Array(32).fill(0.5)));
    loaded.model.attach(adapter);
    expect(await valuesAt(null)).toEqual(plain);
    loaded.model.detach()!.dispose();
  });

  it('go on after an interruption with the same values bit for bit', async () => {
    const uninterrupted = await valuesAt(folder());
    const cacheDir = folder();
    const stop = new AbortController();
    const calls: ReferenceProgress[] = [];
    const onProgress = (progress: ReferenceProgress) => {
      calls.push(progress);
      if (progress.done > 0) stop.abort();
    };
    await expect(openWith(cacheDir, { signal: stop.signal, onProgress })).rejects.toThrow(/abort/i);
    const { done } = calls.at(-1)!;
    expect(calls[0]).toEqual({ done: 0, total: 12, cached: 0 });
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(12);
    const resumed = await valuesAt(cacheDir);
    expect(resumed).toEqual({ computed: 12 - done, cached: done, values: uninterrupted.values });
  });

  it('refuse pairs they were not opened with', async () => {
    const reference = await openWith(null);
    expect(() => reference.lookup(randomPairs(1, 9)[0]!)).toThrow(/pair-9-0 are not there/);
    await reference.close();
  });
});

describe('which pairs share a pass', () => {
  it.each(['float32', 'bfloat16'] as const)('changes values in %s by rounding only', async (dtype) => {
    const { model, dispose } = await loadModel(modelFolder, { dtype });
    const score = async (tokenBudget: number, padToMultipleOf: number) => {
      const values: number[] = [];
      for await (const { chosenLogps, rejectedLogps } of pairLogps(model, pairs, {
        tokenBudget,
        padToMultipleOf,
      }))
        values.push(...chosenLogps, ...rejectedLogps);
      return values;
    };
    const alone = await score(1, 1);
    for (const together of [await score(10_000, 1), await score(100, 64)]) {
      const worst = Math.max(...together.map((value, i) => Math.abs(value / alone[i]! - 1)));
      expect(worst).toBeLessThan(dtype === 'float32' ? 2e-6 : 2e-2);
    }
    dispose();
  });
});

describe('the store', () => {
  it.each([
    ['of something else', (path: string) => writeFileSync(path, Buffer.alloc(50_000, 7))],
    ['that is empty', (path: string) => truncateSync(path, 0)],
    ['cut short', (path: string) => truncateSync(path, 8192)],
    ['cut in its first page', (path: string) => truncateSync(path, 100)],
  ])('with a file %s is begun anew', async (_what, damage) => {
    const cacheDir = folder();
    const first = await valuesAt(cacheDir);
    damage(join(cacheDir, STORE));
    expect(await valuesAt(cacheDir)).toEqual({ ...first, computed: 12, cached: 0 });
    expect(await valuesAt(cacheDir)).toMatchObject({ computed: 0, cached: 12 });
  });

  it('computes values anew that were damaged on disk', async () => {
    const cacheDir = folder();
    const first = await valuesAt(cacheDir);
    const path = join(cacheDir, STORE);
    const bytes = readFileSync(path);
    const { chosen } = first.values[3]!;
    const place = bytes.indexOf(Buffer.from(chosen.buffer, chosen.byteOffset, chosen.byteLength));
    expect(place).toBeGreaterThan(0);
    for (
      let at = place;
      at !== -1;
      at = bytes.indexOf(Buffer.from(chosen.buffer, chosen.byteOffset, chosen.byteLength))
    )
      bytes[at]! ^= 1;
    writeFileSync(path, bytes);
    const again = await valuesAt(cacheDir);
    expect(again).toMatchObject({ computed: 1, cached: 11 });
    // Alone in its pass now, the pair differs in the last bits.
    again.values[3]!.chosen.forEach((value, i) => {
      expect(Math.abs(value / chosen[i]! - 1)).toBeLessThan(2e-6);
    });
    expect(again.values[4]).toEqual(first.values[4]);
  });

  it('says which folder cannot be used', async () => {
    const path = join(folder(), 'file');
    writeFileSync(path, '');
    await expect(openWith(path)).rejects.toThrow(/reference log-probabilities cannot be used.*file/);
  });

  it('is shared by processes that work at once, and keeps what a killed one had done', {
    timeout: 180_000,
  }, async () => {
    const cacheDir = folder();
    const program = join(import.meta.dirname, 'programs', 'reference.ts');
    const run = (...extra: string[]) =>
      promisify(execFile)(process.execPath, ['--import', 'tsx', program, modelFolder, cacheDir, ...extra]);
    await expect(run('kill')).rejects.toMatchObject({ signal: 'SIGKILL' });
    const outputs = await Promise.all([run(), run()]);
    const reports = outputs.map(({ stdout }) => JSON.parse(stdout.trim().split('\n').at(-1)!));
    for (const { computed, cached } of reports) {
      expect(computed + cached).toBe(12);
      expect(cached).toBeGreaterThan(0);
    }
    expect(reports[0].sum).toBe(reports[1].sum);
    const here = await valuesAt(cacheDir);
    expect(here).toMatchObject({ computed: 0, cached: 12 });
    expect(readdirSync(cacheDir).sort()).toEqual([STORE, `${STORE}-lock`]);
  });
});
