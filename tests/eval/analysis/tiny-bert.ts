/** A small random BERT with a tokenizer of letters, written as a Hugging Face folder; and its arithmetic, in plain numbers. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../../../src/data/random.js';
import { type TensorToWrite, writeSafetensorsFolder } from '../../../src/models/safetensors-write.js';

const LETTERS = [...'abcdefghijklmnopqrstuvwxyz'];
const VOCABULARY = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  ...LETTERS,
  ...LETTERS.map((letter) => `##${letter}`),
];
const [D, HEADS, WIDE, POSITIONS, EPS] = [8, 2, 12, 32, 1e-6];

type Weights = Map<string, { shape: number[]; values: Float32Array }>;

/** Writes the model, and gives a function from token ids to the normalized mean of the last hidden states. */
export function writeTinyBert(folder: string): (ids: readonly number[]) => number[] {
  mkdirSync(folder, { recursive: true });
  const weights = randomWeights();
  const tensors: TensorToWrite[] = [...weights].map(([name, { shape, values }]) => ({
    ...{ name, shape, dtype: 'float32' as const },
    bytes: () => new Uint8Array(values.buffer),
  }));
  writeSafetensorsFolder(folder, tensors);
  const write = (name: string, content: unknown) =>
    writeFileSync(join(folder, name), JSON.stringify(content));
  write('config.json', {
    ...{ model_type: 'bert', architectures: ['BertModel'], hidden_size: D, num_hidden_layers: 1 },
    ...{ num_attention_heads: HEADS, intermediate_size: WIDE, max_position_embeddings: POSITIONS },
    ...{ layer_norm_eps: EPS, hidden_act: 'gelu', type_vocab_size: 2, vocab_size: VOCABULARY.length },
  });
  write('sentence_bert_config.json', { max_seq_length: 6 });
  write('tokenizer_config.json', {
    ...{ tokenizer_class: 'BertTokenizer', do_lower_case: true, model_max_length: POSITIONS },
    ...{
      unk_token: '[UNK]',
      sep_token: '[SEP]',
      pad_token: '[PAD]',
      cls_token: '[CLS]',
      mask_token: '[UNK]',
    },
  });
  const special = (id: string) => ({ id, ids: [VOCABULARY.indexOf(id)], tokens: [id] });
  write('tokenizer.json', {
    ...{ version: '1.0', truncation: null, padding: null },
    added_tokens: VOCABULARY.slice(0, 4).map((content, id) => ({
      ...{ id, content, special: true, normalized: false, single_word: false, lstrip: false, rstrip: false },
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '[CLS]', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '[SEP]', type_id: 0 } },
      ],
      pair: [],
      special_tokens: { '[CLS]': special('[CLS]'), '[SEP]': special('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      ...{
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
      },
      vocab: Object.fromEntries(VOCABULARY.map((token, id) => [token, id])),
    },
  });
  return (ids) => embedding(ids, weights);
}

/** Ids of words of one letter each, between the special tokens. */
export function letterIds(text: string): number[] {
  const words = text.split(' ').map((word) => VOCABULARY.indexOf(word));
  return [VOCABULARY.indexOf('[CLS]'), ...words, VOCABULARY.indexOf('[SEP]')];
}

function randomWeights(): Weights {
  const weights: Weights = new Map();
  const add = (name: string, ...shape: number[]) => {
    const random = createRandom(7, weights.size);
    const size = shape.reduce((product, length) => product * length, 1);
    const centre = name.endsWith('LayerNorm.weight') ? 1 : 0;
    weights.set(name, {
      shape,
      values: Float32Array.from({ length: size }, () => centre + 0.4 * random.normal()),
    });
  };
  const linear = (name: string, inputs: number, outputs: number) => {
    add(`${name}.weight`, outputs, inputs);
    add(`${name}.bias`, outputs);
  };
  const norm = (name: string) => {
    add(`${name}.weight`, D);
    add(`${name}.bias`, D);
  };
  add('embeddings.word_embeddings.weight', VOCABULARY.length, D);
  add('embeddings.position_embeddings.weight', POSITIONS, D);
  add('embeddings.token_type_embeddings.weight', 2, D);
  norm('embeddings.LayerNorm');
  const layer = 'encoder.layer.0';
  for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, D, D);
  linear(`${layer}.attention.output.dense`, D, D);
  norm(`${layer}.attention.output.LayerNorm`);
  linear(`${layer}.intermediate.dense`, D, WIDE);
  linear(`${layer}.output.dense`, WIDE, D);
  norm(`${layer}.output.LayerNorm`);
  return weights;
}

function embedding(ids: readonly number[], weights: Weights): number[] {
  const at = (name: string) => weights.get(name)!.values;
  const row = (name: string, index: number, size = D) => [
    ...at(name).subarray(index * size, (index + 1) * size),
  ];
  const add = (a: number[], b: number[]) => a.map((value, i) => value + b[i]!);
  const linear = (x: number[], name: string) =>
    [...at(`${name}.bias`)].map(
      (bias, out) => bias + row(`${name}.weight`, out, x.length).reduce((sum, w, i) => sum + w * x[i]!, 0),
    );
  const norm = (x: number[], name: string) => {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    const scaled = x.map((value) => (value - mean) / Math.sqrt(variance + EPS));
    return scaled.map((value, i) => value * at(`${name}.weight`)[i]! + at(`${name}.bias`)[i]!);
  };
  const layer = 'encoder.layer.0';
  let xs = ids.map((id, place) => {
    const sum = add(
      row('embeddings.word_embeddings.weight', id),
      row('embeddings.position_embeddings.weight', place),
    );
    return norm(add(sum, row('embeddings.token_type_embeddings.weight', 0)), 'embeddings.LayerNorm');
  });
  const [q, k, v] = ['query', 'key', 'value'].map((part) =>
    xs.map((x) => linear(x, `${layer}.attention.self.${part}`)),
  );
  const size = D / HEADS;
  const attended = xs.map((_, i) =>
    Array.from({ length: HEADS }, (_h, h) => {
      const part = (x: number[]) => x.slice(h * size, (h + 1) * size);
      const scores = k!.map(
        (key) => part(key).reduce((sum, value, j) => sum + value * part(q![i]!)[j]!, 0) / Math.sqrt(size),
      );
      const exps = scores.map(Math.exp);
      const total = exps.reduce((sum, value) => sum + value, 0);
      return v!.reduce(
        (sum, value, j) =>
          add(
            sum,
            part(value).map((each) => (each * exps[j]!) / total),
          ),
        new Array<number>(size).fill(0),
      );
    }).flat(),
  );
  xs = xs.map((x, i) =>
    norm(
      add(linear(attended[i]!, `${layer}.attention.output.dense`), x),
      `${layer}.attention.output.LayerNorm`,
    ),
  );
  xs = xs.map((x) => {
    const wide = linear(x, `${layer}.intermediate.dense`).map(
      (value) => (value / 2) * (1 + erf(value / Math.SQRT2)),
    );
    return norm(add(linear(wide, `${layer}.output.dense`), x), `${layer}.output.LayerNorm`);
  });
  const mean = xs.reduce(add).map((value) => value / xs.length);
  const length = Math.hypot(...mean);
  return mean.map((value) => value / length);
}

/** By its series, exact to float64 for what comes up here. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
