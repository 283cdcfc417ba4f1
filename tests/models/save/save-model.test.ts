import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { tokenizerFromGguf } from '../../../src/data/gguf-tokenizer.js';
import { loadTokenizer } from '../../../src/data/tokenizer.js';
import { CheckpointError } from '../../../src/errors.js';
import { createLoraAdapter } from '../../../src/models/create-adapter.js';
import { loadModel } from '../../../src/models/load-model.js';
import type { ModelConfig } from '../../../src/models/model-config.js';
import { writeGgufTokenizer } from '../../../src/models/model-folder.js';
import { openSafetensorsFolder } from '../../../src/models/safetensors.js';
import { saveModel } from '../../../src/models/save-model.js';
import { readFloat32, type WeightSource } from '../../../src/models/weight-source.js';
import { memory, tensor } from '../../../src/runtime/tensor.js';
import { byteLevelMetadata, sentencePieceMetadata, tinyByteLevel } from '../../data/fixtures.js';
import { GOLDEN_NOTE, goldenPath, withoutGolden } from '../../support/golden.js';
import { writeTinyModel } from '../../support/tiny-model.js';
import { logitsOf, temporaryFolders } from './support.js';

const folder = temporaryFolders();
const opened: WeightSource[] = [];

afterEach(() => {
  for (const source of opened.splice(0)) source.close();
});

function weightsIn(path: string): WeightSource {
  const source = openSafetensorsFolder(path);
  opened.push(source);
  return source;
}

function expectSameWeights(actual: string, expected: string): void {
  const [a, b] = [weightsIn(actual), weightsIn(expected)];
  expect([...a.tensors.keys()].sort()).toEqual([...b.tensors.keys()].sort());
  for (const [name, { shape }] of b.tensors) {
    expect(a.tensors.get(name)!.shape, name).toEqual(shape);
    expect(readFloat32(a, name), name).toEqual(readFloat32(b, name));
  }
}

const FAMILIES: [string, Partial<ModelConfig>][] = [
  ['Llama, tied', {}],
  [
    'Llama with all biases and a head of its own',
    { tieWordEmbeddings: false, attentionBias: true, attentionOutputBias: true, mlpBias: true },
  ],
  ['Qwen2', { architecture: 'qwen2', attentionBias: true }],
  ['Qwen3', { architecture: 'qwen3', queryKeyNorm: true, headDim: 16 }],
  ['Mistral', { architecture: 'mistral', tieWordEmbeddings: false, slidingWindow: 8 }],
];

describe('saveModel', () => {
  it.each(FAMILIES)('gives back every weight and every file: %s', async (_family, config) => {
    const before = memory().tensors;
    const [source, target] = [folder(), join(folder(), 'deep', 'saved')];
    writeTinyModel(source, { config });
    const loaded = await loadModel(source, { dtype: 'float32' });
    await saveModel(loaded, target);
    expect(readdirSync(target).sort()).toEqual(readdirSync(source).sort());
    for (const file of readdirSync(source).filter((name) => name.endsWith('.json'))) {
      const [actual, expected] = [target, source].map((path) =>
        JSON.parse(readFileSync(join(path, file), 'utf8')),
      );
      expect(actual, file).toEqual(expected);
    }
    expectSameWeights(target, source);
    const again = await loadModel(target, { dtype: 'float32' });
    expect(await logitsOf(again.model, [1, 2, 3])).toEqual(await logitsOf(loaded.model, [1, 2, 3]));
    expect(await again.fingerprint()).toBe(await loaded.fingerprint());
    again.dispose();
    loaded.dispose();
    expect(memory().tensors).toBe(before);
  });

  it('stores what is computed with, or the dtype that is asked for', async () => {
    const source = folder();
    writeTinyModel(source, { dtype: 'bfloat16' });
    const loaded = await loadModel(source, { dtype: 'bfloat16' });
    const [narrow, wide] = [join(folder(), 'a'), join(folder(), 'b')];
    await saveModel(loaded, narrow);
    await saveModel(loaded, wide, { dtype: 'float32' });
    loaded.dispose();
    const dtypesIn = (path: string) =>
      new Set([...weightsIn(path).tensors.values()].map(({ dtype }) => dtype));
    expect(dtypesIn(narrow)).toEqual(new Set(['bfloat16']));
    expect(dtypesIn(wide)).toEqual(new Set(['float32']));
    expect(JSON.parse(readFileSync(join(wide, 'config.json'), 'utf8')).torch_dtype).toBe('float32');
    expectSameWeights(narrow, source);
    expectSameWeights(wide, source);
  });

  it('takes finer weights where there are some, and frees those made for it', async () => {
    const source = folder();
    writeTinyModel(source);
    const loaded = await loadModel(source, { dtype: 'bfloat16' });
    const before = memory().tensors;
    const { shape } = loaded.model.parameter('layers.1.qkv');
    const fine = Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => 1 + i * 2 ** -20);
    const target = join(folder(), 'saved');
    await saveModel(loaded, target, {
      dtype: 'float32',
      weights: (id) => (id === 'layers.1.qkv' ? tensor('float32', shape, fine) : undefined),
    });
    expect(memory().tensors).toBe(before);
    loaded.dispose();
    const saved = weightsIn(target);
    const queries = readFloat32(saved, 'model.layers.1.self_attn.q_proj.weight');
    const keys = readFloat32(saved, 'model.layers.1.self_attn.k_proj.weight');
    expect(queries).toEqual(fine.slice(0, queries.length));
    expect(keys).toEqual(fine.slice(queries.length, queries.length + keys.length));
  });

  it('divides weights into shards', async () => {
    const source = folder();
    writeTinyModel(source);
    const loaded = await loadModel(source, { dtype: 'float32' });
    const target = join(folder(), 'saved');
    await saveModel(loaded, target, { maxShardBytes: 20_000 });
    loaded.dispose();
    expect(readdirSync(target)).toContain('model.safetensors.index.json');
    expectSameWeights(target, source);
  });

  it('writes nothing into a folder that holds something, nor beside it', async () => {
    const source = folder();
    writeTinyModel(source);
    const loaded = await loadModel(source, { dtype: 'float32' });
    const parent = folder();
    const target = join(parent, 'saved');
    mkdirSync(target);
    await saveModel(loaded, target);
    await expect(saveModel(loaded, target)).rejects.toThrow(/is not empty/);
    writeFileSync(join(parent, 'file'), '');
    await expect(saveModel(loaded, join(parent, 'file'))).rejects.toThrow(/is a file/);
    await expect(saveModel(loaded, join(parent, 'file', 'below'))).rejects.toThrow(CheckpointError);
    expect(readdirSync(parent).sort()).toEqual(['file', 'saved']);
    loaded.dispose();
  });

  it('leaves nothing behind when it fails half-way', async () => {
    const source = folder();
    writeTinyModel(source);
    const loaded = await loadModel(source, { dtype: 'float32' });
    const parent = folder();
    const before = memory().tensors;
    const failing = saveModel(loaded, join(parent, 'saved'), {
      weights: (id) => {
        if (id === 'layers.1.down') throw new CheckpointError('no such master');
        return undefined;
      },
    });
    await expect(failing).rejects.toThrow('no such master');
    expect(readdirSync(parent)).toEqual([]);
    expect(memory().tensors).toBe(before);
    loaded.dispose();
  });

  it('refuses a model whose adapter would be lost', async () => {
    const source = folder();
    writeTinyModel(source);
    const loaded = await loadModel(source, { dtype: 'float32' });
    loaded.model.attach(createLoraAdapter(loaded.model));
    const target = join(folder(), 'saved');
    await expect(saveModel(loaded, target)).rejects.toThrow(/merge it first/);
    expect(existsSync(target)).toBe(false);
    loaded.dispose();
  });

  it('makes a configuration for a model from GGUF', async () => {
    const gguf = join(import.meta.dirname, '..', '..', 'golden', 'gguf', 'tiny-llama.gguf');
    const loaded = await loadModel(gguf, { dtype: 'float32' });
    const target = join(folder(), 'saved');
    await saveModel(loaded, target);
    const again = await loadModel(target, { dtype: 'float32' });
    expect(again.model.config).toEqual(loaded.model.config);
    expect(await logitsOf(again.model, [1, 2, 3])).toEqual(await logitsOf(loaded.model, [1, 2, 3]));
    again.dispose();
    loaded.dispose();
  });

  it.skipIf(withoutGolden).each(['smollm2', 'llama31'])(`%s unchanged (${GOLDEN_NOTE})`, async (name) => {
    const loaded = await loadModel(goldenPath(name), { dtype: 'float32' });
    const target = join(folder(), 'saved');
    await saveModel(loaded, target);
    loaded.dispose();
    expectSameWeights(target, goldenPath(name));
  });
});

describe('the tokenizer of a GGUF file', () => {
  it.each([
    ['byte-level', byteLevelMetadata()],
    ['SentencePiece', sentencePieceMetadata()],
  ])('gives the same ids from the files that are saved: %s', (_kind, metadata) => {
    const path = folder();
    writeGgufTokenizer(metadata, { maxPositionEmbeddings: 64, eosTokenIds: [2] }, path);
    const [saved, original] = [loadTokenizer(path), tokenizerFromGguf(metadata)];
    const texts = tinyByteLevel.encodings[Object.keys(tinyByteLevel.encodings)[0]!]!.map(({ text }) => text);
    for (const text of [...texts, 'Hello  world', ' a\nb', '<|im_start|>user']) {
      for (const addSpecialTokens of [false, true]) {
        expect(saved.encode(text, { addSpecialTokens })).toEqual(original.encode(text, { addSpecialTokens }));
      }
      expect(saved.decode(saved.encode(text))).toBe(original.decode(original.encode(text)));
    }
    expect(saved.chatTemplate?.source).toBe(original.chatTemplate?.source);
    for (const key of ['bosTokenId', 'eosTokenId', 'padTokenId', 'unkTokenId', 'vocabSize'] as const) {
      expect(saved[key], key).toBe(original[key]);
    }
    expect([...saved.stopTokenIds].sort()).toEqual([...original.stopTokenIds].sort());
  });
});
