import { parse, stringify } from 'yaml';
import type { z } from 'zod';
import { ConfigError } from '../errors.js';
import { resolveDpoOptions } from '../losses/dpo-options.js';
import type { PreferenceMetrics } from '../losses/preference-metrics.js';
import { expectation } from './expectation.js';
import { foreignOptions } from './foreign-options.js';
import {
  FIELD_GROUPS,
  type FieldGroup,
  type FieldMeta,
  type TrainOptionName,
  trainFields,
  trainOptionsSchema,
} from './option-fields.js';
import { nearestName, toCodeName, toFileName } from './option-names.js';
import { readWritten } from './written-value.js';

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

/** How option names are written in error messages: as in code, or as in files and flags. */
type NameStyle = 'code' | 'file';

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

export interface FileOptions {
  /** Options by their names in code, not checked further yet. */
  options: Partial<TrainOptions>;
  /** Options of TRL that were passed over: they ask for what is done here anyway, or change nothing about it. */
  notices: string[];
}

/**
 * Reads options by their names in files (`learning_rate`), which may be TRL's names for them (`bf16: true`).
 * Unknown names and values that can't be had are errors. The rest is checked by `resolveFileOptions`.
 */
export function optionsFromRecord(
  record: Readonly<Record<string, unknown>>,
  source = 'options',
): FileOptions {
  const options: Record<string, unknown> = {};
  const problems: string[] = [];
  const notices: string[] = [];
  const translated: Record<string, unknown> = {};

  for (const [name, value] of Object.entries(record)) {
    const key = toCodeName(name);
    const foreign = foreignOptions[name];
    if (Object.hasOwn(trainFields, key) && toFileName(key) === name) options[key] = value;
    else if (foreign === undefined) problems.push(unknownName(name, 'file'));
    else if (foreign.kind === 'refused')
      problems.push(`${name} is an option of TRL that is not used here: ${foreign.reason}`);
    else if (foreign.kind === 'ignored') notices.push(`${name} is passed over: ${foreign.reason}`);
    else if (foreign.kind === 'fixed') {
      if (foreign.accepted.includes(value)) notices.push(`${name}: ${foreign.reason}`);
      else problems.push(`${name}: ${JSON.stringify(value)} is not possible here: ${foreign.reason}`);
    } else {
      const result = foreign.translate(value);
      if (typeof result === 'string') problems.push(`${name}: ${result}`);
      else for (const [target, to] of Object.entries(result)) translated[toCodeName(target)] = to;
    }
  }
  if (problems.length > 0) throw new ConfigError(listed(source, problems), { details: { problems } });
  // Our own name wins over another spelling of it in the same place.
  return { options: { ...translated, ...options } as Partial<TrainOptions>, notices };
}

/** `resolveTrainOptions` with the file's names in its messages. `options` comes from `optionsFromRecord`. */
export function resolveFileOptions(options: Partial<TrainOptions>): ResolvedTrainOptions {
  return resolve(options, 'file');
}

/** Reads a configuration file's text: YAML with one option a line, unchecked but for the names. */
export function optionsFromYaml(yaml: string, source = 'configuration'): FileOptions {
  let document: unknown;
  try {
    document = parse(yaml, { prettyErrors: true });
  } catch (cause) {
    throw new ConfigError(`${source} is not valid YAML: ${(cause as Error).message}`, { cause });
  }
  if (document === null || document === undefined) return { options: {}, notices: [] };
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw new ConfigError(
      `${source}: expected lines of "option: value", got ${Array.isArray(document) ? 'a list' : typeof document}`,
    );
  }
  return optionsFromRecord(document as Record<string, unknown>, source);
}

/** The text of `config.yaml`: every option as resolved, in groups, each with its explanation. */
export function optionsToYaml(options: ResolvedTrainOptions): string {
  const parts: string[] = [];
  for (const { group, names } of optionGroups()) {
    parts.push(`# ${group}`);
    for (const name of names) parts.push(stringify({ [toFileName(name)]: options[name] }).trimEnd());
    parts.push('');
  }
  return parts.join('\n');
}

/** Name, group, placeholder and description of an option, and its default as text. */
export interface OptionHelp extends FieldMeta {
  name: TrainOptionName;
  /** The default, `undefined` where an option must be given or its description tells the default. */
  defaultText: string | undefined;
}

/** All options in the order of the schema, for help texts. */
export function describeTrainOptions(): OptionHelp[] {
  return (Object.keys(trainFields) as TrainOptionName[]).map((name) => {
    const schema: z.ZodType = trainFields[name];
    const meta = schema.meta() as unknown as FieldMeta;
    const byDefault: unknown = schema.safeParse(undefined).data;
    return {
      ...meta,
      name,
      defaultText: byDefault === undefined || byDefault === null ? undefined : String(byDefault),
    };
  });
}

/**
 * The value that a flag's text stands for: a number, truth value or `null` where the option takes one (`none`
 * counts as `null`), else the text itself. Lists may be given as several words or separated by commas.
 */
export function parseFlagValue(
  name: TrainOptionName,
  written: string | readonly string[] | boolean,
): unknown {
  return readWritten(trainFields[name], written);
}

function optionGroups(): { group: FieldGroup; names: TrainOptionName[] }[] {
  const all = describeTrainOptions();
  return FIELD_GROUPS.map((group) => ({
    group,
    names: all.filter((option) => option.group === group).map((option) => option.name),
  }));
}

function resolve(input: Partial<TrainOptions>, style: NameStyle): ResolvedTrainOptions {
  // An option given as `undefined` is one that was not given.
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const parsed = trainOptionsSchema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap((issue) => describeIssue(issue, given, style));
    throw new ConfigError(listed('options', problems), { details: { problems } });
  }
  const options = parsed.data;
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

/** LoRA's options that differ from their defaults in a run that trains all weights, by their names in files. */
export function idleLoraOptions(options: ResolvedTrainOptions): string[] {
  if (options.usePeft) return [];
  const names = ['loraR', 'loraAlpha', 'loraDropout', 'loraTargetModules', 'useRslora'] as const;
  return names
    .filter((name) => {
      const byDefault: unknown = trainFields[name].safeParse(undefined).data;
      return JSON.stringify(options[name]) !== JSON.stringify(byDefault);
    })
    .map(toFileName);
}

/** Combinations that each option alone can't show to be wrong. */
function checkTogether(options: ResolvedTrainOptions, style: NameStyle): void {
  const name = (key: TrainOptionName) => nameIn(style, key);
  const problems: string[] = [];
  try {
    resolveDpoOptions(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(renamed(error.message, style));
  }
  const needsEvaluation = (['loadBestModelAtEnd', 'earlyStoppingPatience', 'evalOnStart'] as const).filter(
    (key) => options[key] !== null && options[key] !== false,
  );
  const hasEvaluationPairs = options.evalPairs !== null || options.evalSplit > 0;
  if (options.evalStrategy !== 'no' || options.evalOnStart) {
    if (!hasEvaluationPairs) {
      problems.push(
        `evaluation needs pairs: give ${name('evalPairs')}, or a share above 0 as ${name('evalSplit')}`,
      );
    }
  }
  const metric = options.metricForBestModel.replace(/^eval_/, '');
  if (!EVALUATION_METRICS.some((known) => known === metric)) {
    problems.push(
      `${name('metricForBestModel')}: expected one of ${EVALUATION_METRICS.join(', ')}, got ${metric}`,
    );
  }
  if (options.evalPairs !== null && options.evalSplit > 0) {
    problems.push(`give ${name('evalPairs')} or ${name('evalSplit')}, not both`);
  }
  for (const key of needsEvaluation) {
    if (key !== 'evalOnStart' && options.evalStrategy === 'no') {
      problems.push(
        `${name(key)} needs evaluations on the way: set ${name('evalStrategy')} to steps or epoch`,
      );
    }
  }
  if (problems.length > 0) throw new ConfigError(listed('options', problems), { details: { problems } });
}

function describeIssue(issue: z.core.$ZodIssue, given: Record<string, unknown>, style: NameStyle): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownName(key, style));
  const key = String(issue.path[0]);
  const name = nameIn(style, key);
  if (!Object.hasOwn(given, key)) return [`${name} is required: ${helpOf(key)}`];
  const value = JSON.stringify(given[key]);
  return [`${name}: expected ${expectation(issue)}, got ${value}`];
}

function unknownName(name: string, style: NameStyle): string {
  const ours = (Object.keys(trainFields) as TrainOptionName[]).map((key) => nameIn(style, key));
  const nearest = nearestName(name, ours);
  return `unknown option ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
}

function helpOf(key: string): string {
  const found = describeTrainOptions().find((option) => option.name === key);
  return found === undefined ? '' : found.description;
}

function nameIn(style: NameStyle, key: string): string {
  return style === 'code' ? key : toFileName(key);
}

/** Writes the code names in a message of another module as the file has them. */
function renamed(message: string, style: NameStyle): string {
  if (style === 'code') return message;
  return message.replace(/\b[a-z]+(?:[A-Z][a-z]*)+\b/g, (word) =>
    Object.hasOwn(trainFields, word) ? toFileName(word) : word,
  );
}

function listed(source: string, problems: readonly string[]): string {
  return problems.length === 1
    ? `${source}: ${problems[0]}`
    : `${source}: ${problems.length} problems\n${problems.map((problem) => `  - ${problem}`).join('\n')}`;
}
