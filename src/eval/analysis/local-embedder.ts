/** Vectors from a sentence-embedding model on this machine, in ONNX. */

import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CheckpointError, RuntimeInstallError } from '../../errors.js';
import { readJsonFile } from '../../models/json-file.js';
import { exportBert } from './bert-export.js';
import { type Embedder, normalized } from './embedder.js';

export interface LocalEmbedderOptions {
  /**
   * Folder of the model: `config.json`, `tokenizer.json`, and `onnx/model.onnx` as transformers.js has it, or the
   * `model.safetensors` of a BERT.
   */
  folder: string;
  /** Where the ONNX form of a model that has none is kept. */
  cacheDir: string;
  /** Tokens of a text that are read. Default: what the model's `sentence_bert_config.json` says, else 256. */
  maxTokens?: number;
}

const DEFAULT_TOKENS = 256;

/** Texts that go through the model together. */
const BATCH = 16;

/**
 * Opens a model with transformers.js, from local files alone: the mean of the last layer's hidden states, scaled to
 * length 1, as sentence-transformers' models are made for.
 *
 * @throws CheckpointError for a folder without such a model; RuntimeInstallError where transformers.js or ONNX Runtime,
 *   which are optional, are not installed
 */
export async function openLocalEmbedder({
  folder,
  cacheDir,
  maxTokens,
}: LocalEmbedderOptions): Promise<Embedder> {
  for (const file of ['config.json', 'tokenizer.json']) {
    if (!existsSync(join(folder, file))) {
      throw new CheckpointError(`${folder} is no embedding model: expected ${file} in it.`);
    }
  }
  const ready = existsSync(join(folder, 'onnx', 'model.onnx'))
    ? resolve(folder)
    : await exportBert(folder, cacheDir);
  const { AutoModel, AutoTokenizer, env, mean_pooling, Tensor } = await loadTransformers();
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = dirname(ready);
  const name = basename(ready);
  const external = existsSync(join(ready, 'onnx', 'model.onnx_data'));
  const options = { local_files_only: true, dtype: 'fp32', use_external_data_format: external } as const;
  const tokenizer = await AutoTokenizer.from_pretrained(name, { local_files_only: true });
  const model = await AutoModel.from_pretrained(name, options);
  const most = maxTokens ?? longestInput(folder);
  return {
    identity: `${folder}, ${most} tokens`,
    async embed(texts, { signal, onProgress } = {}) {
      const vectors: Float32Array[] = [];
      // Texts of like lengths together: a batch is as long as its longest.
      const order = texts.map((_, index) => index).sort((a, b) => texts[a]!.length - texts[b]!.length);
      for (let start = 0; start < order.length; start += BATCH) {
        signal?.throwIfAborted();
        const batch = order.slice(start, start + BATCH);
        const ids = batch.map((index) => shortened(tokenizer.encode(texts[index]!), most));
        const { ids: inputIds, mask, types, shape } = padded(ids, tokenizer.pad_token_id ?? 0);
        const tensor = (data: BigInt64Array) => new Tensor('int64', data, shape);
        const attentionMask = tensor(mask);
        const { last_hidden_state: hidden } = await model({
          ...{ input_ids: tensor(inputIds), attention_mask: attentionMask, token_type_ids: tensor(types) },
        });
        const pooled = mean_pooling(hidden, attentionMask);
        const size = pooled.dims[1] as number;
        for (const [row, index] of batch.entries()) {
          const vector = normalized((pooled.data as Float32Array).slice(row * size, (row + 1) * size));
          if (vector === null) throw new CheckpointError(`${folder} gives vectors that are not finite.`);
          vectors[index] = vector;
        }
        onProgress?.(Math.min(start + BATCH, order.length), order.length);
      }
      return vectors;
    },
    async dispose() {
      await model.dispose();
    },
  };
}

async function loadTransformers() {
  try {
    return await import('@xenova/transformers');
  } catch (cause) {
    throw new RuntimeInstallError(
      'Embedding models need @xenova/transformers and onnxruntime-node: npm install them, or use a server.',
      { cause },
    );
  }
}

/** Tokens that are read; the last one ends the text, and stays. */
function shortened(ids: number[], most: number): number[] {
  return ids.length <= most ? ids : [...ids.slice(0, most - 1), ids.at(-1) as number];
}

/** A batch as a BERT takes it, `[B, T]`. */
function padded(batch: readonly number[][], padding: number) {
  const longest = Math.max(...batch.map(({ length }) => length));
  const fill = (of: (ids: readonly number[], at: number) => number) =>
    BigInt64Array.from(
      batch.flatMap((ids) => Array.from({ length: longest }, (_, at) => of(ids, at))),
      BigInt,
    );
  return {
    ids: fill((ids, at) => ids[at] ?? padding),
    mask: fill((ids, at) => Number(at < ids.length)),
    types: fill(() => 0),
    shape: [batch.length, longest],
  };
}

/** Tokens that the model was made for; `tokenizer_config.json` tells the most that it takes at all. */
function longestInput(folder: string): number {
  const file = join(folder, 'sentence_bert_config.json');
  if (!existsSync(file)) return DEFAULT_TOKENS;
  const { max_seq_length: most } = readJsonFile(file);
  return typeof most === 'number' && Number.isInteger(most) && most > 0 ? most : DEFAULT_TOKENS;
}
