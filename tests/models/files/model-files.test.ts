import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectedWeights, modelConfigToJson, parseModelConfig } from '../../../src/models/model-config.js';
import { loadModelFiles } from '../../../src/models/model-files.js';
import { resolveModel } from '../../../src/models/model-location.js';
import { writeSafetensorsFolder } from '../../../src/models/safetensors-write.js';
import { checkpointErrorOf, countingTensor, rawBytes, temporaryFolders } from './support.js';

const temporaryFolder = temporaryFolders();

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 6,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  eos_token_id: 2,
};

/** A model folder of the smallest kind, after `change`. */
function modelFolder(change: Record<string, unknown> = {}, extra: string[] = []): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...CONFIG, ...change }));
  const weights = expectedWeights(parseModelConfig(CONFIG));
  const tensors = weights.map(({ name, shape }, i) => countingTensor(name, 'bfloat16', shape, i));
  writeSafetensorsFolder(folder, [...tensors, ...extra.map((name) => countingTensor(name, 'float32', [1]))]);
  return folder;
}

describe('loadModelFiles', () => {
  it("opens a folder; generation_config.json's end tokens come before config.json's", () => {
    const folder = modelFolder();
    const plain = loadModelFiles(folder);
    expect(plain.config.eosTokenIds).toEqual([2]);
    expect(plain.generationConfig).toBeNull();
    expect(plain.tokenizerSource).toEqual({ kind: 'hf', dir: folder });
    expect(plain.configJson).toEqual(CONFIG);
    plain.weights.close();
    writeFileSync(join(folder, 'generation_config.json'), '\uFEFF{"eos_token_id":[3,4,3],"temperature":0.7}');
    const files = loadModelFiles(folder);
    expect(files.config.eosTokenIds).toEqual([3, 4]);
    expect(files.generationConfig).toMatchObject({ temperature: 0.7 });
    files.weights.close();
    writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id":"x"}');
    expect(checkpointErrorOf(() => loadModelFiles(folder)).message).toMatch(/eos_token_id is "x"/);
  });

  it.each<[string, () => string, RegExp]>([
    ['a folder without config.json', () => temporaryFolder(), /no model folder: it has no config.json/],
    ['a path that is not there', () => join(temporaryFolder(), 'x'), /cannot be opened: no such file/],
    [
      'weights of another size',
      () => modelFolder({ hidden_size: 16 }),
      /has shape \[6, 8\], the configuration needs \[6, 16\]/,
    ],
    ['too few layers', () => modelFolder({ num_hidden_layers: 3 }), /missing: model.layers.2.*and \d+ more/],
    [
      'too many layers',
      () => modelFolder({ num_hidden_layers: 1 }),
      /not part of the configured architecture: model.layers.1/,
    ],
    [
      'a head that nobody expects',
      () => modelFolder({}, ['score.weight']),
      /not part of the configured architecture: score.weight/,
    ],
    [
      'a config.json that is no JSON',
      () => {
        const folder = modelFolder();
        writeFileSync(join(folder, 'config.json'), '{');
        return folder;
      },
      /config.json is not JSON/,
    ],
    [
      'a config.json that is a list',
      () => {
        const folder = modelFolder();
        writeFileSync(join(folder, 'config.json'), '[]');
        return folder;
      },
      /config.json holds no JSON object/,
    ],
  ])('refuses %s', (_, make, message) => {
    expect(checkpointErrorOf(() => loadModelFiles(make())).message).toMatch(message);
  });

  it('passes over a tied matrix that is saved under both names', () => {
    const folder = modelFolder({ tie_word_embeddings: true });
    const files = loadModelFiles(folder);
    expect(files.weights.tensors.has('lm_head.weight')).toBe(true);
    files.weights.close();
  });
});

describe('resolveModel', () => {
  it('finds folders, GGUF files by what they hold, and the one GGUF file of a folder', async () => {
    const folder = modelFolder();
    expect(await resolveModel(folder)).toEqual({
      kind: 'hf-folder',
      path: folder,
      configPath: join(folder, 'config.json'),
      id: folder,
      revision: null,
    });
    const only = temporaryFolder();
    const tiny = new URL('../../golden/gguf/tiny-qwen3.gguf', import.meta.url).pathname;
    copyFileSync(tiny, join(only, 'model.gguf'));
    copyFileSync(tiny, join(only, 'named-otherwise'));
    expect(await resolveModel(only)).toMatchObject({ kind: 'gguf', path: join(only, 'model.gguf') });
    expect(await resolveModel(join(only, 'named-otherwise'))).toMatchObject({ kind: 'gguf' });
    copyFileSync(tiny, join(only, 'another.gguf'));
    await expect(resolveModel(only)).rejects.toThrow(
      /holds 2 .gguf files; name one: another.gguf, model.gguf/,
    );
  });

  it.each<[string, (folder: string) => string, RegExp]>([
    ['nothing', () => ' ', /No model is named/],
    [
      'an empty folder',
      (folder) => folder,
      /no model folder: it has no config.json. Name a Hugging Face folder/,
    ],
    [
      'an adapter',
      (folder) => {
        writeFileSync(join(folder, 'adapter_config.json'), '{}');
        return folder;
      },
      /is a LoRA adapter, not a model: name its base model/,
    ],
    [
      'one file of a model',
      (folder) => {
        writeFileSync(join(folder, 'config.json'), '{}');
        return join(folder, 'config.json');
      },
      /is one file of a model; name its folder/,
    ],
    [
      'some other file',
      (folder) => {
        writeFileSync(join(folder, 'notes.txt'), 'hello');
        return join(folder, 'notes.txt');
      },
      /not a model: it does not start as a GGUF file/,
    ],
    [
      'a folder with a typing error',
      (folder) => {
        mkdirSync(join(folder, 'smollm2'));
        return join(folder, 'smolm2');
      },
      /There is no file or folder .*smolm2\. Did you mean .*smollm2\?/,
    ],
    ['a file that is not there', () => './gone.gguf', /There is no file or folder .*gone\.gguf\. Name/],
    ['a quoted home folder', () => '~/models/x', /a quoted ~ is not expanded/],
    [
      'a name without an owner',
      () => 'no-such-model-here',
      /neither a file or folder here nor an id on the Hub.*owner\/name/,
    ],
    ['an id that cannot be one', () => 'a b/c', /neither a file or folder here nor an id/],
  ])('refuses %s with a hint', async (_, make, message) => {
    await expect(resolveModel(make(temporaryFolder()))).rejects.toThrow(message);
  });
});

const REFERENCE = process.env.PERSONA_DPO_REFERENCE_DIR;
describe.skipIf(!REFERENCE)(
  'reference checkpoints (skipped unless PERSONA_DPO_REFERENCE_DIR names their folder)',
  () => {
    it.each(['llama31', 'smollm2'])(
      '%s: opens, and is written again with the same tensors and configuration',
      (name) => {
        const folder = join(REFERENCE!, 'reference', 'golden', name);
        const files = loadModelFiles(folder);
        const copy = temporaryFolder();
        cpSync(join(folder, 'generation_config.json'), join(copy, 'generation_config.json'));
        const json = modelConfigToJson(files.config, { dtype: 'float32', original: files.configJson });
        writeFileSync(join(copy, 'config.json'), JSON.stringify(json));
        const tensors = [...files.weights.tensors.values()].map((info) => ({
          ...info,
          bytes: () => rawBytes(files.weights, info.name),
        }));
        writeSafetensorsFolder(copy, tensors, { maxShardBytes: 200_000 });
        const again = loadModelFiles(copy);
        expect(again.config).toEqual(files.config);
        expect(again.configJson).toEqual(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')));
        for (const { name: tensor } of tensors) {
          expect(rawBytes(again.weights, tensor)).toEqual(rawBytes(files.weights, tensor));
        }
        again.weights.close();
        files.weights.close();
      },
    );
  },
);
