/** The rewards of candidates: with the user's persona (section 2.4), without it (section 3.3), or both. */
import { DataError } from '../../errors.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import { checkOptions } from '../check-options.js';
import { checkedRewards } from '../checked-rewards.js';
import {
  type CandidatesRow,
  type RankedCandidate,
  type RankingRow,
  REWARD_KINDS,
  type RewardKind,
} from '../rows.js';
import type { StageContext } from '../stage.js';
import { windows } from '../windows.js';
import { type RankOptions, rankOptionsSchema } from './options.js';

export interface RankSettings extends RankOptions {
  /** Who gives rewards. */
  scorer: RewardScorer;
  /** How many prompts come, to tell progress by. Default: not known. */
  promptCount?: number;
}

/** Prompts whose candidates are scored together, so that the scorer can fill its batches. */
const SCORED_TOGETHER = 8;

/**
 * The candidates of each prompt with all their rewards, in the order of the prompts. A user without a persona has the
 * same reward by both kinds, and is noted as `no-persona` where rewards should be user-based.
 *
 * Books: prompts; dropped as `not-scorable` where the scorer says that the request can't be scored.
 *
 * @throws ConfigError for options that cannot be used, PersonaDpoError (`SCORES`) for rewards that are none, and
 *   whatever else the scorer throws
 */
export async function* rankCandidates(
  rows: Iterable<CandidatesRow> | AsyncIterable<CandidatesRow>,
  { scorer, promptCount = 0, ...input }: RankSettings,
  { tally, signal, onProgress }: StageContext,
): AsyncGenerator<RankingRow> {
  const { rewards, compare } = checkOptions(rankOptionsSchema, input, 'rank');
  const kinds = compare ? REWARD_KINDS : [rewards];
  let done = 0;
  for await (const window of windows(rows, SCORED_TOGETHER)) {
    signal?.throwIfAborted();
    tally.enter(window.length);
    const scored = await Promise.all(window.map((row) => scoreRow(row, kinds, scorer, signal)));
    for (const [i, { candidates: _, ...row }] of window.entries()) {
      const candidates = scored[i] as Scored;
      done++;
      if (candidates instanceof DataError) {
        tally.drop({ id: row.id, reason: 'not-scorable', detail: candidates.message, user: row.user });
        continue;
      }
      if (row.persona === undefined && kinds.includes('user-based')) tally.note('no-persona');
      tally.leave();
      yield { ...row, candidates, rewards, scorer: scorer.identity };
    }
    onProgress?.({ done, total: promptCount });
  }
}

type Scored = RankedCandidate[] | DataError;

async function scoreRow(
  row: CandidatesRow,
  kinds: readonly RewardKind[],
  scorer: RewardScorer,
  signal: AbortSignal | undefined,
): Promise<Scored> {
  const { id, prompt, persona } = row;
  const candidates = row.candidates.map(({ text }) => text);
  const rewardsOf = (shown: string | undefined) =>
    checkedRewards(
      scorer,
      { prompt, candidates, ...(shown === undefined ? {} : { persona: shown }) },
      { what: `prompt ${id}`, ...(signal === undefined ? {} : { signal }) },
    );
  try {
    const agnostic =
      kinds.includes('user-agnostic') || persona === undefined ? await rewardsOf(undefined) : [];
    const based = kinds.includes('user-based') && persona !== undefined ? await rewardsOf(persona) : agnostic;
    const byKind = { 'user-based': based, 'user-agnostic': agnostic };
    return row.candidates.map((candidate, i) => ({
      ...candidate,
      rewards: Object.fromEntries(kinds.map((kind) => [kind, byKind[kind][i]])),
    }));
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
}
