/** Between the server's models and chat models: either can stand in for the other. */

import { setMaxListeners } from 'node:events';
import { LlmApiError } from '../errors.js';
import { type Answer, answerConcurrently } from '../llm/answer-concurrently.js';
import type { ChatModel, ChatReply, ChatRequest } from '../llm/chat-model.js';
import { resolveSampling } from '../llm/sampling.js';
import { UsageMeter } from '../llm/usage-meter.js';
import type { AnswerEvent, AnswerRequest, ServedModel } from './served-model.js';

export interface ServedChatModelOptions {
  /** What requests call it. */
  name: string;
  /** Answers that are asked for at a time. Default 16. */
  maxBatch?: number;
}

/** A chat model, such as one behind another server, as one of this server's. An answer comes in one piece. */
export function servedChatModel(
  model: ChatModel,
  { name, maxBatch = 16 }: ServedChatModelOptions,
): ServedModel {
  return {
    ...{ name, maxBatch },
    contextTokens: model.contextTokens,
    countTokens: (text) => model.countTokens(text),
    async *answer({ messages, samples, sampling }: AnswerRequest, signal: AbortSignal) {
      yield { type: 'start' } as const;
      // Seeds of their own, or a model that repeats itself would give the same answer each time.
      const requests: ChatRequest[] = Array.from({ length: samples }, (_, sample) => ({
        id: `sample ${sample}`,
        messages,
        sampling: { ...sampling, seed: (sampling.seed + sample) % Number.MAX_SAFE_INTEGER },
      }));
      for await (const { index: sample, reply, error } of model.generate(requests, { signal })) {
        if (error !== undefined) throw error;
        const { text, finishReason, promptTokens, completionTokens } = reply;
        if (text !== '') yield { type: 'text', sample, text } as const;
        yield { type: 'end', sample, finishReason, promptTokens, completionTokens } as const;
      }
    },
  };
}

/** One of the server's models as a chat model: its requests are answered in one batch with those of the clients. */
export function chatModelOf(served: ServedModel): ChatModel {
  const meter = new UsageMeter();
  return {
    identity: `served ${served.name}`,
    contextTokens: served.contextTokens,
    generate: (requests, { signal } = {}) =>
      answerConcurrently(requests, (request, ending) => reply(served, request, ending, meter), {
        concurrency: served.maxBatch,
        signal,
      }),
    // biome-ignore lint/correctness/useYield: there is nothing to give.
    async *scoreLabels() {
      throw new LlmApiError('A served model does not score labels.', { retryable: false });
    },
    countTokens: (text) => served.countTokens(text),
    usage: () => meter.usage(),
    async dispose() {},
  };
}

async function reply(
  served: ServedModel,
  { messages, sampling }: ChatRequest,
  signal: AbortSignal,
  meter: UsageMeter,
): Promise<Answer<ChatReply>> {
  setMaxListeners(0, signal);
  const request = { messages, samples: 1, sampling: resolveSampling(sampling) };
  try {
    const { text, end } = await wholeAnswer(served.answer(request, signal));
    const { finishReason, promptTokens, completionTokens } = end;
    meter.count({ promptTokens, completionTokens });
    return { reply: { text, finishReason, promptTokens, completionTokens, cached: false } };
  } catch (error) {
    if (!(error instanceof LlmApiError)) throw error;
    meter.count({ requests: 0, failed: 1 });
    return { error };
  }
}

async function wholeAnswer(events: AsyncIterable<AnswerEvent>) {
  let text = '';
  for await (const event of events) {
    if (event.type === 'text') text += event.text;
    else if (event.type === 'end') return { text, end: event };
  }
  throw new LlmApiError('The model gave no answer.', { retryable: true });
}
