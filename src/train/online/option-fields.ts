/** Options of online training: what `train` has wherever it means the same, and what sampling and rewards add to it. */

import { z } from 'zod';
import { count, field, flag, oneOrMore, share, text, trainFields } from '../option-fields.js';

const {
  pairs: _pairs,
  evalPairs: _evalPairs,
  evalSplit: _evalSplit,
  loadBestModelAtEnd: _loadBestModelAtEnd,
  metricForBestModel: _metricForBestModel,
  greaterIsBetter: _greaterIsBetter,
  earlyStoppingPatience: _earlyStoppingPatience,
  earlyStoppingThreshold: _earlyStoppingThreshold,
  perDeviceEvalBatchSize: _perDeviceEvalBatchSize,
  gradientAccumulationSteps: _gradientAccumulationSteps,
  referenceCache: _referenceCache,
  maxLength: _maxLength,
  loggingSteps: _loggingSteps,
  ...shared
} = trainFields;

const samplingFields = {
  prompts: field(
    'Model and data',
    'FILE...',
    oneOrMore(text()),
    'Prompts, JSONL: {"prompt": messages or text, "persona", "user", "id"}, all but the prompt optional. A file of pairs will do: only its prompts are read.',
  ),
  evalPrompts: field(
    'Model and data',
    'FILE...',
    oneOrMore(text()).nullable().default(null),
    'Held-out prompts, on which the mean reward of fresh samples is measured. Without it, see eval_split.',
  ),
  evalSplit: field(
    'Model and data',
    'SHARE',
    z.number().min(0).lt(1).default(0),
    'Share of the users set aside for evaluation (by seed), with all their prompts, when there is no eval_prompts file.',
  ),
  rewardModel: field(
    'Sampling and rewards',
    'DIR',
    text().nullable().default(null),
    'Folder of a reward model in ONNX, as export-reward and train-reward write it.',
  ),
  rewardExecutionProvider: field(
    'Sampling and rewards',
    'TYPE',
    z.enum(['auto', 'cpu', 'cuda']).default('auto'),
    'What ONNX Runtime runs the reward model on. auto: CUDA where its provider and a GPU are found, else the CPU.',
  ),
  rewardBatchTokens: field(
    'Sampling and rewards',
    'TOKENS',
    count().default(8192),
    'At most so many tokens go through the reward model at once.',
  ),
  rewardThreads: field(
    'Sampling and rewards',
    'NUMBER',
    z.number().int().min(0).default(0),
    "Threads of the reward model on a CPU; 0: the provider's own choice.",
  ),
  rewardPersonaTemplate: field(
    'Sampling and rewards',
    'FILE',
    text().nullable().default(null),
    "Jinja file that puts the persona into words for the reward model, in place of the model's own.",
  ),
  userBasedRewards: field(
    'Sampling and rewards',
    'BOOL',
    flag(true),
    'Show the persona to the reward model: user-based rewards (section 2.4). false: user-agnostic ones, the baseline of section 3.3.',
  ),
  shuffleRewards: field(
    'Sampling and rewards',
    'BOOL',
    flag(false),
    'A control: choose the pair by the rewards of a group in shuffled order (by seed), so that there is nothing to learn. Logged rewards are the true ones.',
  ),
  numGenerations: field(
    'Sampling and rewards',
    'NUMBER',
    z.number().int().min(2).default(64),
    "Samples of each prompt, of which the best and the worst become a pair. Default: the paper's 64.",
  ),
  temperature: field(
    'Sampling and rewards',
    'NUMBER',
    z.number().positive().default(0.6),
    "Logits are divided by it. Default: the paper's.",
  ),
  topP: field(
    'Sampling and rewards',
    'SHARE',
    z.number().positive().max(1).default(0.9),
    "Draw from the likeliest tokens that make up this probability. Default: the paper's.",
  ),
  topK: field(
    'Sampling and rewards',
    'NUMBER',
    z.number().int().min(0).default(0),
    'Draw from this many likeliest tokens only; 0: all.',
  ),
  maxNewTokens: field('Sampling and rewards', 'TOKENS', count().default(256), 'Most tokens of a sample.'),
  missingEosPenalty: field(
    'Sampling and rewards',
    'NUMBER',
    z.number().positive().nullable().default(null),
    'Taken off the reward of a sample that was cut at max_new_tokens. Default: none.',
  ),
  generationBatchSize: field(
    'Sampling and rewards',
    'NUMBER',
    count().default(64),
    'Sequences that the policy writes at a time; while it goes on, groups that are whole are scored.',
  ),
} as const;

const vllmFields = {
  vllmServerBaseUrl: field(
    'vLLM server',
    'URL',
    text().nullable().default(null),
    'Sample from a vLLM server (http://127.0.0.1:8000/v1) that serves the same base model, started with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True; needs use_peft. Default: the policy here writes itself.',
  ),
  vllmSyncSteps: field(
    'vLLM server',
    'STEPS',
    count().default(1),
    'The server gets the adapter as it is after every so many steps; in between samples are of an older policy (metric staleness).',
  ),
  vllmAdapterName: field(
    'vLLM server',
    'NAME',
    text().default('persona-dpo'),
    'Name of the adapter on the server, or the beginning of it.',
  ),
  vllmLoadInplace: field(
    'vLLM server',
    'BOOL',
    flag(false),
    "Load each adapter in place of the last under one name (load_inplace, newer servers). false: each under a name of its own, and the last is unloaded: the server's cache of prompts then never holds values of older weights.",
  ),
  vllmOutputDir: field(
    'vLLM server',
    'DIR',
    text().nullable().default(null),
    "Where the server finds this run's output_dir, for one that sees it under another path (a container). Default: the same path.",
  ),
  vllmConcurrency: field('vLLM server', 'NUMBER', count().default(64), 'Requests under way at a time.'),
  vllmApiKeyVariable: field(
    'vLLM server',
    'NAME',
    text().nullable().default(null),
    'Environment variable that holds the key of the server. Default: no key is sent.',
  ),
  vllmMaxRetries: field(
    'vLLM server',
    'NUMBER',
    z.number().int().min(0).default(6),
    'Further tries of a request that met a busy, broken or vanished server.',
  ),
  vllmRetryDelayMs: field(
    'vLLM server',
    'MS',
    count().default(1000),
    'Pause before the second try; doubled for each further one.',
  ),
} as const;

const guardFields = {
  onRewardHacking: field(
    'Signs of reward hacking',
    'TYPE',
    z.enum(['warn', 'stop']).default('warn'),
    'What to do when one of the limits below is passed: say so and go on, or save and stop.',
  ),
  guardWindow: field(
    'Signs of reward hacking',
    'STEPS',
    count().default(5),
    'Steps whose mean is held against the limits; the first so many are what lengths are compared with.',
  ),
  maxLengthDrift: field(
    'Signs of reward hacking',
    'FACTOR',
    z.number().gt(1).nullable().default(2),
    'Samples so many times longer, or shorter, than in the first steps; null: not looked at.',
  ),
  maxRepetition: field(
    'Signs of reward hacking',
    'SHARE',
    share().nullable().default(0.5),
    "Share of a sample's runs of four tokens that were in it before; null: not looked at.",
  ),
  maxKl: field(
    'Signs of reward hacking',
    'NATS',
    z.number().positive().nullable().default(0.5),
    'KL to the reference per token (metric objective/kl_per_token); null: not looked at.',
  ),
} as const;

/** Every option of an online run: range, default and help text. Names are TRL's wherever TRL has the concept. */
export const onlineTrainFields = {
  ...shared,
  ...samplingFields,
  ...vllmFields,
  beta: field(
    'Loss',
    'NUMBER',
    z.number().positive().default(0.01),
    "How strongly the policy is held to the reference. Default: the paper's.",
  ),
  numTrainEpochs: field(
    'Optimizer and schedule',
    'NUMBER',
    z.number().positive().default(3),
    'Passes over the prompts; may be a fraction.',
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
    'Seeds the order of prompts, what is sampled, the split, adapter weights and dropout.',
  ),
  perDeviceTrainBatchSize: field(
    'Batches',
    'PROMPTS',
    count().default(32),
    "Prompts in one step, each of which gives a pair. Default: the paper's.",
  ),
  maxPromptLength: field(
    'Tokens and personas',
    'TOKENS',
    count().nullable().default(null),
    "Most tokens of a prompt; longer ones are cut (see truncation_mode). Default: what max_new_tokens leaves of the model's positions.",
  ),
  evalStrategy: field(
    'Evaluation and best checkpoint',
    'TYPE',
    z.enum(['no', 'steps', 'epoch']).default('no'),
    'When to measure the held-out reward: no, every eval_steps, or after each epoch. The end state is always measured where there are held-out prompts.',
  ),
  evalOnStart: field(
    'Evaluation and best checkpoint',
    'BOOL',
    flag(true),
    'Measure the held-out reward before the first step, too, so that there is something to compare with.',
  ),
  numGenerationsEval: field(
    'Evaluation and best checkpoint',
    'NUMBER',
    count().default(4),
    'Samples of each held-out prompt.',
  ),
  loggingSteps: field(
    'Logging and saving',
    'STEPS',
    z
      .number()
      .positive()
      .refine((x) => x < 1 || Number.isInteger(x), 'a whole number of steps, or a share below 1')
      .default(1),
    'Steps between rows of metrics.jsonl; each holds the mean over them. Below 1 a share of all steps.',
  ),
  saveSteps: field(
    'Logging and saving',
    'STEPS',
    z
      .number()
      .positive()
      .refine((x) => x < 1 || Number.isInteger(x), 'a whole number of steps, or a share below 1')
      .default(50),
    'Steps between checkpoints; below 1 a share of all steps.',
  ),
  logRollouts: field(
    'Logging and saving',
    'BOOL',
    flag(true),
    'Write every sample with its reward to rollouts.jsonl; `persona-dpo rollouts` shows them.',
  ),
  ...guardFields,
} as const;
