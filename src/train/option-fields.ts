import { z } from 'zod';
import { DPO_LOSS_TYPES, F_DIVERGENCE_TYPES } from '../losses/dpo-options.js';
import { OPTIMIZER_NAMES } from './optimizer-names.js';

/** What `--help` and the documentation show beside an option's name. */
export interface FieldMeta {
  group: FieldGroup;
  /** The placeholder of the value: `FILE`, `NUMBER`, a list of choices. */
  placeholder: string;
  description: string;
}

export const FIELD_GROUPS = [
  'Model and data',
  'Sampling and rewards',
  'vLLM server',
  'Loss',
  'LoRA',
  'Optimizer and schedule',
  'Batches',
  'Evaluation and best checkpoint',
  'Signs of reward hacking',
  'Logging and saving',
  'Tokens and personas',
  'Machine',
] as const;
export type FieldGroup = (typeof FIELD_GROUPS)[number];

/** Attaches to a schema what its help text says. Must come last: zod's wrappers don't carry it over. */
export function field<T extends z.ZodType>(
  group: FieldGroup,
  placeholder: string,
  schema: T,
  description: string,
): T {
  return schema.meta({ group, placeholder, description } satisfies FieldMeta) as T;
}

export const text = () => z.string().min(1);
export const count = () => z.number().int().min(1);
export const share = () => z.number().min(0).max(1);
export const flag = (byDefault: boolean) => z.boolean().default(byDefault);
/** Transformers' rule for steps: a whole number of steps, or a share of all steps when below 1. */
export const stepsOrShare = () =>
  z
    .number()
    .min(0)
    .refine((x) => x < 1 || Number.isInteger(x), 'a whole number of steps, or a share below 1');
/** One value or a list of them; a list once resolved. */
export const oneOrMore = <T extends z.ZodType>(item: T) =>
  z
    .union([item, z.array(item).min(1)])
    .transform((value): z.output<T>[] =>
      Array.isArray(value) ? (value as z.output<T>[]) : [value as z.output<T>],
    );

/** Bytes, or a number with a unit of 1024: `6GB`, `512 MiB`. */
const bytes = () =>
  z
    .union([count(), z.string().regex(/^\s*\d+(\.\d+)?\s*([KMGT]i?)?B?\s*$/i, 'bytes, such as 6GB or 512MB')])
    .transform((value) => (typeof value === 'number' ? value : parseBytes(value)));

function parseBytes(written: string): number {
  const unit = /([KMGT])/i.exec(written)?.[1]?.toUpperCase() ?? '';
  return Math.round(Number.parseFloat(written) * 1024 ** (unit === '' ? 0 : 'KMGT'.indexOf(unit) + 1));
}

/**
 * Every option of a training run: range, default and help text. Names and meaning are those of TRL 1.13's
 * `DPOConfig` and `ModelConfig`, transformers 5's `TrainingArguments` and PEFT wherever they have the concept;
 * in files and as flags the names are in snake_case. A default of `null` means "decided from the rest", as told.
 */
export const trainFields = {
  model: field(
    'Model and data',
    'ID|DIR|FILE',
    text(),
    'Model to train: a Hugging Face id (owner/name[@revision]), a folder with safetensors, or a GGUF file.',
  ),
  referenceModel: field(
    'Model and data',
    'ID|DIR|FILE',
    text().nullable().default(null),
    'Frozen reference model. Default: the model as it is before training, without an adapter under LoRA.',
  ),
  referenceAdapter: field(
    'Model and data',
    'DIR',
    text().nullable().default(null),
    'PEFT adapter on the reference model. Default: none. TRL holds an adapter it goes on from against its own beginning: name the same folder as adapter and reference_adapter for that.',
  ),
  adapter: field(
    'Model and data',
    'DIR',
    text().nullable().default(null),
    'PEFT adapter to go on from. Implies use_peft; its rank, alpha and target modules are kept.',
  ),
  pairs: field(
    'Model and data',
    'FILE...',
    oneOrMore(text()),
    'Preference pairs to train on, JSONL: TRL rows with persona and user beside them, or token ids.',
  ),
  evalPairs: field(
    'Model and data',
    'FILE...',
    oneOrMore(text()).nullable().default(null),
    'Preference pairs for evaluation. Without it, see eval_split.',
  ),
  evalSplit: field(
    'Model and data',
    'SHARE',
    z.number().min(0).lt(1).default(0),
    'Share of the users set aside for evaluation (by seed), with all their pairs, when there is no eval_pairs file.',
  ),
  maxBadRowShare: field(
    'Model and data',
    'SHARE',
    share().default(0.05),
    'Bad rows go to a quarantine file; above this share of all rows the run stops with a summary.',
  ),
  outputDir: field(
    'Model and data',
    'DIR',
    text(),
    'Folder for config.yaml, metrics.jsonl, TensorBoard events, checkpoints, the adapter or model, the summary. --output is the same.',
  ),
  resumeFromCheckpoint: field(
    'Model and data',
    'DIR|true',
    z.union([z.boolean(), text()]).default(false),
    'Go on from a checkpoint folder; true: from the newest whole one in output_dir.',
  ),

  lossType: field(
    'Loss',
    'TYPE...',
    oneOrMore(z.enum(DPO_LOSS_TYPES)).default(['sigmoid']),
    `One loss or several that are added up: ${DPO_LOSS_TYPES.join(', ')}. sigmoid is Equation 1 of the paper.`,
  ),
  lossWeights: field(
    'Loss',
    'NUMBER...',
    oneOrMore(z.number()).nullable().default(null),
    'Weight of each loss in loss_type. Default: 1 each.',
  ),
  beta: field(
    'Loss',
    'NUMBER',
    z.number().positive().default(0.1),
    'How strongly the policy is held to the reference; the tau of ipo.',
  ),
  labelSmoothing: field(
    'Loss',
    'SHARE',
    share().default(0),
    'Probability that a preference is flipped, for robust (below 0.5), exo_pair (above 0), sigmoid and aot.',
  ),
  fDivergenceType: field(
    'Loss',
    'TYPE',
    z.enum(F_DIVERGENCE_TYPES).default('reverse_kl'),
    `Divergence from the reference: ${F_DIVERGENCE_TYPES.join(', ')}.`,
  ),
  fAlphaDivergenceCoef: field('Loss', 'NUMBER', z.number().default(0.5), 'The alpha of alpha_divergence.'),
  ldAlpha: field(
    'Loss',
    'SHARE',
    share().nullable().default(null),
    'LD-DPO: weight of the tokens beyond the length of the shorter response. Default: all count in full.',
  ),
  useWeighting: field(
    'Loss',
    'BOOL',
    flag(false),
    'WPO: weigh each pair by its probability under the policy.',
  ),
  discopopTau: field('Loss', 'NUMBER', z.number().positive().default(0.05), 'Temperature of discopop.'),

  usePeft: field('LoRA', 'BOOL', flag(false), 'Train a LoRA adapter instead of all weights.'),
  loraR: field('LoRA', 'NUMBER', count().default(16), 'Rank of the adapter.'),
  loraAlpha: field(
    'LoRA',
    'NUMBER',
    z.number().positive().default(32),
    'The adapter acts with the factor alpha / r (alpha / sqrt(r) under use_rslora).',
  ),
  loraDropout: field(
    'LoRA',
    'SHARE',
    z.number().min(0).lt(1).default(0),
    'Dropout before the adapter. (TRL lists 0.05, which its DPO trainer switches off: disable_dropout.)',
  ),
  loraTargetModules: field(
    'LoRA',
    'NAME...',
    oneOrMore(text()).nullable().default(null),
    "Linear layers that get an adapter, or all-linear. Default: PEFT's for these models, q_proj and v_proj.",
  ),
  useRslora: field('LoRA', 'BOOL', flag(false), 'Rank-stabilized LoRA: scale by alpha / sqrt(r).'),

  learningRate: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().positive().nullable().default(null),
    "Peak learning rate of AdamW. Default: 1e-6, the paper's, for all weights; 1e-5 for an adapter, whose few weights bear ten times that.",
  ),
  lrSchedulerType: field(
    'Optimizer and schedule',
    'TYPE',
    z.enum(['linear', 'cosine', 'constant', 'constant_with_warmup']).default('linear'),
    'linear and cosine fall to 0 at the last step; constant ignores the warm-up.',
  ),
  warmupSteps: field(
    'Optimizer and schedule',
    'STEPS',
    stepsOrShare().default(0),
    'Steps of linear warm-up from 0; below 1 it is a share of all steps.',
  ),
  numTrainEpochs: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().positive().default(3),
    'Passes over the pairs; may be a fraction.',
  ),
  maxSteps: field(
    'Optimizer and schedule',
    'NUMBER',
    z
      .number()
      .int()
      .refine((x) => x === -1 || x > 0, '-1 (no limit) or a number of steps above 0')
      .default(-1),
    'If above 0, the number of optimizer steps, whatever num_train_epochs says.',
  ),
  optim: field(
    'Optimizer and schedule',
    'NAME',
    z
      .enum(Object.keys(OPTIMIZER_NAMES) as (keyof typeof OPTIMIZER_NAMES)[])
      .default('adamw_torch')
      .transform((name) => OPTIMIZER_NAMES[name]),
    'adamw_torch, AdamW with float32 moments; or adamw_8bit (adamw_bnb_8bit), which keeps them in 8 bits: 2 bytes a trained weight in place of 8, for about a tenth more time of a small step.',
  ),
  weightDecay: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().min(0).default(0),
    'Decoupled weight decay; biases and norm weights are left out of it.',
  ),
  adamBeta1: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().min(0).lt(1).default(0.9),
    'Decay of the first moment.',
  ),
  adamBeta2: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().min(0).lt(1).default(0.999),
    'Decay of the second moment.',
  ),
  adamEpsilon: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().positive().default(1e-8),
    'Added to the denominator of the update.',
  ),
  maxGradNorm: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().min(0).default(1),
    'Gradients are scaled down to this global norm; 0 switches clipping off.',
  ),
  seed: field(
    'Optimizer and schedule',
    'NUMBER',
    z
      .number()
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(42),
    'Seeds the order of pairs, the split, adapter weights and dropout.',
  ),

  perDeviceTrainBatchSize: field('Batches', 'PAIRS', count().default(8), 'Pairs in one micro-batch.'),
  perDeviceEvalBatchSize: field('Batches', 'PAIRS', count().default(8), 'Pairs in one batch of evaluation.'),
  gradientAccumulationSteps: field(
    'Batches',
    'NUMBER',
    count().default(1),
    'Micro-batches in one optimizer step.',
  ),
  tokenBudget: field(
    'Batches',
    'TOKENS',
    count().nullable().default(null),
    'Most tokens in one packed forward pass; the pairs of a batch are packed into as few as fit. Default: by memory_budget.',
  ),
  trainSamplingStrategy: field(
    'Batches',
    'TYPE',
    z.enum(['random', 'sequential']).default('random'),
    'random: shuffled each epoch by the seed; sequential: in the order of the file.',
  ),

  evalStrategy: field(
    'Evaluation and best checkpoint',
    'TYPE',
    z.enum(['no', 'steps', 'epoch']).default('no'),
    'When to evaluate: no, every eval_steps, or after each epoch.',
  ),
  evalSteps: field(
    'Evaluation and best checkpoint',
    'STEPS',
    stepsOrShare()
      .refine((x) => x > 0, 'above 0')
      .nullable()
      .default(null),
    'Steps between evaluations; below 1 a share of all steps. Default: logging_steps.',
  ),
  evalOnStart: field(
    'Evaluation and best checkpoint',
    'BOOL',
    flag(false),
    'Evaluate before the first step, too.',
  ),
  loadBestModelAtEnd: field(
    'Evaluation and best checkpoint',
    'BOOL',
    flag(false),
    'Write the best evaluated weights at the end instead of the last ones.',
  ),
  metricForBestModel: field(
    'Evaluation and best checkpoint',
    'NAME',
    text().nullable().default(null),
    'Metric that decides, such as loss or rewards/accuracies (of the evaluation). Default: loss.',
  ),
  greaterIsBetter: field(
    'Evaluation and best checkpoint',
    'BOOL',
    z.boolean().nullable().default(null),
    'Direction of that metric. Default: false for a name that ends in loss, else true.',
  ),
  earlyStoppingPatience: field(
    'Evaluation and best checkpoint',
    'NUMBER',
    count().nullable().default(null),
    'Stop after this many evaluations in a row without a better metric. Default: never.',
  ),
  earlyStoppingThreshold: field(
    'Evaluation and best checkpoint',
    'NUMBER',
    z.number().min(0).default(0),
    'By how much the metric must get better to count.',
  ),

  loggingSteps: field(
    'Logging and saving',
    'STEPS',
    stepsOrShare()
      .refine((x) => x > 0, 'above 0')
      .default(10),
    'Steps between rows of metrics.jsonl; each holds the mean over them. Below 1 a share of all steps.',
  ),
  saveStrategy: field(
    'Logging and saving',
    'TYPE',
    z.enum(['no', 'steps', 'epoch']).default('steps'),
    'When to write checkpoints: no, every save_steps, or after each epoch.',
  ),
  saveSteps: field(
    'Logging and saving',
    'STEPS',
    stepsOrShare()
      .refine((x) => x > 0, 'above 0')
      .default(500),
    'Steps between checkpoints; below 1 a share of all steps.',
  ),
  saveTotalLimit: field(
    'Logging and saving',
    'NUMBER',
    count().nullable().default(null),
    'Keep at most this many checkpoints, and the best one. Default: keep all.',
  ),
  reportTo: field(
    'Logging and saving',
    'TYPE...',
    oneOrMore(z.enum(['tensorboard', 'none'])).default(['tensorboard']),
    'tensorboard writes event files beside metrics.jsonl; none does not.',
  ),

  maxLength: field(
    'Tokens and personas',
    'TOKENS',
    z.number().int().min(2).nullable().default(1024),
    'Most tokens of prompt and one response together; null: no limit.',
  ),
  maxPromptLength: field(
    'Tokens and personas',
    'TOKENS',
    z.number().int().min(1).nullable().default(null),
    'Most tokens of the prompt alone. Default: no limit of its own.',
  ),
  truncationMode: field(
    'Tokens and personas',
    'TYPE',
    z.enum(['keep_start', 'keep_end']).default('keep_end'),
    'Which end of a prompt that is too long is kept. Responses are kept: they are what is learnt from.',
  ),
  persona: field(
    'Tokens and personas',
    'BOOL',
    flag(true),
    'Put the persona into the system prompt, of the policy and of the reference; false: train without.',
  ),
  chatTemplatePath: field(
    'Tokens and personas',
    'FILE',
    text().nullable().default(null),
    "Jinja chat template to use in place of the model's own, or where it has none.",
  ),
  personaTemplate: field(
    'Tokens and personas',
    'FILE',
    text().nullable().default(null),
    'Jinja template with {{ persona }} in it (and {{ system }}, if it likes) that replaces the built-in system prompt.',
  ),

  dtype: field(
    'Machine',
    'TYPE',
    z.enum(['bfloat16', 'float32']).default('bfloat16'),
    'bfloat16: matmuls in bfloat16 with float32 master weights; float32: all in float32.',
  ),
  gradientCheckpointing: field(
    'Machine',
    'BOOL|auto',
    z.union([z.boolean(), z.literal('auto')]).default('auto'),
    'Recompute activations in the backward pass: true, false, or auto, when memory_budget asks for it.',
  ),
  memoryBudget: field(
    'Machine',
    'BYTES',
    bytes().nullable().default(null),
    'Memory that training may use, such as 6GB. Default: most of what is free when the run starts.',
  ),
  referenceCache: field(
    'Machine',
    'DIR',
    text().nullable().default(null),
    "Folder of the reference log-probabilities. Default: in the package's cache folder, shared by all runs.",
  ),
  xla: field(
    'Machine',
    'BOOL',
    flag(false),
    'Compile graph functions by XLA: a tenth faster on a CPU once warm, more on a GPU; each new shape costs compile time.',
  ),
  device: field(
    'Machine',
    'TYPE',
    z.enum(['auto', 'cpu', 'cuda']).default('auto'),
    'Where to run; auto takes a CUDA device if there is one.',
  ),
  threads: field(
    'Machine',
    'NUMBER',
    count().nullable().default(null),
    'CPU threads of TensorFlow. Default: the number of cores.',
  ),
} as const;

export const trainOptionsSchema = z.strictObject(trainFields);
export type TrainOptionName = keyof typeof trainFields;
