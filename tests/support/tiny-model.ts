/** A small random model with a real tokenizer, written as a Hugging Face folder: what tests run on without downloads. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../../src/data/random.js';
import { expectedWeights, type ModelConfig, modelConfigToJson } from '../../src/models/model-config.js';
import { type TensorToWrite, writeSafetensorsFolder } from '../../src/models/safetensors-write.js';
import { float32ToBfloat16 } from '../../src/runtime/tensor.js';

export interface TinyModelOptions {
  /** What differs from {@link TINY_CONFIG}: another architecture, biases, an untied head, other sizes. */
  config?: Partial<ModelConfig>;
  /** Seed of the weights. Default 1. */
  seed?: number;
  /** What the weights are stored in. Default `float32`. */
  dtype?: 'float32' | 'bfloat16';
  /** Whether to write a tokenizer and a chat template. Default true. */
  tokenizer?: boolean;
  /** Largest shard of weights. Default: one file. */
  maxShardBytes?: number;
}

const SPECIAL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const MERGES = [
  'Ġ t',
  'h e',
  'Ġt he',
  'i n',
  'Ġ a',
  'o u',
  'Ġ y',
  'Ġy ou',
  'e r',
  'a n',
  's t',
  'r e',
  'l l',
];

/** ChatML: each message in its frame; the generation prompt opens the assistant's. */
export const TINY_CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Every byte, the merges and the special tokens; the end of a turn (`<|im_end|>`) is the end of a sequence. */
export const TINY_CONFIG: ModelConfig = {
  architecture: 'llama',
  vocabSize: SPECIAL_TOKENS.length + 256 + MERGES.length,
  hiddenSize: 32,
  intermediateSize: 48,
  numLayers: 2,
  numHeads: 4,
  numKeyValueHeads: 2,
  headDim: 8,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: { type: 'default' },
  maxPositionEmbeddings: 512,
  slidingWindow: null,
  tieWordEmbeddings: true,
  attentionBias: false,
  attentionOutputBias: false,
  mlpBias: false,
  queryKeyNorm: false,
  bosTokenId: 1,
  eosTokenIds: [2],
  padTokenId: 0,
};

/** Writes the model into `folder`, which is made where it is missing, and gives the configuration it has. */
export function writeTinyModel(folder: string, options: TinyModelOptions = {}): ModelConfig {
  const { seed = 1, dtype = 'float32', tokenizer = true, maxShardBytes } = options;
  const config: ModelConfig = { ...TINY_CONFIG, ...options.config };
  mkdirSync(folder, { recursive: true });
  writeJson(folder, 'config.json', modelConfigToJson(config, { dtype }));
  writeJson(folder, 'generation_config.json', { bos_token_id: 1, eos_token_id: config.eosTokenIds });
  writeSafetensorsFolder(folder, randomWeights(config, seed, dtype), maxShardBytes ? { maxShardBytes } : {});
  if (tokenizer) writeTinyTokenizer(folder);
  return config;
}

/**
 * Matrices of a size that makes tokens differ clearly in probability (embeddings and output layer of deviation 0.3,
 * linear layers as 1 / sqrt(in)), norms around 1.
 */
function randomWeights(config: ModelConfig, seed: number, dtype: 'float32' | 'bfloat16'): TensorToWrite[] {
  return expectedWeights(config).map(({ name, shape }, index) => ({
    name,
    dtype,
    shape,
    bytes: () => {
      const random = createRandom(seed, index);
      const [mean, deviation] = name.endsWith('norm.weight')
        ? [1, 0.1]
        : shape.length === 1
          ? [0, 0.1]
          : [0, /embed|lm_head/.test(name) ? 0.3 : 1 / Math.sqrt(shape[1] as number)];
      const count = shape.reduce((product, size) => product * size, 1);
      const values = Float32Array.from({ length: count }, () => mean + deviation * random.normal());
      const stored = dtype === 'float32' ? values : float32ToBfloat16(values);
      return new Uint8Array(stored.buffer);
    },
  }));
}

/** A byte-level BPE tokenizer with a ChatML template, in the files of a Hugging Face folder. */
export function writeTinyTokenizer(folder: string): void {
  const tokens = [...SPECIAL_TOKENS, ...byteCharacters(), ...MERGES.map((merge) => merge.replace(' ', ''))];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  writeJson(folder, 'tokenizer.json', {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      special: true,
      normalized: false,
      single_word: false,
      lstrip: false,
      rstrip: false,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: MERGES.map((merge) => merge.split(' ')),
    },
  });
  writeJson(folder, 'tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|im_start|>',
    eos_token: '<|im_end|>',
    pad_token: '<|endoftext|>',
    chat_template: TINY_CHAT_TEMPLATE,
    model_max_length: 512,
  });
}

/** GPT-2's characters for the 256 bytes: printable ones stand for themselves, the others follow from U+0100 on. */
function byteCharacters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

function writeJson(folder: string, name: string, content: unknown): void {
  writeFileSync(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
}
