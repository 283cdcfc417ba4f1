import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError, ConfigError } from '../../../src/errors.js';
import { loadAdapter, saveAdapter } from '../../../src/models/adapter-files.js';
import { createLoraAdapter } from '../../../src/models/create-adapter.js';
import { type LoadedModel, loadModel } from '../../../src/models/load-model.js';
import type { LoraAdapter } from '../../../src/models/lora-adapter.js';
import { LINEAR_MODULES } from '../../../src/models/lora-shape.js';
import { openSafetensorsFile } from '../../../src/models/safetensors.js';
import { readFloat32 } from '../../../src/models/weight-source.js';
import { memory } from '../../../src/runtime/tensor.js';
import { GOLDEN_NOTE, goldenPath, withoutGolden } from '../../support/golden.js';
import { writeTinyModel } from '../../support/tiny-model.js';
import { logitsOf, randomizeB, temporaryFolders } from './support.js';

const folder = temporaryFolders();
let loaded: LoadedModel;

beforeAll(async () => {
  const path = folder();
  writeTinyModel(path);
  loaded = await loadModel(path, { dtype: 'float32' });
});

afterAll(() => loaded.dispose());

const valuesOf = (adapter: LoraAdapter) =>
  Object.fromEntries(adapter.entries().map(([id, factor]) => [id, factor.data()]));

/** An adapter on every linear layer that changes the model, in a folder. */
function savedAdapter(options = {}): string {
  const adapter = createLoraAdapter(loaded.model, { targetModules: 'all-linear', rank: 2, ...options });
  randomizeB(adapter);
  const path = folder();
  saveAdapter(adapter, path);
  adapter.dispose();
  return path;
}

function editConfig(path: string, change: Record<string, unknown>): void {
  const file = join(path, 'adapter_config.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...change }));
}

describe('createLoraAdapter', () => {
  it('starts without an effect: A uniform within 1 / sqrt(in), B zero', async () => {
    const adapter = createLoraAdapter(loaded.model, { targetModules: 'all-linear', rank: 16 });
    for (const [id, factor] of adapter.entries()) {
      const values = factor.toNumbers();
      const bound = 1 / Math.sqrt(factor.shape[1]!);
      if (id.endsWith('.B')) {
        expect(values.every((value) => value === 0)).toBe(true);
        continue;
      }
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(bound);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
      expect(Math.abs(mean)).toBeLessThan(0.15 * bound);
      expect(variance / (bound ** 2 / 3)).toBeGreaterThan(0.8);
      expect(variance / (bound ** 2 / 3)).toBeLessThan(1.2);
    }
    const before = await logitsOf(loaded.model, [1, 2, 3]);
    loaded.model.attach(adapter);
    expect(await logitsOf(loaded.model, [1, 2, 3])).toEqual(before);
    loaded.model.detach()!.dispose();
  });

  it('repeats itself by seed, and module by module', () => {
    const make = (options: object) => createLoraAdapter(loaded.model, { rank: 4, ...options });
    const adapters = [
      make({ seed: 3 }),
      make({ seed: 3, targetModules: 'all-linear' }),
      make({ seed: 4 }),
    ] as const;
    const [few, all, other] = adapters.map(valuesOf) as [object, object, object];
    expect(all).toMatchObject(few);
    expect(Object.keys(all)).toHaveLength(2 * 2 * 7);
    expect(other).not.toEqual(few);
    for (const adapter of adapters) adapter.dispose();
  });

  it('takes names as PEFT does, in the order of the layer', () => {
    const modulesFor = (targetModules: 'all-linear' | string[]) => {
      const adapter = createLoraAdapter(loaded.model, { targetModules });
      adapter.dispose();
      return adapter.config.modules;
    };
    expect(modulesFor(['v_proj', 'self_attn.q_proj', 'v_proj'])).toEqual(['q_proj', 'v_proj']);
    expect(modulesFor('all-linear')).toEqual(LINEAR_MODULES);
    expect(modulesFor(['all-linear'])).toEqual(LINEAR_MODULES);
  });

  it.each([
    [{ targetModules: ['q_prj'] }, /no linear module "q_prj"; did you mean q_proj\?/],
    [{ targetModules: [] }, /at least one target module/],
    [{ rank: 0 }, /rank must be a whole number from 1, got 0/],
    [{ alpha: 0 }, /alpha must be a number above 0/],
    [{ dropout: 1 }, /dropout must be a number from 0 to below 1/],
  ])('refuses %j', (options, message) => {
    const make = () => createLoraAdapter(loaded.model, options);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(message);
  });
});

describe('adapters as PEFT folders', () => {
  it.each([
    { rank: 3, alpha: 6, dropout: 0.1, useRslora: true, targetModules: 'all-linear' as const },
    { rank: 2, targetModules: ['down_proj', 'k_proj'] },
  ])('come back as they were saved: %j', (options) => {
    const before = memory().tensors;
    const adapter = createLoraAdapter(loaded.model, options);
    randomizeB(adapter);
    const path = folder();
    saveAdapter(adapter, path, { baseModel: 'owner/name', revision: 'abc' });
    const again = loadAdapter(path, loaded.model.config);
    expect(again.config).toEqual(adapter.config);
    expect(valuesOf(again)).toEqual(valuesOf(adapter));
    const json = JSON.parse(readFileSync(join(path, 'adapter_config.json'), 'utf8'));
    expect(json).toMatchObject({ base_model_name_or_path: 'owner/name', revision: 'abc', peft_type: 'LORA' });
    adapter.dispose();
    again.dispose();
    expect(memory().tensors).toBe(before);
  });

  it('are read by pattern and by "all-linear", too', () => {
    for (const target of ['.*_proj', 'all-linear']) {
      const path = savedAdapter();
      editConfig(path, { target_modules: target });
      const adapter = loadAdapter(path, loaded.model.config);
      expect(adapter.config.modules).toEqual(LINEAR_MODULES);
      adapter.dispose();
    }
  });

  it('of another model are refused', () => {
    const { config } = loaded.model;
    const path = savedAdapter();
    expect(() => loadAdapter(path, { ...config, hiddenSize: 64 })).toThrow(/another model's adapter/);
    expect(() => loadAdapter(path, { ...config, numLayers: 1 })).toThrow(
      /no linear layer of this model's 1 /,
    );
    expect(() => loadAdapter(path, { ...config, numLayers: 3 })).toThrow(/targets model\.layers\.2\./);
  });

  it.each([
    [{ rank_pattern: { q_proj: 2 } }, /rank_pattern \(q_proj\) is not supported/],
    [{ alpha_pattern: { v_proj: 4 } }, /alpha_pattern \(v_proj\) is not supported/],
    [{ use_dora: true }, /use_dora/],
  ])('with %j are refused by name', (change, message) => {
    const before = memory().tensors;
    const path = savedAdapter();
    editConfig(path, change);
    const load = () => loadAdapter(path, loaded.model.config);
    expect(load).toThrow(CheckpointError);
    expect(load).toThrow(message);
    expect(memory().tensors).toBe(before);
  });

  it.skipIf(withoutGolden)(`made by PEFT load and save with the same values (${GOLDEN_NOTE})`, async () => {
    const base = await loadModel(goldenPath('smollm2'), { dtype: 'float32' });
    const source = goldenPath('dpo-lora-adapter-init');
    const adapter = loadAdapter(source, base.model.config);
    expect(adapter.config).toEqual({
      rank: 4,
      alpha: 8,
      dropout: 0,
      useRslora: false,
      modules: LINEAR_MODULES,
    });
    const path = folder();
    saveAdapter(adapter, path);
    const [theirs, ours] = [source, path].map((each) =>
      openSafetensorsFile(join(each, 'adapter_model.safetensors')),
    );
    expect([...ours!.tensors.keys()].sort()).toEqual([...theirs!.tensors.keys()].sort());
    for (const name of theirs!.tensors.keys()) {
      expect(ours!.tensors.get(name)!.shape).toEqual(theirs!.tensors.get(name)!.shape);
      expect(readFloat32(ours!, name)).toEqual(readFloat32(theirs!, name));
    }
    theirs!.close();
    ours!.close();
    adapter.dispose();
    base.dispose();
  });
});
