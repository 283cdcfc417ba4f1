/** Tries of requests to one server: how many at a time and how often, until when, and what is tried again. */
import OpenAI, { APIUserAbortError } from 'openai';
import PQueue from 'p-queue';
import pRetry from 'p-retry';
import { LlmApiError } from '../../errors.js';
import { FailedTry, type Failure, failureError, failureOf } from './failures.js';
import { Connections, httpFetch } from './http-fetch.js';
import type { ServerChatModelOptions } from './options.js';
import { createSecret, type Secret } from './secret.js';

/** A request whose failure is told to the caller rather than thrown: another one may do better. */
export class RequestFailed extends Error {
  readonly failure: Failure;
  readonly tries: number;

  constructor(failure: Failure, tries: number) {
    super(failure.reason);
    this.failure = failure;
    this.tries = tries;
  }
}

/** One try: `client` for this try alone, whose requests end when `signal` says so. */
export type Try<Result> = (client: OpenAI, signal: AbortSignal) => Promise<Result>;

export interface AskOptions {
  signal: AbortSignal;
  /** Default: the options' `maxRetries`. */
  maxRetries?: number;
}

export class ServerConnection {
  readonly #options: ServerChatModelOptions;
  readonly #secret: Secret;
  readonly #connections = new Connections();
  readonly #queue: PQueue;
  /** Nothing is sent before: a server asked for it. In milliseconds since the epoch. */
  #notBefore = 0;
  /** Tries in a row, over all requests, that found nobody or got no sign of life. */
  #unanswered = 0;
  /** When the server last said anything. */
  #lastAnswer = 0;

  constructor(options: ServerChatModelOptions, apiKey: string | undefined) {
    this.#options = options;
    this.#secret = createSecret(apiKey, options.apiKeyVariable ?? 'the environment');
    const { concurrency, requestsPerMinute } = options;
    const pace = requestsPerMinute === null ? {} : { intervalCap: 1, interval: 60_000 / requestsPerMinute };
    this.#queue = new PQueue({ concurrency, ...pace });
  }

  get hasKey(): boolean {
    return this.#secret.key !== undefined;
  }

  /** Text as it may be shown. */
  hide(text: string): string {
    return this.#secret.hide(text);
  }

  /**
   * Runs `attempt` until it succeeds, with growing pauses in between.
   *
   * @throws RequestFailed where only this request failed; LlmApiError where every further one would; the signal's reason
   */
  async ask<Result>(attempt: Try<Result>, { signal, maxRetries }: AskOptions): Promise<Result> {
    const { retryDelayMs, maxRetryDelayMs } = this.#options;
    let tries = 0;
    let firstFailure = Number.POSITIVE_INFINITY;
    try {
      return await pRetry(
        () => {
          tries++;
          return this.#inTurn(attempt, signal);
        },
        {
          retries: maxRetries ?? this.#options.maxRetries,
          ...{ factor: 2, minTimeout: retryDelayMs, maxTimeout: maxRetryDelayMs, randomize: true, signal },
          onFailedAttempt: () => {
            firstFailure = Math.min(firstFailure, Date.now());
          },
          shouldRetry: ({ error }) => error instanceof FailedTry && error.failure.retryable,
        },
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof FailedTry)) throw error;
      throw this.#finalError(error.failure, tries, firstFailure);
    }
  }

  close(): void {
    this.#queue.clear();
    this.#connections.close();
  }

  async #inTurn<Result>(attempt: Try<Result>, signal: AbortSignal): Promise<Result> {
    return (await this.#queue.add(
      async () => {
        await pause(this.#notBefore - Date.now(), signal);
        return this.#once(attempt, signal);
      },
      { signal },
    )) as Result;
  }

  /** One try within its time limits; whatever goes wrong becomes a FailedTry. */
  async #once<Result>(attempt: Try<Result>, signal: AbortSignal): Promise<Result> {
    const watch = new Watch(this.#options, signal);
    let body: string | undefined;
    const onBytes = () => {
      watch.touch();
      this.#unanswered = 0;
      this.#lastAnswer = Date.now();
    };
    const client = this.#client({ onBytes, onFailureBody: (text) => (body = text) });
    try {
      const result = await attempt(client, watch.signal);
      // The package ends a stream that is aborted as if it were whole.
      watch.signal.throwIfAborted();
      return result;
    } catch (error) {
      signal.throwIfAborted();
      const cause = watch.timedOut ?? (error instanceof APIUserAbortError ? watch.signal.reason : error);
      if (cause instanceof LlmApiError) throw cause;
      const failure = failureOf(cause, {
        secret: this.#secret,
        body,
        apiKeyVariable: this.#options.apiKeyVariable ?? 'the environment variable that apiKeyVariable names',
        now: Date.now(),
      });
      this.#takeNote(failure);
      throw new FailedTry({ ...failure, reason: this.hide(failure.reason) });
    } finally {
      watch.end();
    }
  }

  #client(hooks: { onBytes: () => void; onFailureBody: (body: string) => void }): OpenAI {
    const { baseUrl, connectTimeoutMs, timeoutMs } = this.#options;
    const { key } = this.#secret;
    return new OpenAI({
      baseURL: baseUrl,
      // Everything the package would otherwise read from the environment is given.
      apiKey: key ?? 'none',
      ...{ adminAPIKey: null, organization: null, project: null, webhookSecret: null, logLevel: 'off' },
      ...(key === undefined ? { defaultHeaders: { Authorization: null } } : {}),
      maxRetries: 0,
      // Ours come first; the package's own only has to be no shorter.
      timeout: timeoutMs + 60_000,
      fetch: httpFetch({ connections: this.#connections, connectTimeoutMs, ...hooks }),
    });
  }

  /** @throws LlmApiError where going on is pointless */
  #takeNote(failure: Failure): void {
    const { maxRetryAfterMs, maxConnectionFailures, baseUrl } = this.#options;
    if (failure.kind !== 'answer' && ++this.#unanswered >= maxConnectionFailures) {
      throw failureError(failure, `${baseUrl} does not answer any more`, this.#unanswered);
    }
    if (failure.waitMs === undefined) return;
    if (failure.waitMs > maxRetryAfterMs) {
      const seconds = Math.round(failure.waitMs / 1000);
      const long = `${baseUrl} wants no further request for ${seconds} s, longer than maxRetryAfterMs`;
      throw failureError({ ...failure, retryable: true }, long, 1);
    }
    this.#notBefore = Math.max(this.#notBefore, Date.now() + failure.waitMs);
  }

  /** Of the server where it has said nothing to anyone since this request first failed. */
  #finalError(failure: Failure, tries: number, firstFailure: number): RequestFailed | LlmApiError {
    const { baseUrl } = this.#options;
    if (failure.of === 'server') return failureError(failure, `${baseUrl} cannot be used`, tries);
    if (failure.kind === 'connection' && this.#lastAnswer < firstFailure) {
      return failureError(failure, `${baseUrl} cannot be reached`, tries);
    }
    return new RequestFailed(failure, tries);
  }
}

/** Ends a try that takes too long, or of which nothing has been heard for too long. */
class Watch {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #stallTimeoutMs: number;
  readonly #total: NodeJS.Timeout;
  #stall: NodeJS.Timeout;
  timedOut: FailedTry | undefined;

  constructor({ stream, stallTimeoutMs, timeoutMs }: ServerChatModelOptions, outer: AbortSignal) {
    this.#outer = outer;
    // A whole answer comes when it is finished; until then there is nothing to be heard.
    this.#stallTimeoutMs = stream ? stallTimeoutMs : timeoutMs;
    outer.addEventListener('abort', this.#abort, { once: true });
    this.#total = setTimeout(() => {
      this.#end({ kind: 'answer', reason: `the reply was not complete within ${timeoutMs} ms (timeoutMs)` });
    }, timeoutMs);
    this.#stall = this.#startStall();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  touch(): void {
    clearTimeout(this.#stall);
    this.#stall = this.#startStall();
  }

  end(): void {
    clearTimeout(this.#total);
    clearTimeout(this.#stall);
    this.#outer.removeEventListener('abort', this.#abort);
  }

  readonly #abort = () => this.#controller.abort(this.#outer.reason);

  #startStall(): NodeJS.Timeout {
    return setTimeout(() => {
      const reason = `nothing came for ${this.#stallTimeoutMs} ms (stallTimeoutMs)`;
      this.#end({ kind: 'silence', reason });
    }, this.#stallTimeoutMs);
  }

  #end(failure: Pick<Failure, 'kind' | 'reason'>): void {
    this.timedOut ??= new FailedTry({ of: 'request', retryable: true, ...failure });
    this.#controller.abort(this.timedOut);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
