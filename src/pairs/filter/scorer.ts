/** Who gives the rewards that two thresholds of the quality filter compare. */
import type { Message } from '../../data/pairs.js';
import { PersonaDpoError } from '../../errors.js';
import { answerText, type PairCandidate } from './candidate.js';

/** Answers to one conversation, to be scored for one user. */
export interface ScoreRequest {
  prompt: readonly Message[];
  /** What is known of the user (section 2.4); absent for nothing. */
  persona?: string;
  candidates: readonly string[];
}

/** A reward model, as the filter sees it. Requests may come many at a time. */
export interface PairScorer {
  /** Everything about it that its scores depend on, as one line. */
  readonly identity: string;
  /** The reward of each candidate, in their order; higher is better. */
  score(request: ScoreRequest, options?: { signal?: AbortSignal }): Promise<number[]>;
}

/**
 * The candidate with the rewards of its two answers.
 *
 * @throws PersonaDpoError (`SCORES`) where the scorer gives anything but two finite numbers
 */
export async function scoreCandidate(
  candidate: PairCandidate,
  scorer: PairScorer,
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
