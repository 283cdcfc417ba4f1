/** A model of the server that answers as a test tells it, when the test lets it. */

import { LlmApiError } from '../../src/errors.js';
import type { AnswerEvent, AnswerRequest, ServedModel } from '../../src/serve/served-model.js';

export interface EchoModel extends ServedModel {
  /** All requests, in the order in which they came. */
  readonly asked: AnswerRequest[];
  /** Requests that are being answered now. */
  readonly active: number;
  /** Lets held answers go on; see {@link EchoOptions.hold}. */
  release(): void;
}

export interface EchoOptions {
  name?: string;
  maxBatch?: number;
  contextTokens?: number;
  /** Answers say their first word and then wait to be released, or for the end of their request. */
  hold?: boolean;
  /** The answer. Default: all messages, each as `role: content`. */
  say?: (request: AnswerRequest) => string;
}

/** A word is a token. */
export function echoModel({
  name = 'echo',
  maxBatch = 2,
  contextTokens = 200,
  hold = false,
  say = ({ messages }) => messages.map(({ role, content }) => `${role}: ${content}`).join('\n'),
}: EchoOptions = {}): EchoModel {
  const asked: AnswerRequest[] = [];
  let active = 0;
  let release = () => {};
  const released = hold ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve();
  const words = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;

  async function* answer(request: AnswerRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const promptTokens = request.messages.reduce((sum, { content }) => sum + words(content), 0);
    if (promptTokens > contextTokens) {
      throw new LlmApiError(`${promptTokens} tokens are too many.`, {
        ...{ retryable: false, status: 400, details: { limit: contextTokens } },
      });
    }
    yield { type: 'start' };
    asked.push(request);
    active += 1;
    try {
      for (let sample = 0; sample < request.samples; sample++) {
        for (const text of say(request).match(/[\s\S]{1,9}/gu) ?? []) {
          signal.throwIfAborted();
          yield { type: 'text', sample, text };
          await untilEither(released, signal);
        }
        yield { type: 'end', sample, finishReason: 'stop', promptTokens, completionTokens: 3 };
      }
    } finally {
      active -= 1;
    }
  }
  return {
    ...{ name, maxBatch, contextTokens, asked, answer },
    get active() {
      return active;
    },
    release: () => release(),
    countTokens: words,
  };
}

async function untilEither(done: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    void done.then(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
  });
}
