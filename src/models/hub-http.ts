/** Requests to the Hub: where the token goes, what is tried again, and what an answer means. */
import { CheckpointError } from '../errors.js';
import type { HubOptions } from './hub-options.js';

/** Why the Hub did not give a model; in `details.hub` of the CheckpointError. */
export type HubFailure =
  | 'unreachable'
  | 'offline'
  | 'unauthorized'
  | 'gated'
  | 'not-found'
  | 'corrupt'
  | 'no-space'
  | 'refused'
  | 'aborted';

export function hubError(
  failure: HubFailure,
  message: string,
  { cause, ...details }: Record<string, unknown> = {},
): CheckpointError {
  return new CheckpointError(message, {
    details: { hub: failure, ...details },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Whether an error means that the Hub could not be reached (or may not be: offline), so that another source may be tried. */
export function isHubUnreachable(error: unknown): boolean {
  return (
    error instanceof CheckpointError &&
    (error.details.hub === 'unreachable' || error.details.hub === 'offline')
  );
}

/** HubOptions with every default filled in. */
export interface HubConnection {
  endpoint: string;
  token: string | undefined;
  onProgress: NonNullable<HubOptions['onProgress']>;
  signal: AbortSignal | undefined;
  maxAttempts: number;
  retryDelayMs: number;
  stallTimeoutMs: number;
}

const MAX_REDIRECTS = 5;
const TRY_AGAIN_STATUSES = new Set([408, 429, 500, 502, 503, 504]);
/** A server may ask for a pause; longer ones than this are not waited for. */
const MAX_RETRY_AFTER_MS = 60_000;

/** A failure worth another try: the connection, a busy or broken server. */
export class PassingFailure extends Error {
  readonly waitMs: number | undefined;

  constructor(message: string, { waitMs, cause }: { waitMs?: number; cause?: unknown } = {}) {
    super(message, { cause });
    this.waitMs = waitMs;
  }
}

/**
 * Runs `attempt` until it succeeds, at most `maxAttempts` times, pausing longer each time. Only a
 * PassingFailure is tried again; when tries are used up, it becomes a CheckpointError ('unreachable').
 */
export async function withRetries<T>(
  connection: HubConnection,
  what: string,
  attempt: () => Promise<T>,
): Promise<T> {
  const { maxAttempts, retryDelayMs, signal, endpoint } = connection;
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (signal?.aborted)
        throw hubError('aborted', `Getting ${what} was stopped; the next try goes on from here.`);
      if (!(error instanceof PassingFailure)) throw error;
      if (tries >= maxAttempts) {
        throw hubError(
          'unreachable',
          `${what} could not be had from ${endpoint} in ${maxAttempts} tries: ${error.message}. ` +
            'Once it is in the cache no network is needed; a local folder or .gguf file will do as well.',
          { cause: error },
        );
      }
      await pause(error.waitMs ?? retryDelayMs * 2 ** (tries - 1), signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

export interface HubRequest {
  method?: 'GET' | 'HEAD';
  headers?: Record<string, string>;
  /** Follow redirects to other servers. Default: true; false gives the redirect itself (its headers describe the file). */
  followElsewhere?: boolean;
  /** Ends the request; combined with the connection's own signal. */
  signal?: AbortSignal;
}

/**
 * One request. Redirects are followed by hand: the token must not reach the servers that hold the files.
 * Throws PassingFailure for what may go better next time.
 */
export async function hubFetch(
  connection: HubConnection,
  url: string,
  { method = 'GET', headers = {}, followElsewhere = true, signal }: HubRequest = {},
): Promise<Response> {
  const home = new URL(connection.endpoint).origin;
  let current = new URL(url);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const ownHeaders = { 'user-agent': 'persona-dpo', 'accept-encoding': 'identity', ...headers };
    const authorization =
      connection.token !== undefined && current.origin === home
        ? { authorization: `Bearer ${connection.token}` }
        : {};
    const response = await fetchOnce(connection, current, {
      method,
      headers: { ...ownHeaders, ...authorization },
      redirect: 'manual',
      ...(signal === undefined ? {} : { signal }),
    });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) {
      if (TRY_AGAIN_STATUSES.has(response.status)) {
        await response.body?.cancel();
        throw new PassingFailure(`the server answered ${response.status}`, retryAfter(response));
      }
      return response;
    }
    const next = new URL(location, current);
    if (next.origin !== home && !followElsewhere) return response;
    await response.body?.cancel();
    current = next;
  }
  throw hubError('refused', `${new URL(url).pathname} redirects more than ${MAX_REDIRECTS} times.`);
}

async function fetchOnce(connection: HubConnection, url: URL, init: RequestInit): Promise<Response> {
  // watches the time up to the answer's head; whoever reads the body watches that
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), connection.stallTimeoutMs);
  const signals = [stalled.signal, connection.signal, init.signal].filter(
    (signal) => signal instanceof AbortSignal,
  );
  try {
    return await fetch(url, { ...init, signal: AbortSignal.any(signals) });
  } catch (cause) {
    if (stalled.signal.aborted) throw new PassingFailure(`no answer within ${connection.stallTimeoutMs} ms`);
    throw new PassingFailure(connectionProblem(cause), { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** fetch says "fetch failed" and keeps the reason in the cause. */
export function connectionProblem(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = (cause as NodeJS.ErrnoException).code;
  return code !== undefined && !cause.message.includes(code)
    ? `${cause.message || 'failed'} (${code})`
    : cause.message;
}

function retryAfter(response: Response): { waitMs?: number } {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return seconds >= 0 ? { waitMs: Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) } : {};
}

/** Turns an answer that is no success into the error that tells a person what to do. */
export async function refuseFailedAnswer(response: Response, what: string, hasToken: boolean): Promise<void> {
  if (response.ok || (response.status >= 300 && response.status < 400)) return;
  await response.body?.cancel();
  const { status } = response;
  // the Hub's own word for what happened; it answers 401 for repositories that don't exist, too
  const word = response.headers.get('x-error-code');
  if (word === 'GatedRepo') {
    throw hubError(
      'gated',
      `${what} is gated: accept its conditions on its page, then set HF_TOKEN to a token of that account.`,
      { status },
    );
  }
  if (status === 401 || status === 403) {
    throw hubError(
      'unauthorized',
      hasToken
        ? `${what}: the token does not give access (${status}), or there is no such repository.`
        : `${what}: there is no such repository, or it is private or gated (${status}); for those, set HF_TOKEN.`,
      { status },
    );
  }
  if (status === 404) {
    const part =
      word === 'RevisionNotFound'
        ? 'such revision'
        : word === 'EntryNotFound'
          ? 'such file'
          : 'such repository or revision';
    throw hubError('not-found', `${what}: there is no ${part} on the Hub (404).`, { status });
  }
  throw hubError('refused', `${what}: the Hub answered ${status}.`, { status });
}
