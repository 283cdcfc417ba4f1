/** What the server asks a model for, and how the model answers: piece by piece, many requests at a time. */

import type { Message } from '../data/pairs.js';

/** How an answer is drawn; names and meaning are those of the OpenAI API. */
export interface AnswerSampling {
  /** 0 takes the likeliest token always. */
  temperature: number;
  /** In (0, 1]. */
  topP: number;
  /** 0 for all. */
  topK: number;
  /** At most so many tokens of each answer; fewer where the model's context ends. */
  maxTokens: number;
  /** Texts that end an answer and are not part of it. */
  stop: readonly string[];
  /** With the same seed and request the same answers are drawn. */
  seed: number;
}

export interface AnswerRequest {
  messages: readonly Message[];
  /** Answers wanted. */
  samples: number;
  sampling: AnswerSampling;
}

/** How one answer ended. */
export interface AnswerEnd {
  /** `length`: cut at `maxTokens` or at the context's end; `filtered`: withheld by the model's own server. */
  finishReason: 'stop' | 'length' | 'filtered';
  promptTokens: number;
  completionTokens: number;
}

/** The pieces of an answer, joined, are its text; they hold whole characters, and nothing of a stop text. */
export type AnswerEvent =
  /** The request can be answered; nothing has been asked yet. Comes first. */
  | { type: 'start' }
  | { type: 'text'; sample: number; text: string }
  | ({ type: 'end'; sample: number } & AnswerEnd);

/** A model under the name by which requests ask for it. Whoever made it disposes what it is made from. */
export interface ServedModel {
  readonly name: string;
  /** Tokens that prompt and answer may have together. */
  readonly contextTokens: number;
  /** Answers that it works on at a time, over all requests; more wait inside it. */
  readonly maxBatch: number;
  /**
   * The answers to one request, in pieces as they come. Ending the iteration, or `signal`, ends their generation.
   *
   * @throws LlmApiError for a request that cannot be answered (too long, refused by the chat template); the signal's
   *   reason when aborted
   */
  answer(request: AnswerRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, void>;
  /** Tokens of a text: exact where the tokenizer is here, else a careful estimate. */
  countTokens(text: string): number;
}
