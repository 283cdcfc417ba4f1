/** How the persona changes the ranking of candidates: what a user-agnostic reward model would have chosen instead. */

import { bootstrapInterval } from '../eval/statistics/bootstrap.js';
import type { Interval } from '../eval/statistics/interval.js';
import { wilsonInterval } from '../eval/statistics/wilson.js';
import { byReward } from '../pairs/rank/candidate-of-ranking.js';
import { type RankingRow, REWARD_KINDS } from '../pairs/rows.js';

/** Measured on the prompts of users with a persona that have both kinds of rewards. */
export interface RankingReport {
  prompts: number;
  users: number;
  candidates: number;
  /** Prompts that were left aside: their users have no persona, so that both kinds of rewards are the same. */
  withoutPersona: number;
  /** Share of prompts whose best candidate is another one with the persona than without; of the worst; of either. */
  bestDiffers: Interval;
  worstDiffers: Interval;
  pairDiffers: Interval;
  /** Mean over prompts of Spearman's rank correlation of both kinds of rewards. */
  rankCorrelation: Interval;
  /** Prompts without a rank correlation: all their candidates have the same reward by one kind. */
  withoutCorrelation: number;
  /** Mean of what the best candidate with the persona has more of the user-based reward than the best one without. */
  rewardGained: Interval;
}

interface Measured {
  best: number;
  worst: number;
  pair: number;
  correlation: number;
  gained: number;
}

/** Draws for an interval. */
const RESAMPLES = 2000;

/**
 * Compares both kinds of rewards, prompt by prompt. Intervals are by bootstrap over users, 95 %: a user's prompts share
 * the persona, and count as one thing that was drawn. Of a share of 0 or 1, where all draws are alike, the interval is
 * Wilson's with users as what was counted. They are NaN where there are no prompts to compare.
 */
export async function rankingReport(
  rows: Iterable<RankingRow> | AsyncIterable<RankingRow>,
): Promise<RankingReport> {
  const byUser = new Map<string, Measured[]>();
  let candidates = 0;
  let withoutPersona = 0;
  for await (const row of rows) {
    if (!hasBothKinds(row)) continue;
    if (row.persona === undefined) {
      withoutPersona++;
      continue;
    }
    candidates += row.candidates.length;
    byUser.set(row.user, [...(byUser.get(row.user) ?? []), measure(row)]);
  }
  const users = [...byUser.values()];
  const all = users.flat();
  const mean = (value: (measured: Measured) => number) =>
    bootstrapInterval(users, (drawn) => meanOf(drawn.flat().map(value)), { resamples: RESAMPLES });
  const share = (value: (measured: Measured) => number) => {
    const interval = mean(value);
    const isExtreme = interval.estimate === 0 || interval.estimate === 1;
    return isExtreme ? wilsonInterval(interval.estimate * users.length, users.length) : interval;
  };
  return {
    prompts: all.length,
    users: users.length,
    candidates,
    withoutPersona,
    bestDiffers: share(({ best }) => best),
    worstDiffers: share(({ worst }) => worst),
    pairDiffers: share(({ pair }) => pair),
    rankCorrelation: mean(({ correlation }) => correlation),
    withoutCorrelation: all.filter(({ correlation }) => Number.isNaN(correlation)).length,
    rewardGained: mean(({ gained }) => gained),
  };
}

function hasBothKinds({ candidates }: RankingRow): boolean {
  return candidates.every(({ rewards }) => REWARD_KINDS.every((kind) => rewards[kind] !== undefined));
}

function measure(row: RankingRow): Measured {
  const based = byReward(row, 'user-based');
  const agnostic = byReward(row, 'user-agnostic');
  const isOther = (at: number) => Number(based.at(at)?.draws[0] !== agnostic.at(at)?.draws[0]);
  const [best, worst] = [isOther(0), isOther(-1)];
  const rewards = (kind: (typeof REWARD_KINDS)[number]) =>
    row.candidates.map((candidate) => candidate.rewards[kind] as number);
  return {
    best,
    worst,
    pair: Number(best + worst > 0),
    correlation: rankCorrelation(rewards('user-based'), rewards('user-agnostic')),
    gained: (based[0]?.reward ?? 0) - (agnostic[0]?.rewards['user-based'] ?? 0),
  };
}

/** Of the numbers that are some; NaN where there are none. */
function meanOf(values: readonly number[]): number {
  const some = values.filter((value) => !Number.isNaN(value));
  return some.reduce((sum, value) => sum + value, 0) / some.length;
}

/**
 * Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs. NaN where all values of
 * one of the lists are the same.
 */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const [left, right] = [ranksOf(a), ranksOf(b)];
  const middle = (a.length - 1) / 2;
  let [both, own, other] = [0, 0, 0];
  for (const [i, rank] of left.entries()) {
    const [x, y] = [rank - middle, (right[i] as number) - middle];
    both += x * y;
    own += x * x;
    other += y * y;
  }
  return own === 0 || other === 0 ? Number.NaN : both / Math.sqrt(own * other);
}

function ranksOf(values: readonly number[]): number[] {
  const order = values.map((value, i) => ({ value, i })).sort((a, b) => a.value - b.value);
  const ranks = new Array<number>(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (order[end]?.value === order[start]?.value && end < order.length) end++;
    for (const { i } of order.slice(start, end)) ranks[i] = (start + end - 1) / 2;
    start = end;
  }
  return ranks;
}

/** Its first figure in a sentence. */
export function describeBestDiffers({ estimate, low, high }: Interval): string {
  return `the persona makes another candidate the best for ${percent(estimate)} of the prompts, ${percent(low)} to ${percent(high)}`;
}

/** The report in lines, with a table that `format` draws of rows with a header. */
export function describeRanking(report: RankingReport, format: (rows: string[][]) => string): string[] {
  const { prompts, users, candidates, withoutPersona } = report;
  const aside =
    withoutPersona === 0 ? '' : `; ${withoutPersona} prompts of users without a persona left aside`;
  if (prompts === 0)
    return [`Nothing shows how the persona changes the ranking: no prompts with one${aside}.`];
  const share = ({ estimate, low, high }: Interval) => [
    percent(estimate),
    `${percent(low)} to ${percent(high)}`,
  ];
  const number = ({ estimate, low, high }: Interval) => [fixed(estimate), `${fixed(low)} to ${fixed(high)}`];
  return [
    `How the persona changes the ranking, of ${prompts} prompts of ${users} users with ${candidates} candidates${aside}:`,
    format([
      ['with the persona, against without it', 'value', '95 % interval'],
      ['another candidate is the best', ...share(report.bestDiffers)],
      ['another candidate is the worst', ...share(report.worstDiffers)],
      ['another pair', ...share(report.pairDiffers)],
      ['rank correlation of the rewards', ...number(report.rankCorrelation)],
      ['user-based reward gained by the best', ...number(report.rewardGained)],
    ]),
  ];
}

const percent = (value: number) => (Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : '-');
const fixed = (value: number) => (Number.isFinite(value) ? value.toFixed(3) : '-');
