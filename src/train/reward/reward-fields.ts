/** Every option of training a reward model: range, default and help text, by TRL's RewardTrainer's names. */

import { z } from 'zod';
import { type ForeignOption, foreignOptions } from '../foreign-options.js';
import { field, trainFields } from '../option-fields.js';

/** What is trained of the model. */
export const REWARD_MODES = ['head', 'lora', 'full'] as const;
export type RewardMode = (typeof REWARD_MODES)[number];

/** In the order of the groups; fields without a text of their own mean what they mean in DPO. */
export const rewardFields = {
  model: field(
    'Model and data',
    'ID|DIR|FILE',
    z.string().min(1),
    'Model to train: a Hugging Face id (owner/name[@revision]), a folder with safetensors, or a GGUF file; or the folder of a reward model to go on with.',
  ),
  mode: field(
    'Model and data',
    'head|lora|full',
    z.enum(REWARD_MODES).default('lora'),
    'What is trained: the reward head alone, on what the model makes of each response, computed once; a LoRA adapter and the head; or all weights.',
  ),
  pairs: trainFields.pairs,
  evalPairs: trainFields.evalPairs,
  evalSplit: trainFields.evalSplit,
  maxBadRowShare: trainFields.maxBadRowShare,
  outputDir: field(
    'Model and data',
    'DIR',
    z.string().min(1),
    'Folder for config.yaml, metrics.jsonl, TensorBoard events, checkpoints, the reward model (model/, onnx/, under LoRA adapter/), the summary. --output is the same.',
  ),
  resumeFromCheckpoint: trainFields.resumeFromCheckpoint,

  centerRewardsCoefficient: field(
    'Loss',
    'NUMBER',
    z.number().min(0).nullable().default(null),
    'Pull of the two rewards of a pair towards a sum of 0; 0.01 is usual. Default: none. A row may have a margin by which chosen should be ahead.',
  ),

  loraR: trainFields.loraR,
  loraAlpha: trainFields.loraAlpha,
  loraDropout: field('LoRA', 'SHARE', z.number().min(0).lt(1).default(0), 'Dropout before the adapter.'),
  loraTargetModules: trainFields.loraTargetModules,
  useRslora: trainFields.useRslora,

  learningRate: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().positive().nullable().default(null),
    "Peak learning rate of AdamW. Default: 1e-4, TRL's; 1e-3 for the head alone.",
  ),
  lrSchedulerType: trainFields.lrSchedulerType,
  warmupSteps: trainFields.warmupSteps,
  numTrainEpochs: trainFields.numTrainEpochs,
  maxSteps: trainFields.maxSteps,
  optim: trainFields.optim,
  weightDecay: trainFields.weightDecay,
  adamBeta1: trainFields.adamBeta1,
  adamBeta2: trainFields.adamBeta2,
  adamEpsilon: trainFields.adamEpsilon,
  maxGradNorm: trainFields.maxGradNorm,
  seed: trainFields.seed,

  perDeviceTrainBatchSize: trainFields.perDeviceTrainBatchSize,
  perDeviceEvalBatchSize: trainFields.perDeviceEvalBatchSize,
  gradientAccumulationSteps: trainFields.gradientAccumulationSteps,
  tokenBudget: trainFields.tokenBudget,
  trainSamplingStrategy: trainFields.trainSamplingStrategy,

  evalStrategy: trainFields.evalStrategy,
  evalSteps: trainFields.evalSteps,
  evalOnStart: trainFields.evalOnStart,
  loadBestModelAtEnd: trainFields.loadBestModelAtEnd,
  metricForBestModel: field(
    'Evaluation and best checkpoint',
    'NAME',
    z.string().min(1).nullable().default(null),
    'Metric that decides, such as loss or accuracy (of the evaluation). Default: loss.',
  ),
  greaterIsBetter: trainFields.greaterIsBetter,
  earlyStoppingPatience: trainFields.earlyStoppingPatience,
  earlyStoppingThreshold: trainFields.earlyStoppingThreshold,

  loggingSteps: trainFields.loggingSteps,
  saveStrategy: trainFields.saveStrategy,
  saveSteps: trainFields.saveSteps,
  saveTotalLimit: trainFields.saveTotalLimit,
  reportTo: trainFields.reportTo,
  onnxDtype: field(
    'Logging and saving',
    'TYPE',
    z.enum(['float32', 'float16', 'int8', 'none']).default('float32'),
    'What the weights of the ONNX model are stored in; none: write no ONNX model.',
  ),

  maxLength: field(
    'Tokens and personas',
    'TOKENS',
    z.number().int().min(2).nullable().default(1024),
    "Most tokens of prompt and one response together; null: the model's own limit. Of a longer one the oldest exchanges are left out, then the beginning of the last message.",
  ),
  persona: field(
    'Tokens and personas',
    'BOOL',
    z.boolean().default(true),
    'Put the persona into the system prompt, as in scoring; false: train without (a user-agnostic reward).',
  ),
  chatTemplatePath: trainFields.chatTemplatePath,
  personaTemplate: trainFields.personaTemplate,

  dtype: trainFields.dtype,
  gradientCheckpointing: trainFields.gradientCheckpointing,
  memoryBudget: trainFields.memoryBudget,
  featureCache: field(
    'Machine',
    'DIR',
    z.string().min(1).nullable().default(null),
    "Folder of what the model makes of each response, for mode head. Default: in the package's cache folder, shared by all runs.",
  ),
  xla: trainFields.xla,
  device: trainFields.device,
  threads: trainFields.threads,
} as const;

/** TRL's names that speak of the policy's reference or of DPO's truncation have no meaning here. */
const OF_DPO = [
  'ref_model',
  'ref_model_name_or_path',
  'precompute_ref_log_probs',
  'precompute_ref_batch_size',
  'ref_model_mixup_alpha',
  'ref_model_sync_steps',
  'sync_ref_model',
  'max_completion_length',
];

/** TRL's names in a RewardConfig and a ModelConfig that are not ours, and what becomes of them. */
export const rewardForeignOptions: Readonly<Record<string, ForeignOption>> = {
  ...Object.fromEntries(Object.entries(foreignOptions).filter(([name]) => !OF_DPO.includes(name))),
  use_peft: {
    kind: 'translated',
    translate: (value) =>
      typeof value === 'boolean'
        ? { mode: value ? 'lora' : 'full' }
        : `expected true (mode: lora) or false (mode: full), got ${JSON.stringify(value)}`,
  },
  lora_task_type: { kind: 'fixed', accepted: ['SEQ_CLS'], reason: 'an adapter of a reward model is SEQ_CLS' },
  lora_modules_to_save: {
    kind: 'translated',
    translate: (value) =>
      value === null || [value].flat().join() === 'score'
        ? {}
        : `the head (score) is always trained and saved beside the adapter, and nothing else; got ${JSON.stringify(value)}`,
  },
};
