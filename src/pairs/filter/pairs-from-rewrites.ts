/** Preference pairs from rewrites, filtered, and the same for the baselines of section 3.3 and Figure 4. */
import type { PreferencePair } from '../../data/pairs.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import { checkOptions } from '../check-options.js';
import type { RewriteRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { candidateOfRewrite, type PairCandidate } from './candidate.js';
import { drawPairs } from './draw-pairs.js';
import { passingCandidates } from './filter-pairs.js';
import { type PairOptions, pairOptionsSchema } from './options.js';

export interface PairSettings extends PairOptions {
  /** Who gives rewards; see {@link FilterSettings}. */
  scorer?: RewardScorer;
}

/**
 * A pair for each rewrite that passes the quality filter: the rewrite preferred over the original, under the context
 * before both, with the persona, and `scores` where there is a scorer. `id` is that of the rewrite's row. See
 * {@link filterPairs} for the filter and its books.
 *
 * Baselines by options alone: `persona: false` leaves the personas out of the same pairs, `filter: false` takes all,
 * `users` and `size` draw pairs of few users or an equal number (those not drawn are dropped as `not-drawn`; all pairs
 * are in memory then, as they are with `order: 'time'`). Rewrites from scratch come from `rewriteAnswers` with `source: 'scratch'`; supervised training
 * on the chosen answers is `train` with `lossType: 'sft'` on the same pairs.
 *
 * @throws ConfigError for options that cannot be used and a draw that is impossible, and whatever the scorer throws
 */
export async function* pairsFromRewrites(
  rows: Iterable<RewriteRow> | AsyncIterable<RewriteRow>,
  { scorer, ...input }: PairSettings,
  context: StageContext,
): AsyncGenerator<PreferencePair & { id: string }> {
  const { persona, users, size, seed, order, ...filter } = checkOptions(pairOptionsSchema, input, 'pairs');
  const passing = passingCandidates(
    candidatesOf(order === 'time' ? inTime(rows) : rows),
    filter,
    scorer,
    context,
  );
  const drawn = users === null && size === null ? passing : draw(passing, { users, size, seed }, context);
  for await (const { pair } of drawn) {
    const { persona: known, ...rest } = pair;
    context.tally.leave();
    yield persona && known !== undefined ? { ...rest, persona: known } : rest;
  }
}

/** As their conversations began; memory holds all of them. */
async function* inTime(rows: Iterable<RewriteRow> | AsyncIterable<RewriteRow>): AsyncGenerator<RewriteRow> {
  const all: RewriteRow[] = [];
  for await (const row of rows) all.push(row);
  // ISO 8601 in UTC sorts as text, and this sorts behind it.
  const LAST = '~';
  yield* all.toSorted(({ time: a = LAST }, { time: b = LAST }) => (a < b ? -1 : a > b ? 1 : 0));
}

async function* candidatesOf(
  rows: Iterable<RewriteRow> | AsyncIterable<RewriteRow>,
): AsyncGenerator<PairCandidate> {
  for await (const row of rows) yield candidateOfRewrite(row);
}

async function* draw(
  passing: AsyncIterable<PairCandidate>,
  options: Parameters<typeof drawPairs>[1],
  { tally }: StageContext,
): AsyncGenerator<PairCandidate> {
  const candidates = new Map<PairCandidate['pair'], PairCandidate>();
  for await (const candidate of passing) candidates.set(candidate.pair, candidate);
  const drawn = new Set(drawPairs([...candidates.keys()], options));
  for (const [pair, candidate] of candidates) {
    if (drawn.has(pair)) yield candidate;
    else {
      const { id, user } = pair;
      tally.drop({ id, reason: 'not-drawn', ...(user === undefined ? {} : { user }) });
    }
  }
}
