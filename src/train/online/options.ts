/** Options of online training: how they are read, checked together, written down and told. */

import type { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { resolveDpoOptions } from '../../losses/dpo-options.js';
import { foreignOptions } from '../foreign-options.js';
import { type NameStyle, nameIn, OptionSet, optionsError } from '../option-set.js';
import { onlineTrainFields } from './option-fields.js';

/** TRL's names for what is called otherwise here, beside those of `train`. */
const onlineForeignOptions = {
  ...foreignOptions,
  reward_model_path: { kind: 'translated', translate: (value: unknown) => ({ reward_model: value }) },
  max_completion_length: { kind: 'translated', translate: (value: unknown) => ({ max_new_tokens: value }) },
  log_completions: { kind: 'translated', translate: (value: unknown) => ({ log_rollouts: value }) },
  use_vllm: {
    kind: 'fixed',
    accepted: [false],
    reason: 'name the server instead, as vllm_server_base_url',
  },
  gradient_accumulation_steps: {
    kind: 'fixed',
    accepted: [1],
    reason: 'a batch is packed into as few passes as fit, whatever its size',
  },
} as const;

/** The options of `train-online`. */
export const onlineOptionSet = new OptionSet(onlineTrainFields, onlineForeignOptions);

type Fields = typeof onlineTrainFields;

/**
 * What `trainOnline` takes: `model`, `prompts`, `outputDir` and `rewardModel` (or a scorer in the hooks), and anything
 * else that should differ from its default. `persona-dpo train-online --help` tells what each means.
 */
export type OnlineTrainOptions = z.input<z.ZodObject<Fields>>;

/** All options with their defaults filled in, checked one by one and together. */
export type ResolvedOnlineTrainOptions = Readonly<
  Omit<z.output<z.ZodObject<Fields>>, 'learningRate' | 'evalSteps'> & {
    learningRate: number;
    evalSteps: number;
  }
>;

/** As in `train`: the paper's for all weights (section 3.2), ten times that for the few weights of an adapter. */
const LEARNING_RATE = 1e-6;
const LORA_LEARNING_RATE = 1e-5;

/**
 * Checks options and fills in the defaults; of its own output it gives the same again.
 *
 * @param style How names are written in messages: as in code (default), or as in files and flags
 * @throws ConfigError that names every wrong option, what was expected and what came
 */
export function resolveOnlineTrainOptions(
  input: Partial<OnlineTrainOptions>,
  style: NameStyle = 'code',
): ResolvedOnlineTrainOptions {
  const options = onlineOptionSet.check(input, style);
  const usePeft = options.usePeft || options.adapter !== null;
  const resolved: ResolvedOnlineTrainOptions = {
    ...options,
    usePeft,
    learningRate: options.learningRate ?? (usePeft ? LORA_LEARNING_RATE : LEARNING_RATE),
    evalSteps: options.evalSteps ?? options.loggingSteps,
    reportTo: options.reportTo.includes('none') ? ['none'] : options.reportTo,
  };
  checkTogether(resolved, style);
  return resolved;
}

/** Combinations that each option alone can't show to be wrong. */
function checkTogether(options: ResolvedOnlineTrainOptions, style: NameStyle): void {
  const name = (key: keyof Fields) => nameIn(style, key);
  const problems: string[] = [];
  try {
    resolveDpoOptions(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(onlineOptionSet.renamed(error.message, style));
  }
  const { vllmServerBaseUrl, usePeft, evalPrompts, evalSplit, evalStrategy } = options;
  if (vllmServerBaseUrl !== null && !usePeft) {
    problems.push(
      `${name('vllmServerBaseUrl')} needs ${name('usePeft')}: a server can take an adapter while it runs, not all weights`,
    );
  }
  if (evalPrompts !== null && evalSplit > 0) {
    problems.push(`give ${name('evalPrompts')} or ${name('evalSplit')}, not both`);
  }
  if (evalStrategy !== 'no' && evalPrompts === null && evalSplit === 0) {
    problems.push(
      `evaluation needs prompts: give ${name('evalPrompts')}, or a share above 0 as ${name('evalSplit')}`,
    );
  }
  if (problems.length > 0) throw optionsError(problems);
}

/** Everything that may differ between a run and its continuation: how long, how often, where, how much memory. */
const FREE = [
  ...['model', 'prompts', 'evalPrompts', 'evalSplit', 'maxBadRowShare', 'outputDir', 'resumeFromCheckpoint'],
  ...['adapter', 'numTrainEpochs', 'maxSteps', 'tokenBudget', 'memoryBudget', 'gradientCheckpointing'],
  ...['evalStrategy', 'evalSteps', 'evalOnStart', 'numGenerationsEval', 'loggingSteps', 'logRollouts'],
  ...['saveStrategy', 'saveSteps', 'saveTotalLimit', 'reportTo', 'xla', 'device', 'threads'],
  ...[
    'rewardModel',
    'rewardExecutionProvider',
    'rewardBatchTokens',
    'rewardThreads',
    'rewardPersonaTemplate',
  ],
  ...['vllmServerBaseUrl', 'vllmAdapterName', 'vllmOutputDir', 'vllmConcurrency', 'vllmApiKeyVariable'],
  ...['vllmMaxRetries', 'vllmRetryDelayMs', 'vllmLoadInplace'],
  ...['maxPromptLength', 'truncationMode', 'persona', 'chatTemplatePath', 'personaTemplate'],
  ...['onRewardHacking', 'guardWindow', 'maxLengthDrift', 'maxRepetition', 'maxKl'],
];

/**
 * The options that shape what a run computes. What shapes the prompts' tokens, and the reward model, are told by
 * fingerprints of their own.
 */
export function onlineTrajectoryOptions(options: ResolvedOnlineTrainOptions): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !FREE.includes(name)));
}
