/** Folders that are no reward model, or not the one that they say they are. */

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPSET } from '../../src/rewards/export/decoder-graph.js';
import { exportRewardModel } from '../../src/rewards/export/export-reward-model.js';
import { GraphBuilder } from '../../src/rewards/export/graph-builder.js';
import { ELEMENT_TYPES, encodeModel, IR_VERSION } from '../../src/rewards/export/onnx-proto.js';
import { loadRewardModel } from '../../src/rewards/load-reward-model.js';
import { parseRecipe } from '../../src/rewards/recipe.js';
import { writeTinyModel, writeTinyTokenizer } from '../support/tiny-model.js';
import { writeTinyRewardModel } from './tiny-reward-model.js';

const root = mkdtempSync(join(tmpdir(), 'persona-dpo-bad-rewards-'));
const hf = join(root, 'hf');
const onnx = join(root, 'onnx');
beforeAll(async () => {
  writeTinyRewardModel(hf);
  await exportRewardModel({ model: hf, output: onnx });
});
afterAll(() => rmSync(root, { recursive: true }));

let copies = 0;
function copyOf(folder: string, files: Record<string, (content: string) => string> = {}): string {
  const copy = join(root, `copy-${copies++}`);
  cpSync(folder, copy, { recursive: true });
  for (const [name, change] of Object.entries(files)) {
    writeFileSync(join(copy, name), change(readFileSync(join(copy, name), 'utf8')));
  }
  return copy;
}

const changed = (change: Record<string, unknown>) => (content: string) =>
  JSON.stringify({ ...JSON.parse(content), ...change });

const output = () => join(root, `out-${copies++}`);

describe('export names what is wrong with', () => {
  test.each([
    [
      'another architecture',
      { architectures: ['GemmaForSequenceClassification'], model_type: 'gemma' },
      /GemmaForSequenceClassification, model_type gemma is not supported; supported are .*Llama/,
    ],
    ['no architecture', { architectures: null, model_type: undefined }, /\(none is named\) is not supported/],
    ['a feature that is not supported', { hidden_act: 'gelu' }, /hidden_act.*"gelu"/],
  ])('%s', async (_name, change, message) => {
    const model = copyOf(hf, { 'config.json': changed(change) });
    await expect(exportRewardModel({ model, output: output() })).rejects.toThrow(message);
  });

  test('a language model', async () => {
    const model = join(root, 'language');
    writeTinyModel(model, { config: { tieWordEmbeddings: false } });
    await expect(exportRewardModel({ model, output: output() })).rejects.toThrow(
      /has no reward head \(it is a language model\)/,
    );
  });

  test('a head of several labels', async () => {
    const model = join(root, 'labels');
    writeTinyRewardModel(model, { labels: 3 });
    await expect(exportRewardModel({ model, output: output() })).rejects.toThrow(
      /score\.weight gives 3 numbers; a reward is one/,
    );
  });

  test('a tokenizer with more ids than the embedding has rows', async () => {
    const model = join(root, 'small');
    writeTinyRewardModel(model, { config: { vocabSize: 200 } });
    await expect(exportRewardModel({ model, output: output() })).rejects.toThrow(
      /does not belong to the model: it has ids up to 271, the model's embedding has 200 rows/,
    );
  });

  test('a tokenizer without the classification token', async () => {
    const model = join(root, 'athene');
    writeTinyRewardModel(model, { head: 'v_head.weight' });
    await expect(exportRewardModel({ model, output: output() })).rejects.toThrow(
      /lacks the classification token "<\|reserved_special_token_1\|>"/,
    );
    const exported = await exportRewardModel({
      ...{ model, output: output() },
      recipe: { classificationToken: '<|endoftext|>' },
    });
    expect(exported.recipe).toMatchObject({
      head: { kind: 'athene' },
      maxTokens: 511,
      truncation: 'end',
      classificationToken: '<|endoftext|>',
    });
  });

  test('more tokens than the model was made for, and a folder that holds something', async () => {
    const long = { model: hf, output: output(), recipe: { maxTokens: 600 } };
    await expect(exportRewardModel(long)).rejects.toThrow(/was made for 512 tokens, 600 were asked for/);
    await expect(exportRewardModel({ model: hf, output: onnx })).rejects.toThrow(/is not empty/);
    await expect(
      exportRewardModel({ model: hf, output: output(), dtype: 'int4' as never }),
    ).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('dtype'),
    });
  });
});

describe('loading names what is wrong with', () => {
  test('a folder that is none, or one of Hugging Face', async () => {
    await expect(loadRewardModel(join(root, 'nothing'))).rejects.toThrow(/There is no such folder/);
    await expect(loadRewardModel(hf)).rejects.toThrow(/persona-dpo export-reward --model/);
  });

  test('a recipe, by file and key', async () => {
    const folder = copyOf(onnx, { 'reward_recipe.json': changed({ truncation: 'middle', tokens: 3 }) });
    await expect(loadRewardModel(folder)).rejects.toThrow(
      /reward_recipe\.json: (?=.*truncation: ).*[Uu]nrecognized key.*"tokens"/,
    );
    const nothing = { version: 1, head: { kind: 'athene', dtype: 'int8' }, maxTokens: 5 };
    expect(() => parseRecipe(nothing, 'recipe.json')).toThrow(/recipe\.json: classificationToken/);
  });

  test('a model file that is missing or damaged', async () => {
    const missing = copyOf(onnx, { 'reward_recipe.json': changed({ model: 'other.onnx' }) });
    await expect(loadRewardModel(missing)).rejects.toThrow(/There is no .*other\.onnx/);
    const damaged = copyOf(onnx);
    writeFileSync(join(damaged, 'model.onnx'), 'nonsense');
    await expect(loadRewardModel(damaged)).rejects.toThrow(/ONNX Runtime cannot load .*model\.onnx/);
  });

  test('a tokenizer with more ids than the embedding', async () => {
    const folder = copyOf(onnx, { 'config.json': changed({ vocab_size: 100 }) });
    await expect(loadRewardModel(folder)).rejects.toThrow(
      /does not belong to the model: it has ids up to 271/,
    );
  });

  test('a provider that is not there', async () => {
    await expect(loadRewardModel(onnx, { executionProvider: 'cuda' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/CUDA execution provider cannot be used.*--execution-provider cpu/),
    });
    const auto = await loadRewardModel(onnx, { threads: 1 });
    expect(auto.executionProvider).toBe('cpu');
    await auto.dispose();
  });
});

describe("a file of a user's own", () => {
  const recipe = {
    version: 1,
    head: { kind: 'custom', inputs: { ids: 'tokens', attentionMask: 'mask' }, output: 'score' },
    maxTokens: 500,
  };
  const request = {
    prompt: [{ role: 'user' as const, content: 'Hi' }],
    candidates: ['a', 'bb bb bb bb'],
  };

  test('gives what it computes of ids and mask: here, how many tokens there are', async () => {
    for (const shape of ['rows', 'rows-by-one', 'tokens'] as const) {
      const folder = customFolder(`custom-${shape}`, recipe, shape);
      const model = await loadRewardModel(folder, { threads: 1 });
      const [short = 0, long = 0] = await model.score(request);
      expect(model.usage().tokens).toBe(short + long);
      expect(long - short).toBe(10);
      await model.dispose();
    }
  });

  test('must have the inputs and the output that the recipe names', async () => {
    const other = { ...recipe, head: { ...recipe.head, inputs: { ids: 'input_ids' }, output: 'logits' } };
    await expect(loadRewardModel(customFolder('custom-names', other, 'rows'))).rejects.toThrow(
      /there is no input input_ids; .*the input tokens is not known.*there is no output logits\. Expected inputs: input_ids; output: logits\. The file's inputs: tokens, mask; outputs: score/,
    );
  });

  test('is refused where a recipe says that it is an exported one', async () => {
    const decoder = { ...recipe, head: { kind: 'sequence-classification', dtype: 'float32' } };
    await expect(loadRewardModel(customFolder('custom-decoder', decoder, 'rows'))).rejects.toThrow(
      /there is no input input_ids/,
    );
  });
});

/** A folder with an ONNX file that gives the sum of its mask: the number of tokens of each row. */
function customFolder(name: string, recipe: object, shape: 'rows' | 'rows-by-one' | 'tokens'): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeTinyTokenizer(folder);
  const builder = new GraphBuilder('unused');
  builder.input('tokens', 'int64', ['rows', 'tokens']);
  builder.input('mask', 'int64', ['rows', 'tokens']);
  const cast = (x: string) => builder.add('Cast', [x], { attributes: { to: ELEMENT_TYPES.float32 } });
  const named = { names: ['score'] };
  if (shape === 'tokens') {
    builder.add('CumSum', [cast('mask'), builder.int(1)], named);
    builder.output('score', 'float32', ['rows', 'tokens']);
  } else {
    const keep = shape === 'rows' ? 0 : 1;
    builder.add('ReduceSum', [cast('mask'), builder.ints(1)], { ...named, attributes: { keepdims: keep } });
    builder.output('score', 'float32', shape === 'rows' ? ['rows'] : ['rows', 1]);
  }
  const model = {
    ...{ irVersion: IR_VERSION, producerName: 'test', producerVersion: '' },
    opsetImport: [{ domain: '', version: OPSET }],
    graph: builder.graph('custom', ''),
  };
  writeFileSync(join(folder, 'model.onnx'), encodeModel(model));
  writeFileSync(join(folder, 'reward_recipe.json'), JSON.stringify(recipe));
  return folder;
}
