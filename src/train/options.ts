import type { z } from 'zod';
import { ConfigError } from '../errors.js';
import { resolveDpoOptions } from '../losses/dpo-options.js';
import type { PreferenceMetrics } from '../losses/preference-metrics.js';
import { evaluationProblems } from './evaluation-options.js';
import { foreignOptions } from './foreign-options.js';
import { type TrainOptionName, trainFields, type trainOptionsSchema } from './option-fields.js';
import { toFileName } from './option-names.js';
import {
  type FileOptions as FileOptionsOf,
  type NameStyle,
  type OptionHelp,
  OptionSet,
  optionsError,
} from './option-set.js';

export type { OptionHelp } from './option-set.js';

/** The options of `train`: how they are read, checked, written down and told. */
export const trainOptionSet = new OptionSet(trainFields, foreignOptions);

/**
 * What `train` takes: `model`, `pairs` and `outputDir`, and anything else that should differ from its default.
 * `persona-dpo train --help` tells what each option means (there in snake_case).
 */
export type TrainOptions = z.input<typeof trainOptionsSchema>;

/** All options with their defaults filled in, checked one by one and together. */
export type ResolvedTrainOptions = Readonly<
  Omit<
    z.output<typeof trainOptionsSchema>,
    'learningRate' | 'metricForBestModel' | 'greaterIsBetter' | 'evalSteps'
  > & {
    learningRate: number;
    metricForBestModel: string;
    greaterIsBetter: boolean;
    evalSteps: number;
  }
>;

/** The paper trains all weights with 5e-7 to 1e-6 (section 3.2); TRL's default is 1e-6, too. */
const LEARNING_RATE = 1e-6;
/** LoRA's usual tenfold of the rate for all weights. */
const LORA_LEARNING_RATE = 1e-5;

/** What an evaluation measures: what `metricForBestModel` can be, with or without `eval_` before it. */
export const EVALUATION_METRICS = [
  'loss',
  'rewards/chosen',
  'rewards/rejected',
  'rewards/accuracies',
  'rewards/margins',
  'logps/chosen',
  'logps/rejected',
] as const satisfies readonly ('loss' | keyof PreferenceMetrics<number>)[];

/**
 * Checks options given in code and fills in the defaults. Options that resolve differently by themselves stay
 * as resolved: `resolveTrainOptions` of its own output gives the same again.
 *
 * Errors: `ConfigError` that names every wrong option, what was expected and what came; for an unknown option
 * the nearest known one.
 */
export function resolveTrainOptions(input: TrainOptions): ResolvedTrainOptions {
  return resolve(input, 'code');
}

export type FileOptions = FileOptionsOf<TrainOptions>;

/**
 * Reads options by their names in files (`learning_rate`), which may be TRL's names for them (`bf16: true`).
 * Unknown names and values that can't be had are errors. The rest is checked by `resolveFileOptions`.
 */
export function optionsFromRecord(
  record: Readonly<Record<string, unknown>>,
  source = 'options',
): FileOptions {
  return trainOptionSet.fromRecord(record, source);
}

/** `resolveTrainOptions` with the file's names in its messages. `options` comes from `optionsFromRecord`. */
export function resolveFileOptions(options: Partial<TrainOptions>): ResolvedTrainOptions {
  return resolve(options, 'file');
}

/** Reads a configuration file's text: YAML with one option a line, unchecked but for the names. */
export function optionsFromYaml(yaml: string, source = 'configuration'): FileOptions {
  return trainOptionSet.fromYaml(yaml, source);
}

/** The text of `config.yaml`: every option as resolved, in groups, each with its explanation. */
export function optionsToYaml(options: ResolvedTrainOptions): string {
  return trainOptionSet.toYaml(options);
}

/** All options in the order of the schema, for help texts. */
export function describeTrainOptions(): OptionHelp[] {
  return trainOptionSet.describe();
}

/**
 * The value that a flag's text stands for: a number, truth value or `null` where the option takes one (`none`
 * counts as `null`), else the text itself. Lists may be given as several words or separated by commas.
 */
export function parseFlagValue(
  name: TrainOptionName,
  written: string | readonly string[] | boolean,
): unknown {
  return trainOptionSet.parseFlag(name, written);
}

function resolve(input: Partial<TrainOptions>, style: NameStyle): ResolvedTrainOptions {
  const options = trainOptionSet.check(input, style);
  const usePeft = options.usePeft || options.adapter !== null;
  const metricForBestModel = options.metricForBestModel ?? 'loss';
  const resolved: ResolvedTrainOptions = {
    ...options,
    usePeft,
    learningRate: options.learningRate ?? (usePeft ? LORA_LEARNING_RATE : LEARNING_RATE),
    metricForBestModel,
    greaterIsBetter: options.greaterIsBetter ?? !metricForBestModel.endsWith('loss'),
    evalSteps: options.evalSteps ?? options.loggingSteps,
    reportTo: options.reportTo.includes('none') ? ['none'] : options.reportTo,
  };
  checkTogether(resolved, style);
  return resolved;
}

const LORA_OPTIONS = ['loraR', 'loraAlpha', 'loraDropout', 'loraTargetModules', 'useRslora'] as const;
type LoraOption = (typeof LORA_OPTIONS)[number];

/** LoRA's options that differ from their defaults in a run that trains all weights, by their names in files. */
export function idleLoraOptions(options: Pick<ResolvedTrainOptions, 'usePeft' | LoraOption>): string[] {
  if (options.usePeft) return [];
  return LORA_OPTIONS.filter((name) => !trainOptionSet.isDefault(name, options[name])).map(toFileName);
}

/** Combinations that each option alone can't show to be wrong. */
function checkTogether(options: ResolvedTrainOptions, style: NameStyle): void {
  const problems: string[] = [];
  try {
    resolveDpoOptions(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(trainOptionSet.renamed(error.message, style));
  }
  problems.push(...evaluationProblems(options, EVALUATION_METRICS, style));
  if (problems.length > 0) throw optionsError(problems);
}
