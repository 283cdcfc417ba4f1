/** The rewards of a candidate pair's two answers, which two thresholds of the quality filter compare. */

import { PersonaDpoError } from '../../errors.js';
import type { RewardScorer } from '../../rewards/reward-model.js';
import { answerText, type PairCandidate } from './candidate.js';

/**
 * The candidate with the rewards of its two answers.
 *
 * @throws PersonaDpoError (`SCORES`) where the scorer gives anything but two finite numbers
 */
export async function scoreCandidate(
  candidate: PairCandidate,
  scorer: RewardScorer,
  options: { signal?: AbortSignal },
): Promise<PairCandidate> {
  const { pair } = candidate;
  const { prompt, persona } = pair;
  const candidates = [answerText(pair.chosen), answerText(pair.rejected)];
  const request = { prompt, candidates, ...(persona === undefined ? {} : { persona }) };
  const scores = await scorer.score(request, options);
  const [chosen, rejected] = scores;
  if (scores.length !== 2 || !Number.isFinite(chosen) || !Number.isFinite(rejected)) {
    throw new PersonaDpoError(
      'SCORES',
      `${scorer.identity} was given two answers of pair ${pair.id} and should give two finite scores, it gave ${JSON.stringify(scores)}.`,
    );
  }
  return {
    ...candidate,
    pair: { ...pair, scores: { chosen: chosen as number, rejected: rejected as number } },
  };
}
