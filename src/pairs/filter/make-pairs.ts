/** Preference pairs of rewrites, of rankings, or of both: filtered, mixed, and drawn for baselines of equal size. */
import type { PreferencePair } from '../../data/pairs.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import { checkOptions } from '../check-options.js';
import { candidateOfRanking } from '../rank/candidate-of-ranking.js';
import type { RankingRow, RewriteRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { candidateOfRewrite, type PairCandidate } from './candidate.js';
import { drawPairs } from './draw-pairs.js';
import { passingCandidates } from './filter-pairs.js';
import {
  type PairOptions,
  pairOptionsSchema,
  type ResolvedFilterOptions,
  type ResolvedPairOptions,
} from './options.js';

type Rows<Row> = Iterable<Row> | AsyncIterable<Row>;

/** What pairs are made of; at least one of the two. */
export interface PairSources {
  rewrites?: Rows<RewriteRow>;
  rankings?: Rows<RankingRow>;
}

/** Books of each kind of pair. */
export interface PairContexts {
  rewrites: StageContext;
  rankings: StageContext;
}

export interface PairSettings extends PairOptions {
  /** Who gives rewards of rewrites and their originals; rankings bring their own. See {@link FilterSettings}. */
  scorer?: RewardScorer;
  /** Is told of each candidate that passes the filter, before any is drawn. */
  onPassed?: (candidate: PairCandidate) => void;
}

/**
 * The pairs that pass the quality filter: the rewrite preferred over the original, and the best candidate of a ranking
 * preferred over the worst (Equation 2), each under the context before it, with the persona and `scores`. See
 * {@link filterPairs} for the filter, {@link candidateOfRanking} for the choice among candidates.
 *
 * The paper takes the thresholds of appendix C.2 from RIP, which judges prompts by best and worst of their candidates:
 * for pairs of rankings they are the filter of the "curated pool of high-quality prompts" (section 3.1). `userBased`
 * sets them apart from those of rewrites.
 *
 * Books: pairs of each kind. Beside the filter's reasons: `all-tied` and `no-margin` of rankings, `beyond-share` and
 * `not-drawn` of the draws. Memory holds all pairs that pass where they are drawn, ordered by time, or of two kinds.
 *
 * @throws ConfigError for options that cannot be used and a draw that is impossible, and whatever the scorer throws
 */
export async function* makePairs(
  sources: PairSources,
  { scorer, onPassed, ...input }: PairSettings,
  contexts: PairContexts,
): AsyncGenerator<PreferencePair & { id: string }> {
  const options = checkOptions(pairOptionsSchema, input, 'pairs');
  const tallyOf = (candidate: PairCandidate) =>
    candidate.ranking === undefined ? contexts.rewrites.tally : contexts.rankings.tally;
  let passing = watched(passingOf(sources, options, scorer, contexts), onPassed);
  if (sources.rewrites !== undefined && sources.rankings !== undefined)
    passing = mix(passing, options, tallyOf);
  const { persona, users, size, seed } = options;
  if (users !== null || size !== null) {
    passing = drawn(passing, tallyOf, (pairs) => drawPairs(pairs, { users, size, seed }), 'not-drawn');
  }
  for await (const candidate of passing) {
    const { persona: known, ...rest } = candidate.pair;
    tallyOf(candidate).leave();
    yield persona && known !== undefined ? { ...rest, persona: known } : rest;
  }
}

/** Thresholds of the filter for pairs of rankings. */
export function filterOfRankings({ userBased, ...options }: ResolvedPairOptions): ResolvedFilterOptions {
  const { pair: _, share: _share, ...thresholds } = userBased;
  const given = Object.entries(thresholds).filter(([, value]) => value !== undefined);
  return { ...filterOfRewrites({ userBased, ...options }), ...Object.fromEntries(given) };
}

/** Those for pairs of rewrites. */
export function filterOfRewrites(options: ResolvedPairOptions): ResolvedFilterOptions {
  const { persona: _, users: _users, size: _size, seed: _seed, order: _order, ...rest } = options;
  const { mixing: _mixing, userBased: _userBased, ...filter } = rest;
  return filter;
}

/** The two candidates of each ranking that make a pair; the others' books are closed here where there is a tally. */
export async function* candidatesOfRankings(
  rows: Rows<RankingRow>,
  options: ResolvedPairOptions,
  tally?: StageContext['tally'],
): AsyncGenerator<PairCandidate> {
  const { minRewardGap } = filterOfRankings(options);
  const choice = { pair: options.userBased.pair, minRewardGap, seed: options.seed };
  for await (const row of rows) {
    const candidate = candidateOfRanking(row, choice);
    if (!('reason' in candidate)) yield candidate;
    else if (tally !== undefined) {
      tally.enter();
      tally.drop(candidate);
    }
  }
}

export async function* candidatesOfRewrites(rows: Rows<RewriteRow>): AsyncGenerator<PairCandidate> {
  for await (const row of rows) yield candidateOfRewrite(row);
}

/** What passes the filter: pairs of rewrites, then those of rankings; or the other way round. */
async function* passingOf(
  { rewrites, rankings }: PairSources,
  options: ResolvedPairOptions,
  scorer: RewardScorer | undefined,
  contexts: PairContexts,
): AsyncGenerator<PairCandidate> {
  const ordered = <Row extends { time?: string }>(rows: Rows<Row>) =>
    options.order === 'time' ? inTime(rows) : rows;
  async function* ofRewrites() {
    if (rewrites === undefined) return;
    const candidates = candidatesOfRewrites(ordered(rewrites));
    yield* passingCandidates(candidates, filterOfRewrites(options), scorer, contexts.rewrites);
  }
  async function* ofRankings() {
    if (rankings === undefined) return;
    const candidates = candidatesOfRankings(ordered(rankings), options, contexts.rankings.tally);
    yield* passingCandidates(candidates, filterOfRankings(options), undefined, contexts.rankings);
  }
  const [first, second] =
    options.mixing === 'rewards-first' ? [ofRankings, ofRewrites] : [ofRewrites, ofRankings];
  yield* first();
  yield* second();
}

async function* watched(
  candidates: AsyncIterable<PairCandidate>,
  onPassed: ((candidate: PairCandidate) => void) | undefined,
): AsyncGenerator<PairCandidate> {
  for await (const candidate of candidates) {
    onPassed?.(candidate);
    yield candidate;
  }
}

/** ISO 8601 in UTC sorts as text, and this sorts behind it. */
const LAST = '~';

/** As their conversations began; memory holds all of them. */
async function* inTime<Row extends { time?: string }>(rows: Rows<Row>): AsyncGenerator<Row> {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  yield* all.toSorted(({ time: a = LAST }, { time: b = LAST }) => compare(a, b));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Both kinds with the share that is wanted, in one order where they are to stand together. */
async function* mix(
  passing: AsyncIterable<PairCandidate>,
  { order, mixing, seed, userBased: { share } }: ResolvedPairOptions,
  tallyOf: (candidate: PairCandidate) => StageContext['tally'],
): AsyncGenerator<PairCandidate> {
  const all: PairCandidate[] = [];
  for await (const candidate of passing) all.push(candidate);
  if (mixing === 'together') {
    const key = ({ pair, time = LAST }: PairCandidate) => (order === 'time' ? time : (pair.user ?? ''));
    all.sort((a, b) => compare(key(a), key(b)));
  }
  if (share === null) yield* all;
  else {
    const take = (pairs: readonly PairCandidate['pair'][]) => {
      const isRanked = new Set(all.flatMap(({ ranking, pair }) => (ranking === undefined ? [] : [pair])));
      const rankings = pairs.filter((pair) => isRanked.has(pair));
      const rewrites = pairs.filter((pair) => !isRanked.has(pair));
      const sizes = sizesFor(share, rewrites.length, rankings.length);
      return [
        ...drawPairs(rewrites, { users: null, size: sizes.rewrites, seed }),
        ...drawPairs(rankings, { users: null, size: sizes.rankings, seed }),
      ];
    };
    yield* drawn(all, tallyOf, take, 'beyond-share');
  }
}

/** The most of both kinds by which rankings have the share, to the nearest pair. */
export function sizesFor(
  share: number,
  rewrites: number,
  rankings: number,
): { rewrites: number; rankings: number } {
  if (share === 0) return { rewrites, rankings: 0 };
  if (share === 1) return { rewrites: 0, rankings };
  return {
    rewrites: Math.min(rewrites, Math.round((rankings * (1 - share)) / share)),
    rankings: Math.min(rankings, Math.round((rewrites * share) / (1 - share))),
  };
}

async function* drawn(
  passing: Rows<PairCandidate>,
  tallyOf: (candidate: PairCandidate) => StageContext['tally'],
  take: (pairs: readonly PairCandidate['pair'][]) => readonly PairCandidate['pair'][],
  reason: string,
): AsyncGenerator<PairCandidate> {
  const candidates: PairCandidate[] = [];
  for await (const candidate of passing) candidates.push(candidate);
  const taken = new Set(take(candidates.map(({ pair }) => pair)));
  for (const candidate of candidates) {
    if (taken.has(candidate.pair)) yield candidate;
    else {
      const { id, user } = candidate.pair;
      tallyOf(candidate).drop({ id, reason, ...(user === undefined ? {} : { user }) });
    }
  }
}
