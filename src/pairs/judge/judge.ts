/** A model that tells which of a few verdicts holds, in words or by the likelihood of each. */

import type { Message } from '../../data/pairs.js';
import type { ChatModel, GenerateCallOptions } from '../../llm/chat-model.js';

/** What a verdict is asked about. */
export interface Case {
  /** Names the request in errors. */
  id: string;
  /** The user whose words it holds. */
  owner: string;
  messages: readonly Message[];
}

/** What came of a case: a verdict, or the problem; and what it rests on. */
export interface Judgement<Verdict extends string> {
  verdict?: Verdict;
  problem?: string;
  /** What the model said last, where it was asked in words. */
  reply?: string;
  /** log p of each verdict's label, nats, where it was asked by likelihood. */
  logprobs?: Record<Verdict, number>;
  /** What was subtracted from `logprobs` before the largest was taken; absent without calibration. */
  prior?: Record<Verdict, number>;
}

/** How verdicts are written, in prompts and replies. */
export interface VerdictWords<Verdict extends string> {
  /** In a fixed order; where two are as likely, the earlier holds. */
  verdicts: readonly Verdict[];
  /** The word that prompts use, first, as it is written there; then what else is understood. */
  words: Readonly<Record<Verdict, readonly [string, ...string[]]>>;
}

export interface JudgeOptions extends GenerateCallOptions {
  /** Called once for each case, as soon as nothing more will be asked about it. */
  onJudged?: () => void;
}

export interface Judge<Verdict extends string> {
  readonly model: ChatModel;
  /** Judgements in the order of the cases. */
  judge(cases: readonly Case[], options?: JudgeOptions): Promise<Judgement<Verdict>[]>;
}
