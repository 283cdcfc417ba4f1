/** The one interface through which every stage talks to a language model, be it local or behind a server. */

import type { Message } from '../data/pairs.js';
import type { LlmApiError } from '../errors.js';

/** How replies are drawn; names and meaning are those of OpenAI-compatible servers. */
export interface ChatSampling {
  /** 0 takes the likeliest token always. Default 0. */
  temperature?: number;
  /** In (0, 1]. Default 1. */
  topP?: number;
  /** 0 for all; not every server has it. Default 0. */
  topK?: number;
  /** At most so many tokens of a reply. Default 1024. */
  maxTokens?: number;
  /** Texts that end a reply and are not part of it. Default none. */
  stop?: readonly string[];
  /** With the same seed and request a model that can repeat itself does. Default 0. */
  seed?: number;
}

export interface ChatRequest {
  /** Names the request in progress and errors; the reply does not depend on it. */
  id: string;
  messages: readonly Message[];
  sampling?: ChatSampling;
  /** The user whose words the request holds, so that what is kept of it can be found again; the reply does not depend on it. */
  owner?: string;
}

export interface ChatReply {
  text: string;
  /** `length`: cut at `maxTokens` or at the context's end; `filtered`: withheld by the server. */
  finishReason: 'stop' | 'length' | 'filtered';
  promptTokens: number;
  completionTokens: number;
  /** From the reply cache: nothing was asked. */
  cached: boolean;
}

/** Log-likelihoods of labels as the reply to `messages`. */
export interface LabelRequest {
  id: string;
  messages: readonly Message[];
  /** Texts that the reply would begin with; at least one, all different. */
  labels: readonly string[];
  /** As in {@link ChatRequest}. */
  owner?: string;
}

export interface LabelReply {
  /** `log p(label | messages)` of each label in their order, nats. */
  logprobs: number[];
  /** Tokens of each label, for who wants the mean. */
  tokens: number[];
  cached: boolean;
}

/** What came of one request of many: a reply, or why there is none. The others are not affected. */
export type Outcome<Reply> =
  | { index: number; id: string; reply: Reply; error?: undefined }
  | { index: number; id: string; reply?: undefined; error: LlmApiError };

/** What has been asked so far. */
export interface ChatUsage {
  /** Requests that reached the model; those answered by the cache are `cached`. */
  requests: number;
  cached: number;
  failed: number;
  promptTokens: number;
  completionTokens: number;
  /** In the currency of the configured prices; null where none are. */
  cost: number | null;
}

export interface GenerateCallOptions {
  signal?: AbortSignal;
}

/**
 * A chat model. Requests are handed over all at once or as they are made (an async iterable is read only as fast as
 * it is answered); outcomes come as they are ready, not in the order of the requests: `index` tells which is which.
 *
 * What only one request suffers from (too long, refused by the server's filter, still failing after all retries) is
 * an outcome with an `error`; what every further request would suffer from (no such server, wrong key, spending limit)
 * is thrown.
 */
export interface ChatModel {
  /** Everything about the model that its replies depend on, as one line; part of the reply cache's keys. */
  readonly identity: string;
  /** Tokens that prompt and reply may have together. */
  readonly contextTokens: number;
  generate(
    requests: Iterable<ChatRequest> | AsyncIterable<ChatRequest>,
    options?: GenerateCallOptions,
  ): AsyncGenerator<Outcome<ChatReply>, void, void>;
  /** @throws ConfigError where the model has no way to score given labels */
  scoreLabels(
    requests: Iterable<LabelRequest> | AsyncIterable<LabelRequest>,
    options?: GenerateCallOptions,
  ): AsyncGenerator<Outcome<LabelReply>, void, void>;
  /** Tokens of a text: exact where the tokenizer is here, else a careful estimate (never too few for English). */
  countTokens(text: string): number;
  usage(): ChatUsage;
  dispose(): Promise<void>;
}
