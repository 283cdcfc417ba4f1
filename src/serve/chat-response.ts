/** Answers in the shapes of the OpenAI API: one object, or a stream of pieces of it. */

import type { ApiError } from './api-error.js';
import type { AnswerEnd, AnswerEvent } from './served-model.js';

/** What all pieces of one response say of themselves. */
export interface ResponseHead {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

type FinishReason = 'stop' | 'length' | 'content_filter';

/** Counts the tokens of a response from the ends of its answers; the prompt counts once. */
export class UsageCount {
  #prompt = 0;
  #completion = 0;

  add({ promptTokens, completionTokens }: AnswerEnd): void {
    this.#prompt = promptTokens;
    this.#completion += completionTokens;
  }

  usage(): Usage {
    const [prompt, completion] = [this.#prompt, this.#completion];
    return {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
    };
  }
}

/** The whole response, once all answers have ended. */
export async function completion(
  head: ResponseHead,
  events: AsyncIterable<AnswerEvent>,
  samples: number,
  count: UsageCount,
): Promise<object> {
  const texts = Array.from({ length: samples }, () => '');
  const reasons: FinishReason[] = [];
  for await (const event of events) {
    if (event.type === 'text') texts[event.sample] += event.text;
    else if (event.type === 'end') {
      reasons[event.sample] = reasonOf(event);
      count.add(event);
    }
  }
  return {
    ...{ id: head.id, object: 'chat.completion', created: head.created, model: head.model },
    choices: texts.map((content, index) => ({
      index,
      message: { role: 'assistant', content, refusal: null },
      logprobs: null,
      finish_reason: reasons[index],
    })),
    usage: count.usage(),
  };
}

/** The response's pieces as server-sent events, without the end of the stream. */
export async function* chunks(
  head: ResponseHead,
  events: AsyncIterable<AnswerEvent>,
  { samples, includeUsage }: { samples: number; includeUsage: boolean },
  count: UsageCount,
): AsyncGenerator<string, void, void> {
  const chunk = (choices: object[], usage: Usage | null = null) =>
    serverEvent({
      ...{ id: head.id, object: 'chat.completion.chunk', created: head.created, model: head.model },
      choices,
      ...(includeUsage ? { usage } : {}),
    });
  const choice = (index: number, delta: object, reason: FinishReason | null = null) =>
    chunk([{ index, delta, logprobs: null, finish_reason: reason }]);
  for (let sample = 0; sample < samples; sample++) yield choice(sample, { role: 'assistant', content: '' });
  for await (const event of events) {
    if (event.type === 'text') yield choice(event.sample, { content: event.text });
    else if (event.type === 'end') {
      count.add(event);
      yield choice(event.sample, {}, reasonOf(event));
    }
  }
  if (includeUsage) yield chunk([], count.usage());
}

export const END_OF_STREAM = 'data: [DONE]\n\n';

/** What a client is told of an error when the stream has begun and the status cannot say it any more. */
export function errorEvent(error: ApiError): string {
  return serverEvent(error.toBody());
}

function serverEvent(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function reasonOf({ finishReason }: AnswerEnd): FinishReason {
  return finishReason === 'filtered' ? 'content_filter' : finishReason;
}
