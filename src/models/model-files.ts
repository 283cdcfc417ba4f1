import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { CheckpointError } from '../errors.js';
import { reasonOf } from './file-reading.js';
import { openGguf } from './gguf-file.js';
import type { GgufMetadata } from './gguf-header.js';
import { openHfFolder } from './hf-folder.js';
import { expectedWeights, type ModelConfig } from './model-config.js';
import { checkWeights, type WeightSource } from './weight-source.js';

/** Where a model's tokenizer and chat template are. */
export type TokenizerSource =
  | { kind: 'hf'; dir: string }
  /** `tokenizer.*` keys of a GGUF file's metadata. */
  | { kind: 'gguf'; metadata: GgufMetadata };

export interface ModelFiles {
  path: string;
  config: ModelConfig;
  /** The original config.json, to be saved again (see modelConfigToJson); null for GGUF. */
  configJson: Record<string, unknown> | null;
  /** generation_config.json as it is; null where there is none. */
  generationConfig: Record<string, unknown> | null;
  tokenizerSource: TokenizerSource;
  /** Open; the caller closes it when the weights are loaded. */
  weights: WeightSource;
}

/**
 * Opens the files of a model, a Hugging Face folder or a GGUF file, as resolveModel gives its path. On return,
 * headers are checked and the weights fit the configuration; no weight has been read yet.
 * Throws CheckpointError naming file and problem.
 */
export function loadModelFiles(path: string): ModelFiles {
  if (isFolder(path)) {
    return { path, ...openHfFolder(path), tokenizerSource: { kind: 'hf', dir: path } };
  }
  const { config, weights, metadata } = openGguf(path);
  try {
    checkWeights(weights, expectedWeights(config), { label: path });
  } catch (error) {
    weights.close();
    throw error;
  }
  return {
    path,
    config,
    configJson: null,
    generationConfig: null,
    tokenizerSource: { kind: 'gguf', metadata },
    weights,
  };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new CheckpointError(`The model ${path} cannot be opened: ${reasonOf(cause)}.`, {
      details: { path },
      cause,
    });
  }
}

/** Whether a file starts like a GGUF file, whatever it is called. */
export function looksLikeGguf(path: string): boolean {
  const start = Buffer.alloc(4);
  const descriptor = openSync(path, 'r');
  try {
    return readSync(descriptor, start, 0, 4, 0) === 4 && start.toString('latin1') === 'GGUF';
  } finally {
    closeSync(descriptor);
  }
}
