/** A chat model that answers as a test tells it, and remembers what it was asked. */

import { LlmApiError } from '../../../src/errors.js';
import type {
  ChatModel,
  ChatReply,
  ChatRequest,
  ChatUsage,
  LabelReply,
  LabelRequest,
  Outcome,
} from '../../../src/llm/chat-model.js';

export type ScriptedReply = string | Partial<ChatReply> | LlmApiError;

export interface Script {
  /** The reply to a request; `attempt` counts the requests of the same id from 0. */
  reply?: (request: ChatRequest, attempt: number) => ScriptedReply;
  /** log p of each label. */
  score?: (request: LabelRequest) => number[] | LlmApiError;
  /** Default 8192. */
  contextTokens?: number;
  identity?: string;
}

export interface ScriptedModel extends ChatModel {
  readonly asked: ChatRequest[];
  readonly scored: LabelRequest[];
}

/** Outcomes come in the reverse order of the requests: nothing may rely on an order. A token is a word. */
export function scriptedModel(script: Script = {}): ScriptedModel {
  const asked: ChatRequest[] = [];
  const scored: LabelRequest[] = [];
  return {
    asked,
    scored,
    identity: script.identity ?? 'scripted',
    contextTokens: script.contextTokens ?? 8192,
    async *generate(requests) {
      const outcomes: Outcome<ChatReply>[] = [];
      for await (const request of requests) {
        const attempt = asked.filter(({ id }) => id === request.id).length;
        asked.push(request);
        const given = script.reply?.(request, attempt) ?? '';
        const place = { index: outcomes.length, id: request.id };
        outcomes.push(
          given instanceof LlmApiError ? { ...place, error: given } : { ...place, reply: replyOf(given) },
        );
      }
      yield* outcomes.reverse();
    },
    async *scoreLabels(requests) {
      const outcomes: Outcome<LabelReply>[] = [];
      for await (const request of requests) {
        scored.push(request);
        const given = script.score?.(request) ?? request.labels.map(() => -1);
        const place = { index: outcomes.length, id: request.id };
        outcomes.push(
          given instanceof LlmApiError
            ? { ...place, error: given }
            : { ...place, reply: { logprobs: given, tokens: given.map(() => 1), cached: false } },
        );
      }
      yield* outcomes.reverse();
    },
    countTokens: (text) => text.split(/\s+/).filter((word) => word !== '').length,
    usage: (): ChatUsage => ({
      ...{ requests: asked.length + scored.length, cached: 0, failed: 0 },
      ...{ promptTokens: 0, completionTokens: 0, cost: null },
    }),
    async dispose() {},
  };
}

function replyOf(given: string | Partial<ChatReply>): ChatReply {
  const reply = typeof given === 'string' ? { text: given } : given;
  return {
    ...{ text: '', finishReason: 'stop' as const, promptTokens: 1, completionTokens: 1, cached: false },
    ...reply,
  };
}

export function refusedRequest(message = 'too long'): LlmApiError {
  return new LlmApiError(message, { retryable: false, status: 400 });
}

/** All the text of a request. */
export function textOf({ messages }: Pick<ChatRequest, 'messages'>): string {
  return messages.map(({ content }) => content).join('\n');
}
