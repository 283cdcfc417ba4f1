/** Which two of a prompt's ranked candidates become a pair. */
import { createHash } from 'node:crypto';
import type { Dropped } from '../../data/tally.js';
import type { PairCandidate } from '../filter/candidate.js';
import type { PairRule } from '../filter/options.js';
import type { RankedCandidate, RankingRow, RewardKind } from '../rows.js';

/** Where the pairs of {@link candidateOfRanking} come from, as their `source` says. */
export const RANKING_SOURCES: Readonly<Record<RewardKind, string>> = {
  'user-based': 'user-based-rewards',
  'user-agnostic': 'user-agnostic-rewards',
};

/** Whether a pair's source is one of {@link RANKING_SOURCES}. */
export function isRankingSource(source: string | undefined): boolean {
  return Object.values(RANKING_SOURCES).some((each) => each === source);
}

export interface RankingChoice {
  /** `best-worst` is Equation 2. */
  pair: PairRule;
  /** Least difference of the two rewards; null for any above 0. */
  minRewardGap: number | null;
  seed: number;
}

/**
 * The candidate with the highest reward preferred over the one with the lowest (Equation 2), or over one drawn by seed
 * among those below the best, by at least `minRewardGap`. Of candidates with the same reward the one drawn first is
 * taken. Dropped is a prompt whose candidates all have the same reward (`all-tied`), and by `best-random` one of whose
 * candidates none is far enough below the best (`no-margin`).
 */
export function candidateOfRanking(
  row: RankingRow,
  { pair, minRewardGap, seed }: RankingChoice,
): PairCandidate | Dropped {
  const { id, user, prompt, persona, time, rewards } = row;
  const ranked = byReward(row);
  const [best, worst] = [ranked[0], firstOfLast(ranked)];
  if (best === undefined || worst === undefined || best.reward === worst.reward) {
    const detail = `${ranked.length} candidates with the reward ${best?.reward}`;
    return { id, reason: 'all-tied', detail, user };
  }
  const below = ranked.filter(
    ({ reward }) => reward < best.reward && best.reward - reward >= (minRewardGap ?? 0),
  );
  const rejected = pair === 'best-worst' ? worst : below[drawnIndex(`${seed} rejected ${id}`, below.length)];
  if (rejected === undefined) {
    const detail = `none of ${ranked.length} candidates is ${minRewardGap} below the best`;
    return { id, reason: 'no-margin', detail, user };
  }
  return {
    pair: {
      prompt,
      chosen: [{ role: 'assistant', content: best.text }],
      rejected: [{ role: 'assistant', content: rejected.text }],
      id,
      ...(persona === undefined ? {} : { persona }),
      user,
      source: RANKING_SOURCES[rewards],
      scores: { chosen: best.reward, rejected: rejected.reward },
    },
    ranking: row,
    ...(time === undefined ? {} : { time }),
  };
}

/** A candidate with the reward that decides. */
export interface Rewarded extends RankedCandidate {
  reward: number;
}

/** The candidates by the reward that decides, or by another kind, highest first; equal ones as they were drawn. */
export function byReward({ candidates, rewards }: RankingRow, kind: RewardKind = rewards): Rewarded[] {
  return candidates
    .map((candidate) => ({ ...candidate, reward: candidate.rewards[kind] ?? Number.NaN }))
    .sort((a, b) => b.reward - a.reward);
}

/** Of those with the lowest reward the one drawn first. */
function firstOfLast(ranked: readonly Rewarded[]): Rewarded | undefined {
  const lowest = ranked.at(-1)?.reward;
  return ranked.find(({ reward }) => reward === lowest);
}

function drawnIndex(name: string, count: number): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0) % Math.max(count, 1);
}
