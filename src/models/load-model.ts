/** A model as a user names it, ready to run: files found, weights in TensorFlow's memory, tokenizer, adapter. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizerFromGguf } from '../data/gguf-tokenizer.js';
import { type LoadTokenizerOptions, loadTokenizer, type Tokenizer } from '../data/tokenizer.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import type { RuntimeOptions } from '../runtime/runtime.js';
import { useTensorflowBackend } from '../runtime/tfjs/backend.js';
import { loadAdapter } from './adapter-files.js';
import type { HubOptions } from './hub-options.js';
import { LanguageModel } from './language-model.js';
import { loadWeights } from './load-weights.js';
import { loadModelFiles, type ModelFiles, type TokenizerSource } from './model-files.js';
import { type FingerprintOptions, modelFingerprint, weightFilesOf } from './model-fingerprint.js';
import { resolveModel } from './model-location.js';

/** How a model is loaded and what it computes in. */
export interface LoadModelOptions extends Pick<RuntimeOptions, 'device' | 'threads'> {
  /** What linear layers compute in. Norms, softmax and log-probabilities are float32 in both. Default `bfloat16`. */
  dtype?: ComputeDType;
  /**
   * What matrices are stored in. Default: `dtype`. With float32 and a bfloat16 `dtype` they are rounded when used: for
   * training all weights, whose float32 masters they then are.
   */
  weightDtype?: ComputeDType;
  /** PEFT folder of a LoRA adapter to put on the model. Default: none. */
  adapter?: string;
  /** Compile what lies between matrix products by XLA. Default false. */
  xla?: boolean;
  /** How to reach the Hugging Face Hub. Default: the public endpoint without a token. */
  hub?: HubOptions;
  /** Another chat template, its variables, the time it sees. Default: the model's own template. */
  tokenizer?: LoadTokenizerOptions;
  /** Opens the files of the model found at a path, where they are more than a language model's. */
  open?: (path: string) => ModelFiles;
  /** Called after each tensor with the bytes of weights read so far and in all. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** Where a loaded model comes from. */
export interface ModelOrigin {
  kind: 'hf-folder' | 'gguf';
  /** Folder, or GGUF file. */
  path: string;
  /** What to call the model elsewhere: its id on the Hub, or its path. */
  id: string;
  /** Commit on the Hub; null for local files. */
  revision: string | null;
  /** config.json as it is; null for GGUF. */
  configJson: Record<string, unknown> | null;
  /** generation_config.json as it is; null where there is none. */
  generationConfig: Record<string, unknown> | null;
}

/** A model with what belongs to it. Whoever loaded it disposes it. */
export interface LoadedModel {
  readonly model: LanguageModel;
  /** Null where the model's files hold none: rows of token ids need none. */
  readonly tokenizer: Tokenizer | null;
  readonly origin: ModelOrigin;
  /**
   * Identifies the base model's weights and configuration as they were loaded (SHA-256, hex); later changes in
   * memory do not show in it. See `adapterFingerprint` for the adapter.
   *
   * @throws CheckpointError when a file of weights has changed since
   */
  fingerprint(options?: FingerprintOptions): Promise<string>;
  dispose(): void;
}

/**
 * Loads a model from a Hugging Face folder, a GGUF file or the Hub (`owner/name[@revision]`). Starts TensorFlow
 * where it does not run yet. At most one tensor's file bytes exist beside the weights loaded so far.
 *
 * @throws CheckpointError naming file and problem; RuntimeInstallError when TensorFlow is not installed; ConfigError
 * when it already runs on another device or with other threads. Nothing stays in memory then.
 */
export async function loadModel(pathOrId: string, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const {
    dtype = 'bfloat16',
    device,
    threads,
    xla = false,
    hub,
    open = loadModelFiles,
    onProgress,
  } = options;
  const { weightDtype = dtype } = options;
  const location = await resolveModel(pathOrId, hub === undefined ? {} : { hub });
  await useTensorflowBackend({ ...(device && { device }), ...(threads !== undefined && { threads }) });
  const weightFiles = weightFilesOf(location.path);
  const { config, configJson, generationConfig, tokenizerSource, weights: source } = open(location.path);
  let model: LanguageModel;
  let tokenizer: Tokenizer | null;
  try {
    tokenizer = tokenizerOf(tokenizerSource, location.path, options.tokenizer);
    const weights = loadWeights(source, config, { dtype: weightDtype, ...(onProgress && { onProgress }) });
    model = new LanguageModel(config, dtype, weights, { xla });
  } finally {
    source.close();
  }
  try {
    if (options.adapter !== undefined) model.attach(loadAdapter(options.adapter, config));
  } catch (error) {
    model.dispose();
    throw error;
  }
  const { kind, path, id, revision } = location;
  return {
    model,
    tokenizer,
    origin: { kind, path, id, revision, configJson, generationConfig },
    fingerprint: (fingerprintOptions) => modelFingerprint(weightFiles, config, fingerprintOptions),
    dispose: () => model.dispose(),
  };
}

/** Files that only a model with a tokenizer has; a folder with none of them is one for token ids. */
const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer.model', 'tokenizer_config.json', 'vocab.json'];

function tokenizerOf(
  source: TokenizerSource,
  path: string,
  options: LoadTokenizerOptions = {},
): Tokenizer | null {
  if (source.kind === 'gguf') {
    const has = source.metadata['tokenizer.ggml.model'] !== undefined;
    return has ? tokenizerFromGguf(source.metadata, { ...options, name: path }) : null;
  }
  const has = TOKENIZER_FILES.some((file) => existsSync(join(source.dir, file)));
  return has ? loadTokenizer(source.dir, options) : null;
}
