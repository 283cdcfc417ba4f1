/** The one interface through which everything that needs rewards talks to a reward model. */

import type { Message } from '../data/pairs.js';

/** Answers to one conversation, to be scored for one user. */
export interface ScoreRequest {
  /** The context x: messages before the answer; the last is the user's. */
  prompt: readonly Message[];
  /** What is known of the user, p (section 2.4): a user-based reward. Absent: a user-agnostic one. */
  persona?: string;
  candidates: readonly string[];
}

export interface ScoreCallOptions {
  signal?: AbortSignal;
}

/**
 * Gives `r(x, p, y)` of answers `y` (Equation 2). Requests may come many at a time: whoever implements this puts them
 * together into batches as it likes, and answers each as it is ready.
 */
export interface RewardScorer {
  /** Everything that its scores depend on, as one line; part of the reward cache's keys. */
  readonly identity: string;
  /**
   * The reward of each candidate, in their order; higher is better.
   *
   * @throws DataError for a request that can't be scored (no candidates, no user message, an empty answer), and
   *   PersonaDpoError (`SCORES`) for a reward that is not finite
   */
  score(request: ScoreRequest, options?: ScoreCallOptions): Promise<number[]>;
}

/** What a reward model has done so far. */
export interface RewardUsage {
  /** Requests and candidates that the model scored; those answered by the cache are `cached` candidates. */
  requests: number;
  candidates: number;
  cached: number;
  /** Candidates whose conversation was longer than the model's context and was cut as its recipe says. */
  truncated: number;
  /** Tokens that went through the model: a context that candidates share counts once. */
  tokens: number;
}

/** A reward model that is loaded. Whoever loaded it disposes it. */
export interface RewardModel extends RewardScorer {
  /** The execution provider that it runs on, as ONNX Runtime reports it: `cpu`, `cuda`. */
  readonly executionProvider: string;
  usage(): RewardUsage;
  dispose(): Promise<void>;
}
