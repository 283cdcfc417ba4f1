/** The rewards of a candidate pair's two answers, which thresholds of the quality filter compare. */

import type { RewardScorer } from '../../rewards/reward-model.js';
import { checkedRewards } from '../checked-rewards.js';
import { answerText, type PairCandidate } from './candidate.js';

/**
 * The candidate with the rewards of its two answers.
 *
 * @throws PersonaDpoError (`SCORES`) where the scorer gives anything but two finite numbers
 */
export async function scoreCandidate(
  candidate: PairCandidate,
  scorer: RewardScorer,
  { signal }: { signal?: AbortSignal },
): Promise<PairCandidate> {
  const { pair } = candidate;
  const { prompt, persona } = pair;
  const candidates = [answerText(pair.chosen), answerText(pair.rejected)];
  const request = { prompt, candidates, ...(persona === undefined ? {} : { persona }) };
  const what = `pair ${pair.id}`;
  const [chosen, rejected] = await checkedRewards(scorer, request, { what, ...(signal && { signal }) });
  return {
    ...candidate,
    pair: { ...pair, scores: { chosen: chosen as number, rejected: rejected as number } },
  };
}
