/** What a finished run leaves: the reward model for transformers, PEFT's adapter, the ONNX model. */

import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exportRewardModel } from '../../rewards/export/export-reward-model.js';
import { outputFiles } from '../output-folder.js';
import type { RewardNetwork } from './load-backbone.js';
import type { ResolvedTrainRewardOptions } from './reward-options.js';
import { saveClassifier, saveRewardAdapter } from './save-reward-model.js';

/** Beside the folders that every run may have. */
const ONNX_FOLDER = 'onnx';

/** Writes `adapter/` where there is one, and the model with it merged as `model/`. */
export function writeWeights(
  network: RewardNetwork,
  { outputDir, chatTemplatePath }: ResolvedTrainRewardOptions,
): { model: string; adapter: string | null } {
  const { model } = network.loaded;
  let adapter: string | null = null;
  if (model.adapter !== null) {
    adapter = join(outputDir, outputFiles.adapter);
    const pending = join(outputDir, `.${outputFiles.adapter}.${process.pid}.tmp`);
    rmSync(pending, { recursive: true, force: true });
    saveRewardAdapter(network, pending);
    rmSync(adapter, { recursive: true, force: true });
    renameSync(pending, adapter);
  }
  const path = join(outputDir, outputFiles.model);
  saveClassifier(network, path, { chatTemplatePath });
  return { model: path, adapter };
}

/**
 * Writes `onnx/`: the saved model with the recipe by which it was trained, so that it scores what it was trained on.
 *
 * @param maxTokens Most tokens of a conversation with its answer
 */
export async function writeOnnx(
  model: string,
  { outputDir, onnxDtype, personaTemplate }: ResolvedTrainRewardOptions,
  maxTokens: number,
): Promise<string | null> {
  if (onnxDtype === 'none') return null;
  const output = join(outputDir, ONNX_FOLDER);
  rmSync(output, { recursive: true, force: true });
  await exportRewardModel({
    model,
    output,
    dtype: onnxDtype,
    recipe: { end: 'end-of-turn', truncation: 'context', maxTokens },
    personaTemplate,
  });
  return output;
}
