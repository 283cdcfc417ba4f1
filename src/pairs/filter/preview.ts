/** What each threshold of the quality filter would keep: to choose them by, before pairs are made. */

import type { RewardScorer } from '../../rewards/reward-model.js';
import { checkOptions } from '../check-options.js';
import { windows } from '../windows.js';
import type { PairCandidate } from './candidate.js';
import { isOn, scoreAll } from './filter-pairs.js';
import { type FilterOptions, filterOptionsSchema, type ResolvedFilterOptions } from './options.js';
import { filterRules, type Rule } from './rules.js';

export interface PreviewSettings extends FilterOptions {
  scorer?: RewardScorer;
  /** Values to try of some thresholds, in place of ours. */
  grid?: Partial<Record<Extract<Rule, { kind: 'threshold' }>['option'], readonly number[]>>;
  signal?: AbortSignal;
}

/** One value of a threshold, or one position of a switch. */
export interface PreviewedValue {
  /** null and false: off. */
  value: number | boolean | null;
  /** Whether it is the configured one. */
  configured: boolean;
  /** Pairs that it alone would keep. */
  alone: number;
  /** Pairs that it would keep together with all others as configured. */
  together: number;
}

export interface PreviewedRule {
  option: Rule['option'];
  reason: string;
  needsRewards: boolean;
  values: PreviewedValue[];
}

export interface ThresholdPreview {
  pairs: number;
  /** Pairs that have rewards; those without pass the rules that need some. */
  withRewards: number;
  /** Pairs that all rules keep as configured. */
  kept: number;
  rules: PreviewedRule[];
}

/** Candidates that are scored together. */
const SCORED_TOGETHER = 16;

/**
 * For each threshold and several of its values, and for each switch on and off: how many of the pairs it alone would
 * keep, and how many together with the others as configured. Reads the pairs once; nothing but counts is kept.
 *
 * @throws ConfigError for options that cannot be used, and whatever the scorer throws
 */
export async function previewThresholds(
  candidates: Iterable<PairCandidate> | AsyncIterable<PairCandidate>,
  { scorer, grid = {}, signal, ...input }: PreviewSettings = {},
): Promise<ThresholdPreview> {
  const options = checkOptions(filterOptionsSchema, input, 'filter');
  const rules = filterRules();
  const previewed = rules.map((rule): PreviewedRule => {
    const { option, reason, needsRewards } = rule;
    return { option, reason, needsRewards, values: valuesOf(rule, options, grid) };
  });
  const preview: ThresholdPreview = { pairs: 0, withRewards: 0, kept: 0, rules: previewed };
  for await (const window of windows(candidates, SCORED_TOGETHER)) {
    for (const candidate of await scoreAll(window, scorer, signal)) {
      countCandidate(candidate, rules, options, preview);
    }
  }
  return preview;
}

function valuesOf(
  rule: Rule,
  options: ResolvedFilterOptions,
  grid: NonNullable<PreviewSettings['grid']>,
): PreviewedValue[] {
  const value = (each: number | boolean | null, configured: boolean) => ({
    value: each,
    configured: configured && options.filter,
    alone: 0,
    together: 0,
  });
  if (rule.kind === 'switch') return [false, true].map((on) => value(on, options[rule.option] === on));
  const now = options[rule.option];
  const tried = new Set([...(grid[rule.option] ?? rule.grid), ...(now === null ? [] : [now])]);
  return [
    value(null, now === null),
    ...[...tried].sort((a, b) => a - b).map((each) => value(each, each === now)),
  ];
}

function countCandidate(
  candidate: PairCandidate,
  rules: readonly Rule[],
  options: ResolvedFilterOptions,
  preview: ThresholdPreview,
): void {
  preview.pairs++;
  if (candidate.pair.scores !== undefined) preview.withRewards++;
  const keepers = rules.map((rule) => keeperOf(rule, candidate));
  const objecting = rules.filter((rule, i) => isOn(rule, options) && !keepers[i]?.(options[rule.option]));
  if (objecting.length === 0) preview.kept++;
  preview.rules.forEach(({ values }, i) => {
    const othersKeep = objecting.every((rule) => rule === rules[i]);
    for (const each of values) {
      if (!keepers[i]?.(each.value)) continue;
      each.alone++;
      if (othersKeep) each.together++;
    }
  });
}

/** Whether a rule keeps a candidate, by the value that it is set to. */
function keeperOf(rule: Rule, candidate: PairCandidate): (value: number | boolean | null) => boolean {
  if (rule.kind === 'switch') {
    const found = rule.finds(candidate) ?? null;
    return (value) => value !== true || found === null;
  }
  const measured = rule.measure(candidate);
  return (value) => typeof value !== 'number' || measured === undefined || rule.keeps(measured, value);
}

/**
 * The preview as rows of a table with a header: option, value (a star at the configured one), pairs kept by it alone,
 * and together with the others. Options have their names in files.
 */
export function describePreview({ pairs, withRewards, kept, rules }: ThresholdPreview): string[][] {
  const rows = rules.flatMap(({ option, needsRewards, values }) =>
    values.map(({ value, configured, alone, together }) => [
      option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      `${shown(value)}${configured ? ' *' : ''}`,
      ...(needsRewards && withRewards === 0 ? ['no rewards', 'no rewards'] : [`${alone}`, `${together}`]),
    ]),
  );
  return [
    ['threshold', 'value', 'kept by it alone', 'with all others'],
    ...rows,
    ['all', 'as configured *', '', `${kept} of ${pairs}`],
  ];
}

function shown(value: number | boolean | null): string {
  return value === null || value === false ? 'off' : value === true ? 'on' : `${value}`;
}
