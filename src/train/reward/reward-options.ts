import { evaluationProblems } from '../evaluation-options.js';
import { toFileName } from '../option-names.js';
import {
  type CheckedOptions,
  type FileOptions,
  type GivenOptions,
  type NameStyle,
  OptionSet,
  optionsError,
} from '../option-set.js';
import { LEARNING_OPTIONS } from '../trajectory-options.js';
import { rewardFields, rewardForeignOptions } from './reward-fields.js';

/** The options of `trainReward`: how they are read, checked, written down and told. */
export const rewardOptionSet = new OptionSet(rewardFields, rewardForeignOptions);

/**
 * What `trainReward` takes: `model`, `pairs` and `outputDir`, and anything else that should differ from its default.
 * `persona-dpo train-reward --help` tells what each option means (there in snake_case).
 */
export type TrainRewardOptions = GivenOptions<typeof rewardFields>;

/** All options with their defaults filled in, checked one by one and together. */
export type ResolvedTrainRewardOptions = Readonly<
  Omit<
    CheckedOptions<typeof rewardFields>,
    'learningRate' | 'metricForBestModel' | 'greaterIsBetter' | 'evalSteps'
  > & {
    learningRate: number;
    metricForBestModel: string;
    greaterIsBetter: boolean;
    evalSteps: number;
  }
>;

/** What an evaluation measures: what `metricForBestModel` can be, with or without `eval_` before it. */
export const REWARD_METRICS = [
  'loss',
  'accuracy',
  'margin',
  'min_reward',
  'mean_reward',
  'max_reward',
] as const;

/**
 * Checks options given in code and fills in the defaults.
 *
 * @throws ConfigError that names every wrong option, what was expected and what came
 */
export function resolveTrainRewardOptions(input: TrainRewardOptions): ResolvedTrainRewardOptions {
  return resolve(input, 'code');
}

/** {@link resolveTrainRewardOptions} with the file's names in its messages; `options` comes from `rewardOptionSet`. */
export function resolveRewardFileOptions(
  options: FileOptions<TrainRewardOptions>['options'],
): ResolvedTrainRewardOptions {
  return resolve(options, 'file');
}

function resolve(input: Partial<TrainRewardOptions>, style: NameStyle): ResolvedTrainRewardOptions {
  const options = rewardOptionSet.check(input, style);
  const metricForBestModel = options.metricForBestModel ?? 'loss';
  const resolved: ResolvedTrainRewardOptions = {
    ...options,
    learningRate: options.learningRate ?? (options.mode === 'head' ? 1e-3 : 1e-4),
    metricForBestModel,
    greaterIsBetter: options.greaterIsBetter ?? !metricForBestModel.endsWith('loss'),
    evalSteps: options.evalSteps ?? options.loggingSteps,
    reportTo: options.reportTo.includes('none') ? ['none'] : options.reportTo,
  };
  const problems = evaluationProblems(resolved, REWARD_METRICS, style);
  if (problems.length > 0) throw optionsError(problems);
  return resolved;
}

/** Options, by their names in files, that differ from their defaults and do nothing in this mode. */
export function idleRewardOptions(options: ResolvedTrainRewardOptions): string[] {
  const lora = ['loraR', 'loraAlpha', 'loraDropout', 'loraTargetModules', 'useRslora'] as const;
  const names = [
    ...(options.mode === 'lora' ? [] : lora),
    ...(options.mode === 'head' ? [] : (['featureCache'] as const)),
  ];
  return names.filter((name) => !rewardOptionSet.isDefault(name, options[name])).map(toFileName);
}

/** The options that shape what a run computes: a run goes on from a checkpoint only with the same ones. */
const SHAPING = [
  'mode',
  'centerRewardsCoefficient',
  ...LEARNING_OPTIONS,
] as const satisfies readonly (keyof ResolvedTrainRewardOptions)[];

/** What a checkpoint remembers of a run's options. */
export function rewardTrajectory(options: ResolvedTrainRewardOptions): Record<string, unknown> {
  return Object.fromEntries(SHAPING.map((name) => [name, options[name]]));
}
