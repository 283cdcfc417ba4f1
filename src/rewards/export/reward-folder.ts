/** A Hugging Face folder of a reward model: a decoder of the Llama family with a head of one number. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../../errors.js';
import { readJsonFile } from '../../models/json-file.js';
import { expectedWeights, type ModelConfig, parseModelConfig } from '../../models/model-config.js';
import { openSafetensorsFolder } from '../../models/safetensors.js';
import { checkWeights, type WeightSource } from '../../models/weight-source.js';

export interface RewardFolder {
  config: ModelConfig;
  /** config.json as it is. */
  configJson: Record<string, unknown>;
  head: { kind: 'sequence-classification' | 'athene'; weight: string };
  /** Open; the caller closes it. */
  weights: WeightSource;
}

/** The head's weight, `[1, D]`, of each kind. */
const HEAD_WEIGHTS = { 'sequence-classification': 'score.weight', athene: 'v_head.weight' } as const;

/** Whatever head a class of these families has: the weights tell which. */
const BACKBONES: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

const SUPPORTED =
  'sequence classification models of the Llama, Mistral, Qwen2 and Qwen3 families (LlamaForSequenceClassification: score.weight), and Athene (v_head.weight)';

/**
 * Opens a reward model's files; weights are checked against the configuration, none is read yet.
 *
 * @throws CheckpointError naming file and problem: another architecture, a head of several labels or none
 */
export function openRewardFolder(folder: string): RewardFolder {
  const configPath = join(folder, 'config.json');
  if (!existsSync(configPath)) {
    throw new CheckpointError(
      `${folder} is no reward model: it has no config.json. Supported are ${SUPPORTED}.`,
      {
        details: { folder },
      },
    );
  }
  const configJson = readJsonFile(configPath);
  const config = parseModelConfig(backboneJson(configJson, configPath), { file: configPath });
  const weights = openSafetensorsFolder(folder);
  try {
    const head = headOf(weights, config, folder);
    const { name: weight } = head;
    // The output layer of the language model that it was made from is of no use here, but may have stayed.
    checkWeights(
      weights,
      [
        ...expectedWeights({ ...config, tieWordEmbeddings: true }),
        { name: weight, shape: [1, config.hiddenSize] },
      ],
      { label: folder, mayHold: ['lm_head.weight'] },
    );
    return { config, configJson, head: { kind: head.kind, weight }, weights };
  } catch (error) {
    weights.close();
    throw error;
  }
}

/** The configuration as that of the family's language model, whose layers are the same. */
function backboneJson(json: Record<string, unknown>, file: string): Record<string, unknown> {
  const { architectures, model_type: type } = json;
  const named: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const backbone = typeof type === 'string' ? BACKBONES[type] : undefined;
  if (backbone === undefined) {
    const found = [named, type].filter((each) => typeof each === 'string').join(', model_type ');
    throw new CheckpointError(
      `${file}: the architecture ${found === '' ? '(none is named)' : found} is not supported; supported are ${SUPPORTED}.`,
      { details: { file, architecture: found } },
    );
  }
  return { ...json, architectures: [backbone] };
}

function headOf(
  weights: WeightSource,
  { hiddenSize }: ModelConfig,
  folder: string,
): { kind: RewardFolder['head']['kind']; name: string } {
  const found = (Object.keys(HEAD_WEIGHTS) as RewardFolder['head']['kind'][]).filter((kind) =>
    weights.tensors.has(HEAD_WEIGHTS[kind]),
  );
  const [kind] = found;
  if (kind === undefined || found.length > 1) {
    const what = kind === undefined ? 'no reward head' : `both ${Object.values(HEAD_WEIGHTS).join(' and ')}`;
    const hint = weights.tensors.has('lm_head.weight') ? ' (it is a language model)' : '';
    throw new CheckpointError(`${folder} has ${what}${hint}; supported are ${SUPPORTED}.`, {
      details: { folder },
    });
  }
  const name = HEAD_WEIGHTS[kind];
  const [labels] = weights.tensors.get(name)?.shape ?? [];
  if (labels !== 1) {
    throw new CheckpointError(
      `${folder}: ${name} gives ${labels} numbers; a reward is one, [1, ${hiddenSize}] was expected.`,
      { details: { folder } },
    );
  }
  return { kind, name };
}
