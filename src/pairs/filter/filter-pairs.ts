/** The quality filter: appendix C.2's thresholds and what else makes a pair useless. */
import type { PreferencePair } from '../../data/pairs.js';
import type { Dropped } from '../../data/tally.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import { checkOptions } from '../check-options.js';
import type { StageContext } from '../stage.js';
import { windows } from '../windows.js';
import type { PairCandidate } from './candidate.js';
import { type FilterOptions, filterOptionsSchema, type ResolvedFilterOptions } from './options.js';
import { filterRules, type Rule } from './rules.js';
import { scoreCandidate } from './scorer.js';

export interface FilterSettings extends FilterOptions {
  /** Who gives rewards. Default: nobody; pairs that have none are then not held to what needs them. */
  scorer?: RewardScorer;
}

/** Candidates that are scored together. */
const SCORED_TOGETHER = 16;

/**
 * The pairs that pass every rule that is on, in their order. A pair is counted under the first rule that drops it; the
 * rules that need rewards come last, so that no reward is asked for in vain. Where a pair has no rewards and there is
 * no scorer, those rules are skipped: noted as `rewards-not-checked`, and said in a notice.
 *
 * Books: pairs.
 *
 * @throws ConfigError for options that cannot be used, PersonaDpoError (`SCORES`) for scores that are none, and
 *   whatever the scorer throws
 */
export async function* filterPairs(
  candidates: Iterable<PairCandidate> | AsyncIterable<PairCandidate>,
  { scorer, ...input }: FilterSettings,
  context: StageContext,
): AsyncGenerator<PreferencePair & { id: string }> {
  const options = checkOptions(filterOptionsSchema, input, 'filter');
  for await (const { pair } of passingCandidates(candidates, options, scorer, context)) {
    context.tally.leave();
    yield pair;
  }
}

/** As {@link filterPairs}, but what passes is not yet counted as gone out. */
export async function* passingCandidates(
  candidates: Iterable<PairCandidate> | AsyncIterable<PairCandidate>,
  options: ResolvedFilterOptions,
  scorer: RewardScorer | undefined,
  { tally, signal, onNotice, onProgress }: StageContext,
): AsyncGenerator<PairCandidate> {
  const rules = filterRules().filter((rule) => isOn(rule, options));
  const rewardRules = rules.filter(({ needsRewards }) => needsRewards);
  const textRules = rules.filter(({ needsRewards }) => !needsRewards);
  let done = 0;
  let unchecked = 0;

  function passes(candidate: PairCandidate, tried: readonly Rule[]): boolean {
    const dropped = firstObjection(candidate, tried, options);
    if (dropped !== undefined) tally.drop(dropped);
    return dropped === undefined;
  }

  for await (const window of windows(candidates, SCORED_TOGETHER)) {
    tally.enter(window.length);
    const left = window.filter((candidate) => passes(candidate, textRules));
    const scored = await scoreAll(left, scorer, signal);
    for (const candidate of scored) {
      if (candidate.pair.scores === undefined && rewardRules.length > 0) unchecked++;
      if (passes(candidate, rewardRules)) yield candidate;
    }
    done += window.length;
    onProgress?.({ done, total: 0 });
  }
  if (unchecked > 0) {
    tally.note('rewards-not-checked', unchecked);
    const skipped = rewardRules.map(({ option }) => option).join(', ');
    onNotice?.(
      `${unchecked} pairs have no rewards and were not held to ${skipped}: give a reward model for that.`,
    );
  }
}

/** Whether a rule is in force. */
export function isOn(rule: Rule, options: ResolvedFilterOptions): boolean {
  if (!options.filter) return false;
  return rule.kind === 'switch' ? options[rule.option] : options[rule.option] !== null;
}

function firstObjection(
  candidate: PairCandidate,
  rules: readonly Rule[],
  options: ResolvedFilterOptions,
): Dropped | undefined {
  for (const rule of rules) {
    const detail = objection(rule, candidate, options);
    if (detail === null) continue;
    const { id, user } = candidate.pair;
    return { id, reason: rule.reason, detail, ...(user === undefined ? {} : { user }) };
  }
  return undefined;
}

function objection(rule: Rule, candidate: PairCandidate, options: ResolvedFilterOptions): string | null {
  if (rule.kind === 'switch') return rule.finds(candidate) ?? null;
  const [measured, threshold] = [rule.measure(candidate), options[rule.option]];
  if (measured === undefined || threshold === null || rule.keeps(measured, threshold)) return null;
  return rule.describe(measured, threshold);
}

/** The candidates with their rewards, all at once. Those of rankings keep theirs; so do all where there is no scorer. */
export async function scoreAll(
  candidates: readonly PairCandidate[],
  scorer: RewardScorer | undefined,
  signal?: AbortSignal,
): Promise<readonly PairCandidate[]> {
  if (scorer === undefined) return candidates;
  const options = signal === undefined ? {} : { signal };
  return await Promise.all(
    candidates.map((candidate) =>
      candidate.ranking === undefined ? scoreCandidate(candidate, scorer, options) : candidate,
    ),
  );
}
