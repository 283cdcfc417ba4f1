/** Writing a whole model as Hugging Face does: weights, configuration, tokenizer. */

import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ggufTokenizerSource } from '../data/gguf-tokenizer.js';
import { createTokenizer } from '../data/tokenizer.js';
import { CheckpointError } from '../errors.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import { writeFileAtomically } from './atomic-file.js';
import { reasonOf } from './file-reading.js';
import { openGguf } from './gguf-file.js';
import { type ModelConfig, modelConfigToJson } from './model-config.js';
import { type TensorToWrite, writeSafetensorsFolder } from './safetensors-write.js';

/** What a folder takes over from the model that the weights come from. */
export interface FolderOrigin {
  kind: 'hf-folder' | 'gguf';
  path: string;
  configJson: Record<string, unknown> | null;
  generationConfig: Record<string, unknown> | null;
}

export interface ModelFolderContent {
  config: ModelConfig;
  origin: FolderOrigin;
  /** What `tensors` are stored in. */
  dtype: ComputeDType;
  tensors: readonly TensorToWrite[];
}

export interface WriteModelOptions {
  /** Largest file of weights in bytes. Default: 5 GB, as in transformers. */
  maxShardBytes?: number;
}

/**
 * Throws CheckpointError unless a model may be written to `folder`: it must not exist, or be empty. To be called
 * before long work.
 */
export function checkModelTarget(folder: string): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory())
    throw new CheckpointError(`${folder} is a file; a folder was expected.`);
  const [first] = readdirSync(folder);
  if (first === undefined) return;
  throw new CheckpointError(
    `${folder} is not empty (it holds ${first}): a model is saved to a new or an empty folder.`,
    { details: { folder } },
  );
}

/**
 * Writes config.json, generation_config.json, the tokenizer's files and safetensors weights. All of it is written
 * beside `folder` first, so that the folder appears whole or not at all.
 *
 * @throws CheckpointError when the folder is not empty or cannot be written
 */
export function writeModelFolder(
  folder: string,
  { config, origin, dtype, tensors }: ModelFolderContent,
  options: WriteModelOptions = {},
): void {
  const target = resolve(folder);
  checkModelTarget(target);
  const pending = join(
    dirname(target),
    `.${basename(target)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  );
  try {
    mkdirSync(pending, { recursive: true });
  } catch (cause) {
    throw unsavable(folder, cause);
  }
  try {
    writeJson(pending, 'config.json', modelConfigToJson(config, { dtype, original: origin.configJson }));
    if (origin.kind === 'hf-folder') copyTokenizer(origin.path, pending);
    else writeGgufTokenizerOf(origin.path, config, pending);
    if (origin.generationConfig !== null) {
      writeJson(pending, 'generation_config.json', origin.generationConfig);
    }
    writeSafetensorsFolder(pending, tensors, options);
    renameSync(pending, target);
  } catch (cause) {
    rmSync(pending, { recursive: true, force: true });
    if (cause instanceof CheckpointError) throw cause;
    throw unsavable(folder, cause);
  }
}

function unsavable(folder: string, cause: unknown): CheckpointError {
  return new CheckpointError(`The model cannot be saved to ${folder}: ${reasonOf(cause)}.`, {
    details: { folder },
    cause,
  });
}

/** The files that a tokenizer of transformers may consist of. */
const TOKENIZER_FILES =
  /^(tokenizer[\w.-]*|special_tokens_map|added_tokens|vocab|chat_template[\w.-]*)\.(json|jinja|txt|model)$|^merges\.txt$|^tokenizer\.model[\w.]*$/;

/** Copies a tokenizer's files, chat template included, from one model folder to another. */
export function copyTokenizer(from: string, to: string): void {
  for (const name of readdirSync(from)) {
    // The files of a snapshot in the Hub's cache are links: what they point to is copied.
    if (TOKENIZER_FILES.test(name)) copyFileSync(join(from, name), join(to, name));
  }
}

function writeGgufTokenizerOf(path: string, config: ModelConfig, folder: string): void {
  const { metadata, weights } = openGguf(path);
  weights.close();
  if (metadata['tokenizer.ggml.model'] === undefined) return;
  writeGgufTokenizer(metadata, config, folder);
}

/**
 * The tokenizer in a GGUF file's metadata as `tokenizer.json` and `tokenizer_config.json` with its chat template, and
 * the tokens that end an answer in `generation_config.json`.
 */
export function writeGgufTokenizer(
  metadata: Record<string, unknown>,
  { maxPositionEmbeddings, eosTokenIds }: Pick<ModelConfig, 'maxPositionEmbeddings' | 'eosTokenIds'>,
  folder: string,
): void {
  const source = ggufTokenizerSource(metadata, 'the GGUF file');
  const { bosToken, eosToken, padToken, unkToken, chatTemplate } = source;
  writeJson(folder, 'tokenizer.json', { truncation: null, padding: null, ...source.json });
  writeJson(folder, 'tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: bosToken,
    eos_token: eosToken,
    pad_token: padToken,
    unk_token: unkToken,
    chat_template: chatTemplate,
    clean_up_tokenization_spaces: false,
    model_max_length: maxPositionEmbeddings,
  });
  const { bosTokenId, padTokenId, stopTokenIds } = createTokenizer(source);
  writeJson(folder, 'generation_config.json', {
    bos_token_id: bosTokenId ?? undefined,
    eos_token_id: [...new Set([...eosTokenIds, ...stopTokenIds])],
    pad_token_id: padTokenId ?? undefined,
  });
}

function writeJson(folder: string, name: string, content: Record<string, unknown>): void {
  writeFileAtomically(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
}
