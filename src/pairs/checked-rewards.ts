import { PersonaDpoError } from '../errors.js';
import type { RewardScorer, ScoreRequest } from '../rewards/reward-model.js';

/**
 * The rewards of a request's candidates.
 *
 * @param what Names the request in errors: `pair 3`, `prompt c#0`
 * @throws PersonaDpoError (`SCORES`) where the scorer gives anything but one finite number for each candidate
 */
export async function checkedRewards(
  scorer: RewardScorer,
  request: ScoreRequest,
  { what, signal }: { what: string; signal?: AbortSignal },
): Promise<number[]> {
  const scores = await scorer.score(request, signal === undefined ? {} : { signal });
  const { length } = request.candidates;
  if (scores.length === length && scores.every(Number.isFinite)) return scores;
  throw new PersonaDpoError(
    'SCORES',
    `${scorer.identity} was given ${length} answers of ${what} and should give as many finite scores, it gave ${JSON.stringify(scores)}.`,
  );
}
