import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { saveAdapter } from '../../../src/models/adapter-files.js';
import { createLoraAdapter } from '../../../src/models/create-adapter.js';
import { loadModel } from '../../../src/models/load-model.js';
import { mergeAdapter, mergeToFolder } from '../../../src/models/merge.js';
import { saveModel } from '../../../src/models/save-model.js';
import { memory } from '../../../src/runtime/tensor.js';
import { GOLDEN_NOTE, goldenPath, withoutGolden } from '../../support/golden.js';
import { writeTinyModel } from '../../support/tiny-model.js';
import { logitsOf, randomizeB, relativeDifference, temporaryFolders } from './support.js';

const folder = temporaryFolders();
const ids = [1, 50, 100, 150, 200];

/** A model folder, and one of an adapter that changes the model. */
function modelAndAdapter(targetModules: 'all-linear' | string[], useRslora = false) {
  const [base, adapterFolder] = [folder(), folder()];
  writeTinyModel(base, { config: { architecture: 'qwen2', attentionBias: true } });
  return { base, adapterFolder, targetModules, useRslora };
}

async function withAdapter({ base, adapterFolder, ...options }: ReturnType<typeof modelAndAdapter>) {
  const loaded = await loadModel(base, { dtype: 'float32' });
  const adapter = createLoraAdapter(loaded.model, { rank: 4, alpha: 8, ...options });
  randomizeB(adapter);
  saveAdapter(adapter, adapterFolder);
  loaded.model.attach(adapter);
  return loaded;
}

describe('merging', () => {
  it.each([
    ['all linear layers', modelAndAdapter('all-linear')],
    ['one of the fused projections', modelAndAdapter(['k_proj', 'up_proj'])],
    ['all linear layers with rsLoRA', modelAndAdapter('all-linear', true)],
  ])('%s: the same logits without the adapter, in memory and saved', async (_what, setup) => {
    const before = memory().tensors;
    const loaded = await withAdapter(setup);
    const adapted = await logitsOf(loaded.model, ids);
    mergeAdapter(loaded.model);
    expect(loaded.model.adapter).toBeNull();
    const merged = await logitsOf(loaded.model, ids);
    expect(relativeDifference(merged, adapted)).toBeLessThan(1e-5);

    const [saved, direct] = [join(folder(), 'a'), join(folder(), 'b')];
    await saveModel(loaded, saved);
    loaded.dispose();
    const progress: [number, number][] = [];
    await mergeToFolder(setup.base, setup.adapterFolder, direct, {
      dtype: 'float32',
      onProgress: (...call) => progress.push(call),
    });
    expect(progress.at(-1)![0]).toBe(progress.at(-1)![1]);
    expect(memory().tensors).toBe(before);
    expect(readdirSync(direct).sort()).toEqual(readdirSync(setup.base).sort());
    for (const path of [saved, direct]) {
      const again = await loadModel(path, { dtype: 'float32' });
      expect(relativeDifference(await logitsOf(again.model, ids), adapted)).toBeLessThan(1e-5);
      again.dispose();
    }
    const plain = await loadModel(setup.base, { dtype: 'float32' });
    expect(relativeDifference(await logitsOf(plain.model, ids), adapted)).toBeGreaterThan(0.01);
    plain.dispose();
  });

  it('rounds the sum once in bfloat16', async () => {
    const setup = modelAndAdapter('all-linear');
    const loaded = await withAdapter(setup);
    const adapted = await logitsOf(loaded.model, ids);
    loaded.dispose();
    const narrow = await loadModel(setup.base, { dtype: 'bfloat16', adapter: setup.adapterFolder });
    mergeAdapter(narrow.model);
    expect(narrow.model.parameter('layers.0.qkv').dtype).toBe('bfloat16');
    expect(relativeDifference(await logitsOf(narrow.model, ids), adapted)).toBeLessThan(0.05);
    narrow.dispose();
  });

  it('needs an adapter, and a folder that is free', async () => {
    const setup = modelAndAdapter('all-linear');
    const loaded = await withAdapter(setup);
    loaded.model.detach()!.dispose();
    expect(() => mergeAdapter(loaded.model)).toThrow(/no adapter/);
    loaded.dispose();
    await expect(mergeToFolder(setup.base, setup.adapterFolder, setup.base)).rejects.toThrow(/not empty/);
    const target = join(folder(), 'merged');
    await expect(mergeToFolder(setup.base, folder(), target)).rejects.toThrow(/no adapter folder/);
    expect(existsSync(target)).toBe(false);
  });

  it.skipIf(withoutGolden)(`PEFT's trained adapter into its base (${GOLDEN_NOTE})`, async () => {
    const { model, dispose } = await loadModel(goldenPath('smollm2'), {
      dtype: 'float32',
      adapter: goldenPath('dpo-lora-adapter-final'),
    });
    const adapted = await logitsOf(model, [305, 72, 232, 43]);
    mergeAdapter(model);
    expect(relativeDifference(await logitsOf(model, [305, 72, 232, 43]), adapted)).toBeLessThan(1e-4);
    dispose();
  });
});
