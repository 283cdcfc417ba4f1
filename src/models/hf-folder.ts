import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { readJsonFile } from './json-file.js';
import { expectedWeights, type ModelConfig, parseModelConfig } from './model-config.js';
import { openSafetensorsFolder } from './safetensors.js';
import { checkWeights, type WeightSource } from './weight-source.js';

export interface HfFolder {
  config: ModelConfig;
  /** config.json as it is, for saving. */
  configJson: Record<string, unknown>;
  /** generation_config.json as it is; null where there is none. */
  generationConfig: Record<string, unknown> | null;
  weights: WeightSource;
}

/**
 * Opens a model in Hugging Face's layout: config.json, safetensors weights and perhaps generation_config.json,
 * whose end-of-sequence tokens take the place of config.json's, as in transformers. The weights are checked
 * against the configuration before anything is read.
 * Throws CheckpointError naming file and problem.
 */
export function openHfFolder(folder: string): HfFolder {
  const configPath = join(folder, 'config.json');
  if (!existsSync(configPath)) {
    throw new CheckpointError(`${folder} is no model folder: it has no config.json.`, {
      details: { folder },
    });
  }
  const configJson = readJsonFile(configPath);
  const config = parseModelConfig(configJson, { file: configPath });
  const generationPath = join(folder, 'generation_config.json');
  const generationConfig = existsSync(generationPath) ? readJsonFile(generationPath) : null;
  if (generationConfig?.eos_token_id !== undefined && generationConfig.eos_token_id !== null) {
    config.eosTokenIds = endOfSequenceIds(generationConfig.eos_token_id, generationPath);
  }
  const weights = openSafetensorsFolder(folder);
  try {
    checkWeights(weights, expectedWeights(config), {
      label: folder,
      // some tools save the tied matrix under both names
      mayHold: config.tieWordEmbeddings ? ['lm_head.weight'] : [],
    });
  } catch (error) {
    weights.close();
    throw error;
  }
  return { config, configJson, generationConfig, weights };
}

function endOfSequenceIds(value: unknown, file: string): number[] {
  const ids = Array.isArray(value) ? value : [value];
  if (!ids.every((id): id is number => Number.isSafeInteger(id) && id >= 0)) {
    throw new CheckpointError(
      `${file}: eos_token_id is ${JSON.stringify(value)}; a token id or a list was expected.`,
    );
  }
  return [...new Set(ids)];
}
