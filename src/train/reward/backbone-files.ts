/** The files that a reward model is trained from: a language model, or a reward model to go on with. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../../errors.js';
import { readJsonFile } from '../../models/json-file.js';
import { loadModelFiles, type ModelFiles } from '../../models/model-files.js';
import { readFloat32 } from '../../models/weight-source.js';
import { openRewardFolder } from '../../rewards/export/reward-folder.js';

/** transformers' classes of a decoder with a linear head on its last token, by the language model of the same decoder. */
const CLASSIFIERS: Readonly<Record<string, string>> = {
  LlamaForCausalLM: 'LlamaForSequenceClassification',
  MistralForCausalLM: 'MistralForSequenceClassification',
  Qwen2ForCausalLM: 'Qwen2ForSequenceClassification',
  Qwen3ForCausalLM: 'Qwen3ForSequenceClassification',
};

/** Name of the head's weight, `[1, D]`, in transformers' classes and in PEFT's adapters for them. */
export const SCORE = 'score.weight';

export interface BackboneFiles extends ModelFiles {
  /** The head of a reward model, `[D]`; null for a language model, which has none yet. */
  score: Float32Array | null;
}

/**
 * Opens a language model (folder or GGUF file) or a reward model's folder. Its configuration is that of a decoder
 * whose output layer is its embedding: a matrix of its own would be loaded for nothing.
 *
 * @throws CheckpointError for another architecture, more than one label, or weights that do not fit
 */
export function openBackbone(path: string): BackboneFiles {
  const files = isClassifier(path) ? openClassifier(path) : { ...loadModelFiles(path), score: null };
  return { ...files, config: { ...files.config, tieWordEmbeddings: true } };
}

function isClassifier(path: string): boolean {
  const file = join(path, 'config.json');
  if (!existsSync(file)) return false;
  const { architectures } = readJsonFile(file);
  return [architectures].flat().some((name) => String(name).endsWith('ForSequenceClassification'));
}

function openClassifier(folder: string): BackboneFiles {
  const { config, configJson, head, weights } = openRewardFolder(folder);
  try {
    if (head.kind !== 'sequence-classification') {
      throw new CheckpointError(
        `${folder}: its head reads a token behind the conversation (${head.kind}); only one on the last token (${SCORE}) can be trained on.`,
        { details: { folder } },
      );
    }
    return {
      path: folder,
      config,
      configJson,
      generationConfig: null,
      tokenizerSource: { kind: 'hf', dir: folder },
      weights,
      score: readFloat32(weights, SCORE),
    };
  } catch (error) {
    weights.close();
    throw error;
  }
}

/** config.json of a reward model on the decoder that `json` describes. */
export function classifierJson(
  json: Record<string, unknown>,
  padTokenId: number | null,
): Record<string, unknown> {
  const [name] = json.architectures as string[];
  return {
    ...json,
    architectures: [CLASSIFIERS[name as string] ?? name],
    id2label: { 0: 'LABEL_0' },
    label2id: { LABEL_0: 0 },
    pad_token_id: padTokenId,
  };
}
