import { copyFileSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../../src/errors.js';
import { saveAdapter } from '../../../src/models/adapter-files.js';
import { createLoraAdapter } from '../../../src/models/create-adapter.js';
import { loadModel } from '../../../src/models/load-model.js';
import { adapterFingerprint } from '../../../src/models/model-fingerprint.js';
import { memory } from '../../../src/runtime/tensor.js';
import { GOLDEN_NOTE, goldenJson, goldenPath, withoutGolden } from '../../support/golden.js';
import { writeTinyModel } from '../../support/tiny-model.js';
import { logitsOf, randomizeB, relativeDifference, temporaryFolders } from './support.js';

const folder = temporaryFolders();
const gguf = join(import.meta.dirname, '..', '..', 'golden', 'gguf', 'tiny-llama.gguf');

function tinyFolder(options = {}): string {
  const path = folder();
  writeTinyModel(path, options);
  return path;
}

describe('loadModel', () => {
  it('loads a folder with its tokenizer and chat template, and frees all of it', async () => {
    const before = memory().tensors;
    const progress: [number, number][] = [];
    const path = tinyFolder();
    const loaded = await loadModel(path, { dtype: 'float32', onProgress: (...call) => progress.push(call) });
    const { tokenizer, origin } = loaded;
    expect(origin).toMatchObject({ kind: 'hf-folder', path, id: path, revision: null });
    expect(origin.configJson).toMatchObject({ model_type: 'llama' });
    expect(tokenizer?.stopTokenIds).toEqual([2]);
    const prompt = tokenizer!.chatTemplate!.render([{ role: 'user', content: 'the end' }], {
      addGenerationPrompt: true,
    });
    expect(prompt).toBe('<|im_start|>user\nthe end<|im_end|>\n<|im_start|>assistant\n');
    expect(tokenizer!.decode(tokenizer!.encode(prompt))).toBe(prompt);
    expect(progress.at(-1)![0]).toBe(progress.at(-1)![1]);
    loaded.dispose();
    expect(memory().tensors).toBe(before);
  });

  it('gives float32 and bfloat16 weights, float32 norms in both', async () => {
    const path = tinyFolder();
    const wide = await loadModel(path, { dtype: 'float32' });
    const narrow = await loadModel(path);
    expect(narrow.model.dtype).toBe('bfloat16');
    expect(narrow.model.parameter('layers.0.qkv').dtype).toBe('bfloat16');
    expect(narrow.model.parameter('layers.0.inputNorm').dtype).toBe('float32');
    const ids = [1, 40, 80, 120];
    const difference = relativeDifference(await logitsOf(narrow.model, ids), await logitsOf(wide.model, ids));
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(0.03);
    wide.dispose();
    narrow.dispose();
  });

  it('reads shards as one file', async () => {
    const whole = await loadModel(tinyFolder(), { dtype: 'float32' });
    const shards = await loadModel(tinyFolder({ maxShardBytes: 20_000 }), { dtype: 'float32' });
    expect(await logitsOf(shards.model, [1, 2, 3])).toEqual(await logitsOf(whole.model, [1, 2, 3]));
    whole.dispose();
    shards.dispose();
  });

  it('loads a GGUF file', async () => {
    const loaded = await loadModel(gguf, { dtype: 'float32' });
    expect(loaded.origin).toMatchObject({ kind: 'gguf', id: gguf, configJson: null });
    expect(loaded.tokenizer).toBeNull();
    expect(await logitsOf(loaded.model, [1, 2])).toHaveLength(2 * loaded.model.config.vocabSize);
    loaded.dispose();
  });

  it('takes a folder without a tokenizer, but not one with half of it', async () => {
    const path = tinyFolder({ tokenizer: false });
    const loaded = await loadModel(path);
    expect(loaded.tokenizer).toBeNull();
    loaded.dispose();
    writeFileSync(join(path, 'tokenizer_config.json'), '{}');
    await expect(loadModel(path)).rejects.toThrow(/tokenizer\.json/);
  });

  it('puts an adapter on the model', async () => {
    const path = tinyFolder();
    const base = await loadModel(path, { dtype: 'float32' });
    const adapter = createLoraAdapter(base.model, { targetModules: 'all-linear', rank: 2, alpha: 4 });
    randomizeB(adapter);
    const adapterFolder = folder();
    saveAdapter(adapter, adapterFolder);
    const plain = await logitsOf(base.model, [1, 2, 3]);
    base.model.attach(adapter);
    const adapted = await loadModel(path, { dtype: 'float32', adapter: adapterFolder });
    expect(adapted.model.adapter?.config).toEqual(adapter.config);
    expect(await logitsOf(adapted.model, [1, 2, 3])).toEqual(await logitsOf(base.model, [1, 2, 3]));
    expect(await logitsOf(adapted.model, [1, 2, 3])).not.toEqual(plain);
    base.dispose();
    adapted.dispose();
  });

  it('leaves nothing in memory when weights or adapter cannot be loaded', async () => {
    const before = memory().tensors;
    const path = tinyFolder();
    await expect(loadModel(path, { adapter: folder() })).rejects.toThrow(CheckpointError);
    writeFileSync(join(path, 'tokenizer.json'), '{}');
    await expect(loadModel(path)).rejects.toThrow(CheckpointError);
    expect(memory().tensors).toBe(before);
  });
});

describe.skipIf(withoutGolden)(`golden checkpoints (${GOLDEN_NOTE})`, () => {
  it.each(['smollm2', 'llama31'])('%s goes on as transformers does', async (name) => {
    const { model, tokenizer, dispose } = await loadModel(goldenPath(name), { dtype: 'float32' });
    const { prompt, greedy } = goldenJson<{ prompt: number[]; greedy: number[] }>(`${name}.greedy.json`);
    const ids = [...prompt];
    for (const expected of greedy.slice(0, 4)) {
      const logits = await logitsOf(model, ids);
      const last = logits.subarray(logits.length - model.config.vocabSize);
      expect(last.indexOf(Math.max(...last))).toBe(expected);
      ids.push(expected);
    }
    expect(tokenizer).toBeNull();
    dispose();
  });
});

describe('fingerprint', () => {
  it('is the same for a copy elsewhere, and another for other weights or another configuration', async () => {
    const [a, b] = [tinyFolder(), folder()];
    for (const file of readdirSync(a)) copyFileSync(join(a, file), join(b, file));
    const fingerprints = await Promise.all(
      [a, b, tinyFolder({ seed: 2 }), tinyFolder({ config: { ropeTheta: 500_000 } }), gguf].map((path) =>
        fingerprintAt(path),
      ),
    );
    expect(fingerprints[1]).toBe(fingerprints[0]);
    expect(new Set(fingerprints).size).toBe(4);
    expect(fingerprints[0]).toMatch(/^[0-9a-f]{64}$/);
  });

  it('covers every shard', async () => {
    const path = tinyFolder({ maxShardBytes: 20_000 });
    const before = await fingerprintAt(path);
    const last = readdirSync(path)
      .filter((name) => name.endsWith('.safetensors'))
      .sort()
      .at(-1)!;
    const bytes = readFileSync(join(path, last));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(path, last), bytes);
    expect(await fingerprintAt(path)).not.toBe(before);
  });

  it('remembers hashes of unchanged files only', async () => {
    const [path, cacheDir] = [tinyFolder(), folder()];
    const first = await fingerprintAt(path, cacheDir);
    const cacheFile = join(cacheDir, 'weight-hashes.json');
    const weights = join(path, 'model.safetensors');
    const cache = JSON.parse(readFileSync(cacheFile, 'utf8'));
    cache[weights].sha256 = 'f'.repeat(64);
    writeFileSync(cacheFile, JSON.stringify(cache));
    const remembered = await fingerprintAt(path, cacheDir);
    expect(remembered).not.toBe(first);
    utimesSync(weights, new Date(0), new Date(0));
    expect(await fingerprintAt(path, cacheDir)).toBe(first);
    writeFileSync(cacheFile, 'not JSON');
    expect(await fingerprintAt(path, cacheDir)).toBe(first);
  });

  it('refuses files that have changed since they were loaded', async () => {
    const path = tinyFolder();
    const loaded = await loadModel(path);
    rmSync(join(path, 'model.safetensors'));
    writeTinyModel(path, { seed: 5 });
    await expect(loaded.fingerprint()).rejects.toThrow(/has changed since/);
    loaded.dispose();
  });

  it('of an adapter follows its factors and its scale', async () => {
    const { model, dispose } = await loadModel(tinyFolder());
    const make = (options = {}) => createLoraAdapter(model, { rank: 2, ...options });
    const adapters = [
      make(),
      make(),
      make({ seed: 1 }),
      make({ alpha: 16 }),
      make({ targetModules: ['q_proj'] }),
    ];
    const fingerprints = adapters.map(adapterFingerprint);
    expect(fingerprints[1]).toBe(fingerprints[0]);
    expect(new Set(fingerprints).size).toBe(4);
    for (const adapter of adapters) adapter.dispose();
    dispose();
  });
});

async function fingerprintAt(path: string, cacheDir: string | null = null): Promise<string> {
  const loaded = await loadModel(path);
  try {
    return await loaded.fingerprint({ cacheDir });
  } finally {
    loaded.dispose();
  }
}
