/** Signs that the policy learns to please the reward model rather than the user: lengths that drift, repetition, KL. */

import { mean } from '../../data/statistics.js';
import type { ResolvedOnlineTrainOptions } from './options.js';

export type Guard = 'length' | 'repetition' | 'kl';

/** A limit that is passed. */
export interface GuardWarning {
  guard: Guard;
  /** Mean over the last steps. */
  value: number;
  limit: number;
  message: string;
}

/** What the guards look at of one step; null where the step had nothing of it. */
export interface GuardedStep {
  meanLength: number;
  repetition: number;
  klPerToken: number | null;
}

/** What guards remember; part of a checkpoint. */
export interface GuardState {
  /** Mean length of each of the first steps, as many as the window has. */
  firstLengths: number[];
  /** The last steps, as many as the window has. */
  recent: GuardedStep[];
  /** Limits that are passed now. */
  passed: GuardWarning[];
}

export const NO_GUARD_STATE: GuardState = { firstLengths: [], recent: [], passed: [] };

type GuardOptions = Pick<
  ResolvedOnlineTrainOptions,
  'guardWindow' | 'maxLengthDrift' | 'maxRepetition' | 'maxKl'
>;

/** The state after one more step. Means over fewer steps than the window has are not held against limits. */
export function watchStep(state: GuardState, step: GuardedStep, options: GuardOptions): GuardState {
  const { guardWindow } = options;
  const firstLengths =
    state.firstLengths.length < guardWindow ? [...state.firstLengths, step.meanLength] : state.firstLengths;
  const recent = [...state.recent, step].slice(-guardWindow);
  const whole = recent.length === guardWindow;
  return { firstLengths, recent, passed: whole ? passedLimits(firstLengths, recent, options) : [] };
}

/** Those of `after` that were not passed before. */
export function newWarnings(before: GuardState, after: GuardState): GuardWarning[] {
  return after.passed.filter(({ guard }) => !before.passed.some((old) => old.guard === guard));
}

function passedLimits(
  firstLengths: readonly number[],
  recent: readonly GuardedStep[],
  { maxLengthDrift, maxRepetition, maxKl }: GuardOptions,
): GuardWarning[] {
  const warnings: GuardWarning[] = [];
  const first = mean(firstLengths);
  const length = mean(recent.map(({ meanLength }) => meanLength));
  const drift = length / first;
  if (maxLengthDrift !== null && (drift > maxLengthDrift || drift < 1 / maxLengthDrift)) {
    const way = drift > 1 ? 'longer' : 'shorter';
    warnings.push({
      ...{ guard: 'length', value: drift, limit: maxLengthDrift },
      message: `samples have become ${way}: ${length.toFixed(1)} tokens, ${first.toFixed(1)} in the first steps (max_length_drift ${maxLengthDrift})`,
    });
  }
  const repetition = mean(recent.map((step) => step.repetition));
  if (maxRepetition !== null && repetition > maxRepetition) {
    warnings.push({
      ...{ guard: 'repetition', value: repetition, limit: maxRepetition },
      message: `samples repeat themselves: ${(100 * repetition).toFixed(0)}% of their runs of ${RUN} tokens came before in them (max_repetition ${maxRepetition})`,
    });
  }
  const known = recent.flatMap(({ klPerToken }) => (klPerToken === null ? [] : [klPerToken]));
  const kl = mean(known);
  if (maxKl !== null && known.length > 0 && kl > maxKl) {
    warnings.push({
      ...{ guard: 'kl', value: kl, limit: maxKl },
      message: `the policy is far from the reference: KL ${kl.toFixed(3)} nats a token (max_kl ${maxKl})`,
    });
  }
  return warnings;
}

/** Tokens in the runs that repetition is measured by. */
const RUN = 4;

/** The share of a sample's runs of four tokens that were in it before: `1 - different / all`; 0 where it has none. */
export function repetitionOf(ids: readonly number[]): number {
  const runs = ids.length - RUN + 1;
  if (runs < 1) return 0;
  const different = new Set<string>();
  for (let start = 0; start < runs; start++) different.add(ids.slice(start, start + RUN).join());
  return 1 - different.size / runs;
}
