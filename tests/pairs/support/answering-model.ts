import { LlmApiError } from '../../../src/errors.js';
import type { ChatModel, ChatReply, ChatRequest, Outcome } from '../../../src/llm/chat-model.js';

/** What the model says: a text, a reply in parts, or an error. */
export type Said = string | Partial<ChatReply> | LlmApiError;

export interface AnsweringModel extends ChatModel {
  /** All requests, in the order in which they were read. */
  readonly requests: ChatRequest[];
  /** How many requests each call of `generate` had. */
  readonly calls: number[];
}

export interface AnsweringModelOptions {
  contextTokens?: number;
  /** Requests that are read before any is answered; they are answered last one first. */
  window?: number;
}

/** A chat model that says what a function says; a word is a token. */
export function answeringModel(
  say: (request: ChatRequest) => Said,
  { contextTokens = 8192, window = 4 }: AnsweringModelOptions = {},
): AnsweringModel {
  const requests: ChatRequest[] = [];
  const calls: number[] = [];

  function outcome(request: ChatRequest, index: number): Outcome<ChatReply> {
    const said = say(request);
    if (said instanceof LlmApiError) return { index, id: request.id, error: said };
    const parts = typeof said === 'string' ? { text: said } : said;
    const reply = { text: '', finishReason: 'stop', promptTokens: 10, completionTokens: 5, cached: false };
    return { index, id: request.id, reply: { ...reply, ...parts } as ChatReply };
  }

  return {
    identity: 'fake/answering@1',
    contextTokens,
    requests,
    calls,
    async *generate(iterable) {
      const call = calls.push(0) - 1;
      let waiting: { request: ChatRequest; index: number }[] = [];
      for await (const request of iterable) {
        requests.push(request);
        waiting.push({ request, index: calls[call] as number });
        calls[call] = (calls[call] as number) + 1;
        if (waiting.length < window) continue;
        for (const each of waiting.reverse()) yield outcome(each.request, each.index);
        waiting = [];
      }
      for (const each of waiting.reverse()) yield outcome(each.request, each.index);
    },
    // biome-ignore lint/correctness/useYield: this model scores nothing.
    async *scoreLabels() {
      throw new Error('This model only answers.');
    },
    countTokens: (text) => text.split(/\s+/).filter((word) => word !== '').length,
    usage: () => ({
      requests: requests.length,
      cached: 0,
      failed: 0,
      promptTokens: 0,
      completionTokens: 0,
      cost: null,
    }),
    dispose: async () => {},
  };
}

/** An error as a server gives it. */
export function apiError(message: string): LlmApiError {
  return new LlmApiError(message, { retryable: false, status: 400 });
}
