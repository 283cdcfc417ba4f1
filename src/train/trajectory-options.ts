/** The options that shape what a run computes: a run goes on from a checkpoint only with the same ones. */

import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../errors.js';
import { toFileName } from './option-names.js';
import type { ResolvedTrainOptions } from './options.js';

/** Of adapters, the optimizer and the order of what is learnt: shared by the kinds of training on pairs. */
export const LEARNING_OPTIONS = [
  'loraR',
  'loraAlpha',
  'loraDropout',
  'loraTargetModules',
  'useRslora',
  'learningRate',
  'lrSchedulerType',
  'warmupSteps',
  'optim',
  'weightDecay',
  'adamBeta1',
  'adamBeta2',
  'adamEpsilon',
  'maxGradNorm',
  'seed',
  'perDeviceTrainBatchSize',
  'gradientAccumulationSteps',
  'trainSamplingStrategy',
  'dtype',
] as const;

/** Everything else may differ between a run and its continuation: how long, how often, where, how much memory. */
const SHAPING = [
  'referenceModel',
  'referenceAdapter',
  'lossType',
  'lossWeights',
  'beta',
  'labelSmoothing',
  'fDivergenceType',
  'fAlphaDivergenceCoef',
  'ldAlpha',
  'useWeighting',
  'discopopTau',
  'usePeft',
  ...LEARNING_OPTIONS,
] as const satisfies readonly (keyof ResolvedTrainOptions)[];

/** What runs were of before there was a choice: their checkpoints do not say it. */
const BEFORE: Readonly<Record<string, unknown>> = { optim: 'adamw_torch' };

/** What a checkpoint remembers of a run's options. */
export function trajectoryOptions(options: ResolvedTrainOptions): Record<string, unknown> {
  return Object.fromEntries(SHAPING.map((name) => [name, options[name]]));
}

/**
 * Checks that a run may go on with options that shape it, by their names.
 *
 * @throws ConfigError naming each option that differs, with both values.
 */
export function checkSameOptions(
  saved: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, unknown>>,
): void {
  const known = { ...BEFORE, ...saved };
  const differing = Object.entries(given)
    .filter(([name, value]) => !isDeepStrictEqual(known[name], value))
    .map(
      ([name, value]) =>
        `${toFileName(name)} was ${JSON.stringify(known[name])}, is ${JSON.stringify(value)}`,
    );
  if (differing.length === 0) return;
  throw new ConfigError(
    `the checkpoint is of a run with other options: ${differing.join('; ')}. Use the same, or start a new run ` +
      '(from its adapter: adapter)',
    { details: { differing } },
  );
}
