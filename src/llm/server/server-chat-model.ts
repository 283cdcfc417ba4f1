/** Any OpenAI-compatible server as a chat model. */
import type OpenAI from 'openai';
import { encodePrompt } from '../../data/prompt.js';
import { loadTokenizer, type Tokenizer } from '../../data/tokenizer.js';
import { ConfigError, DataError, LlmApiError } from '../../errors.js';
import { type Answer, answerConcurrently } from '../answer-concurrently.js';
import type { ChatModel, ChatReply, ChatRequest, LabelReply, LabelRequest } from '../chat-model.js';
import { plainMessages } from '../plain-messages.js';
import { checkLabels, resolveSampling } from '../sampling.js';
import { tooLong } from '../too-long.js';
import { UsageMeter } from '../usage-meter.js';
import { Budget, type Estimate } from './budget.js';
import { type Completion, cutAtStop, type ReadReply } from './completion.js';
import { readReply, readWhole } from './completion-requests.js';
import { estimateTokens, TOKENS_AROUND_MESSAGE } from './estimate-tokens.js';
import { failureError } from './failures.js';
import { differAtOnce, FIRST_TOKEN, firstTokenScores, givenReplyScores, IN_WORDS } from './label-scores.js';
import { isOpenToOthers, type ServerChatModelOptions } from './options.js';
import { BodyWriter, type RequestBody } from './request-body.js';
import { RequestFailed, ServerConnection } from './server-connection.js';
import { askContextTokens } from './server-models.js';

export interface ServerCallOptions {
  /** The key itself; it is sent to the server and nowhere else: not printed, not written, in no error. */
  apiKey?: string | undefined;
  /** Ends the first question, for the length of the context. */
  signal?: AbortSignal | undefined;
}

/** Requests that fail before any has succeeded: from here on the fault is not theirs. */
const HOPELESS = 10;

/** How servers say that prompt and reply together are too long. */
const TOO_LONG = /context|too long|maximum.{0,20}(length|tokens)|max_model_len|exceed/i;

/**
 * Asks an OpenAI-compatible server by chat completions, whose chat template puts the messages into the model's words.
 *
 * What may go better next time (no connection, a time limit, 408, 409, 425, 429, 5xx, an answer cut off or not
 * understood) is tried again, after growing pauses with jitter, and not before the time that `retry-after-ms` or
 * `retry-after` asks for, to which all requests keep. 400, 413, 422 and the like, and what still fails after the last
 * try, are an outcome with an error. Thrown is what is wrong with the server as a whole: no connection, 401, 402, 403,
 * 404, a redirect, an account without money, a spending limit reached, or ten failures before the first success.
 *
 * Fields that a server refuses by name and a reply does not hang on (`stream_options`, `seed`) are left out from then
 * on; `max_tokens` becomes `max_completion_tokens` where it asks for that.
 *
 * @throws ConfigError where the key would go over plain http to another machine, or the length of the context is not
 * known; LlmApiError where the server cannot be reached
 */
export async function createServerChatModel(
  options: ServerChatModelOptions,
  { apiKey, signal }: ServerCallOptions = {},
): Promise<ChatModel> {
  const { baseUrl, model, apiKeyVariable, allowKeyOverHttp, contextTokens, tokenizer } = options;
  const connection = new ServerConnection(options, apiKeyVariable === null ? undefined : apiKey);
  try {
    if (connection.hasKey && isOpenToOthers(baseUrl) && !allowKeyOverHttp) {
      throw new ConfigError(
        `The key from ${apiKeyVariable} would go to ${baseUrl} over plain http, readable on the way. Use https, ` +
          'send no key (apiKeyVariable: null), or allow it (allowKeyOverHttp: true).',
      );
    }
    return new ServerChatModel(
      options,
      connection,
      contextTokens ?? (await askContextTokens(connection, model, signal ?? new AbortController().signal)),
      tokenizer === null ? undefined : loadTokenizer(tokenizer),
    );
  } catch (error) {
    connection.close();
    throw error;
  }
}

class ServerChatModel implements ChatModel {
  readonly identity: string;
  readonly contextTokens: number;
  readonly #options: ServerChatModelOptions;
  readonly #connection: ServerConnection;
  readonly #tokenizer: Tokenizer | undefined;
  readonly #writer: BodyWriter;
  readonly #budget: Budget;
  readonly #meter: UsageMeter;
  #succeeded = false;
  #failed = 0;

  constructor(
    options: ServerChatModelOptions,
    connection: ServerConnection,
    contextTokens: number,
    tokenizer: Tokenizer | undefined,
  ) {
    const { name, baseUrl, model, extraBody, maxCost, maxTokensTotal } = options;
    this.identity = `server ${name ?? baseUrl}, model ${model}, fields ${JSON.stringify(extraBody)}`;
    this.contextTokens = contextTokens;
    this.#options = options;
    this.#connection = connection;
    this.#tokenizer = tokenizer;
    this.#writer = new BodyWriter(options);
    const prices = pricesOf(options);
    this.#budget = new Budget({ maxCost, maxTokensTotal, prices });
    this.#meter = new UsageMeter(prices);
  }

  generate: ChatModel['generate'] = (requests, { signal } = {}) =>
    answerConcurrently(requests, (request, stop) => this.#chat(request, stop), {
      ...{ concurrency: this.#options.concurrency, signal },
    });

  scoreLabels: ChatModel['scoreLabels'] = (requests, { signal } = {}) =>
    answerConcurrently(requests, (request, stop) => this.#score(request, stop), {
      ...{ concurrency: this.#options.concurrency, signal },
    });

  countTokens(text: string): number {
    return this.#tokenizer?.encode(text).length ?? estimateTokens(text);
  }

  usage() {
    return this.#meter.usage();
  }

  async dispose(): Promise<void> {
    this.#connection.close();
  }

  async #chat(request: ChatRequest, signal: AbortSignal): Promise<Answer<ChatReply>> {
    const { messages } = request;
    const sampling = resolveSampling(request.sampling);
    const promptTokens = this.#countPrompt(messages);
    const room = this.contextTokens - promptTokens;
    // An estimate is mostly too large: the server decides about what may just fit.
    const exact = this.#tokenizer !== undefined;
    if (exact && room < 1) {
      return this.#giveUp(tooLong(request.id, promptTokens, this.contextTokens));
    }
    const most = exact ? Math.min(sampling.maxTokens, room) : sampling.maxTokens;
    const body = (maxTokens: number) => () => this.#writer.chat(messages, sampling, maxTokens);
    return this.#paid(request, { promptTokens, completionTokens: most }, signal, async () => {
      let reply: ReadReply;
      try {
        reply = await this.#ask(body(most), readReply, signal);
      } catch (error) {
        const shorter = refusedForLength(error) && room >= 1 && room < most;
        if (!shorter) throw error;
        reply = await this.#ask(body(room), readReply, signal);
      }
      const { text, finishReason, usage } = cutAtStop(reply, sampling.stop);
      const tokens = {
        promptTokens: usage?.prompt_tokens ?? promptTokens,
        completionTokens: usage?.completion_tokens ?? this.countTokens(text),
      };
      return { reply: { text, finishReason, ...tokens, cached: false }, tokens };
    });
  }

  async #score(request: LabelRequest, signal: AbortSignal): Promise<Answer<LabelReply>> {
    const { id, messages, labels } = request;
    checkLabels(labels);
    const promptTokens = this.#countPrompt(messages);
    const times = differAtOnce(labels) ? 1 : labels.length;
    const estimate = { promptTokens: times * promptTokens, completionTokens: times };
    return this.#paid(request, estimate, signal, async () => {
      const tokens = { promptTokens: 0, completionTokens: 0 };
      const ask = async (asked: readonly object[], fields: RequestBody) => {
        const completion = await this.#askOneToken(asked, fields, signal);
        tokens.promptTokens += completion.usage?.prompt_tokens ?? promptTokens;
        tokens.completionTokens += completion.usage?.completion_tokens ?? 1;
        return completion;
      };
      const scores = differAtOnce(labels)
        ? firstTokenScores(await ask(plainMessages(messages), FIRST_TOKEN), labels, this.#tokenizer)
        : await givenReplyScores(messages, labels, ask);
      if (scores !== null) return { reply: { ...scores, cached: false }, tokens };
      const error = `Request ${id}: none of the labels ${JSON.stringify(labels)} is among the likeliest beginnings of the reply.`;
      return { error: new LlmApiError(error, { retryable: false }), tokens };
    });
  }

  /** Asks within the spending limit, and books what was taken. */
  async #paid<Reply>(
    { id }: { id: string },
    estimate: Estimate,
    signal: AbortSignal,
    ask: () => Promise<{ tokens: Estimate } & ({ reply: Reply } | { error: LlmApiError })>,
  ): Promise<Answer<Reply>> {
    const reservation = await this.#budget.admit(estimate, signal);
    if (reservation === null) return { last: this.#budget.exceeded(estimate) };
    let tokens: Estimate = { promptTokens: 0, completionTokens: 0 };
    try {
      const answered = await ask();
      tokens = answered.tokens;
      this.#succeeded = true;
      this.#meter.count({ ...tokens, failed: 'error' in answered ? 1 : 0 });
      return answered;
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error;
      return this.#giveUp(failureError(error.failure, `Request ${id} failed`, error.tries));
    } finally {
      reservation.settle(tokens);
    }
  }

  #giveUp(error: LlmApiError): { error: LlmApiError } {
    this.#meter.count({ failed: 1 });
    if (!this.#succeeded && ++this.#failed >= HOPELESS) {
      const { baseUrl } = this.#options;
      const { status, body, retryable } = error;
      throw new LlmApiError(
        `${baseUrl} has answered none of the first ${HOPELESS} requests. The last one: ${error.message}`,
        { retryable, ...(status === undefined ? {} : { status }), ...(body === undefined ? {} : { body }) },
      );
    }
    return { error };
  }

  /** Asks, and once more where the server's refusal teaches how. */
  async #ask<Result>(
    write: () => RequestBody,
    read: (client: OpenAI, body: RequestBody, signal: AbortSignal) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    for (;;) {
      const body = write();
      try {
        return await this.#connection.ask((client, stop) => read(client, body, stop), { signal });
      } catch (error) {
        const learned = error instanceof RequestFailed && this.#writer.learnFrom(error.failure, body);
        if (!learned) throw error;
      }
    }
  }

  async #askOneToken(
    messages: readonly object[],
    fields: RequestBody,
    signal: AbortSignal,
  ): Promise<Completion> {
    try {
      return await this.#ask(() => this.#writer.oneToken(messages, fields), readWhole, signal);
    } catch (error) {
      const refused = error instanceof RequestFailed && /logprobs/.test(error.failure.body ?? '');
      if (!refused) throw error;
      throw new ConfigError(
        `The server gives no log-probabilities, so that labels cannot be scored: ${error.failure.reason}. ${IN_WORDS}`,
      );
    }
  }

  #countPrompt(messages: ChatRequest['messages']): number {
    if (this.#tokenizer?.chatTemplate != null) {
      try {
        return encodePrompt(messages, this.#tokenizer).length;
      } catch (error) {
        // The server's template may take what this one refuses.
        if (!(error instanceof DataError)) throw error;
      }
    }
    return messages.reduce((sum, { content }) => sum + this.countTokens(content) + TOKENS_AROUND_MESSAGE, 0);
  }
}

function pricesOf({
  pricePerMillionPromptTokens: prompt,
  pricePerMillionCompletionTokens: completion,
}: ServerChatModelOptions) {
  return prompt === null || completion === null ? null : { prompt, completion };
}

function refusedForLength(error: unknown): boolean {
  if (!(error instanceof RequestFailed)) return false;
  const { status, body = '' } = error.failure;
  return (status === 400 || status === 413 || status === 422) && TOO_LONG.test(body);
}
