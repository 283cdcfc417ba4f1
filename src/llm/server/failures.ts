/** What a failed try means: for this request, for every other one, and for the next try. */
import { APIError } from 'openai';
import { LlmApiError } from '../../errors.js';
import { ConnectTimeout } from './http-fetch.js';
import { retryAfterMs } from './retry-after.js';
import type { Secret } from './secret.js';

export interface Failure {
  /** Whether only this request suffers from it, or every further one would. */
  of: 'request' | 'server';
  retryable: boolean;
  /** `connection`: nobody was there; `silence`: nothing came in time; `answer`: the server said something. */
  kind: 'connection' | 'silence' | 'answer';
  /** What happened, in words that follow a colon. */
  reason: string;
  status?: number;
  body?: string;
  waitMs?: number;
}

/** A failed try, for retrying; callers get {@link failureError}. */
export class FailedTry extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.reason);
    this.failure = failure;
  }
}

/** Characters of a server's answer that an error keeps. */
const BODY_LENGTH = 500;

/** What is wrong with account, address or server rather than with one request, beside 401, 403 and 404. */
const OF_SERVER = new Set([402, 405, 410, 501, 505]);
/** What may go better next time, beside 5xx. */
const PASSING = new Set([408, 409, 425, 429]);
/** Codes of 429 that waiting does not change: an account without money. */
const EXHAUSTED = /insufficient_quota|billing_hard_limit|exceeded_current_quota/;
/** Codes of connections that fail for good: certificates. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;

export interface FailureContext {
  secret: Secret;
  /** Body of an answer that was no success. */
  body: string | undefined;
  /** Name of the environment variable with the key. */
  apiKeyVariable: string;
  now: number;
}

/** What `error`, thrown by a try, means. */
export function failureOf(error: unknown, context: FailureContext): Failure {
  if (error instanceof FailedTry) return error.failure;
  if (error instanceof APIError && error.status !== undefined) return ofStatus(error, error.status, context);
  if (error instanceof APIError && error.error !== undefined) return ofEvent(error, context);
  if (error instanceof SyntaxError) {
    const reason = `the answer is not JSON: ${context.secret.hide(error.message)}`;
    return { of: 'request', retryable: true, kind: 'answer', reason };
  }
  return ofConnection(error, context);
}

function ofStatus({ headers }: APIError, status: number, context: FailureContext): Failure {
  const { secret, apiKeyVariable, now } = context;
  const raw = secret.hide(context.body ?? '').trim();
  const body = raw.slice(0, BODY_LENGTH);
  const said = saidIn(raw);
  const answer = { kind: 'answer', status, body } as const;
  const reason = said === '' ? `the server answered ${status}` : `the server answered ${status}: ${said}`;
  if (status >= 300 && status < 400) {
    const to = headers?.get('location');
    const where = to ? ` to ${secret.hide(to)}` : '';
    return {
      ...answer,
      of: 'server',
      retryable: false,
      reason: `${reason}, a redirect${where}; give the final address as the base URL`,
    };
  }
  if (status === 401 || status === 403) {
    const advice =
      secret.key === undefined
        ? `no key was sent: set ${apiKeyVariable}`
        : `the key from ${apiKeyVariable} was sent`;
    return { ...answer, of: 'server', retryable: false, reason: `${reason} (${advice})` };
  }
  if (status === 404) {
    const advice = 'does the base URL end in /v1, and does the server have this model?';
    return { ...answer, of: 'server', retryable: false, reason: `${reason} (${advice})` };
  }
  if (OF_SERVER.has(status) || (status === 429 && EXHAUSTED.test(raw))) {
    return { ...answer, of: 'server', retryable: false, reason };
  }
  const retryable = status >= 500 || PASSING.has(status);
  const waitMs = retryable ? retryAfterMs(headers, now) : undefined;
  return { ...answer, of: 'request', retryable, reason, ...(waitMs === undefined ? {} : { waitMs }) };
}

/** An error in the middle of a stream. */
function ofEvent({ error }: APIError, { secret }: FailureContext): Failure {
  const raw = secret.hide(JSON.stringify({ error }));
  const status = Number((error as { code?: unknown } | null)?.code);
  const final = status >= 400 && status < 500 && !PASSING.has(status);
  const reason = `the server broke off: ${saidIn(raw)}`;
  return { of: 'request', retryable: !final, kind: 'answer', reason, body: raw.slice(0, BODY_LENGTH) };
}

function ofConnection(error: unknown, { secret }: FailureContext): Failure {
  const cause = rootOf(error);
  const code = String((cause as NodeJS.ErrnoException).code ?? '');
  const words = secret.hide(cause.message === '' ? code : cause.message);
  const reason =
    code === '' || words.includes(code) || cause instanceof ConnectTimeout ? words : `${words} (${code})`;
  const untrusted = UNTRUSTED.test(code);
  return { of: untrusted ? 'server' : 'request', retryable: !untrusted, kind: 'connection', reason };
}

/** The innermost cause: what wraps it says "Connection error." and the like. */
function rootOf(error: unknown): Error {
  let root = error instanceof Error ? error : new Error(String(error));
  while (root.cause instanceof Error) root = root.cause;
  const [first] = root instanceof AggregateError ? (root.errors as unknown[]) : [];
  return first instanceof Error ? first : root;
}

/** What an error body says, in any of the usual forms; the text itself where it is none of them. */
function saidIn(body: string): string {
  let said: unknown = body;
  try {
    const json = JSON.parse(body) as Record<string, unknown> | null;
    const { error } = json ?? {};
    const inner =
      typeof error === 'object' && error !== null ? (error as Record<string, unknown>).message : error;
    said = inner ?? json?.message ?? json?.detail ?? body;
  } catch {
    // Plain text, or HTML.
  }
  const text = typeof said === 'string' ? said : JSON.stringify(said);
  return text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 300);
}

/** A failure as callers get it: without the package's own errors, which know the request. */
export function failureError(failure: Failure, before: string, tries: number): LlmApiError {
  const { reason, status, body, retryable } = failure;
  const times = tries > 1 ? ` (${tries} tries)` : '';
  return new LlmApiError(`${before}${times}: ${reason.replace(/\.$/, '')}.`, {
    retryable,
    ...(status === undefined ? {} : { status }),
    ...(body === undefined ? {} : { body }),
    details: { tries },
  });
}
