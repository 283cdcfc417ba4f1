/** Errors in the shape of the OpenAI API, which its clients turn into their own. */

import { ConfigError, LlmApiError } from '../errors.js';

export type ApiErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'timeout_error'
  | 'server_error';

export interface ApiErrorOptions {
  type?: ApiErrorType;
  /** The field of the request that is meant, `messages[0].content`. */
  param?: string | null;
  /** A short name for programs. */
  code?: string | null;
  headers?: Readonly<Record<string, string>>;
  cause?: unknown;
}

/** Ends a request with an HTTP status and an error that the client is told. */
export class ApiError extends Error {
  readonly status: number;
  readonly type: ApiErrorType;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ApiError';
    this.status = status;
    this.type = options.type ?? 'invalid_request_error';
    this.param = options.param ?? null;
    this.code = options.code ?? null;
    this.headers = options.headers ?? {};
  }

  /** What the body of the answer holds. */
  toBody(): { error: { message: string; type: ApiErrorType; param: string | null; code: string | null } } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }

  toResponse(): Response {
    return Response.json(this.toBody(), { status: this.status, headers: this.headers });
  }
}

/** A field that cannot be used as it is. */
export function badField(param: string, message: string, code = 'invalid_value'): ApiError {
  return new ApiError(400, message, { param, code });
}

/** Official clients ask again after a server's error unless told not to. */
const NOT_AGAIN = { 'x-should-retry': 'false' };

/**
 * What the client is told of an error that a model threw. An error that is nobody's business but the server's comes
 * out as a plain 500; its cause is kept for the log.
 */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof LlmApiError) return ofModel(error);
  if (error instanceof ConfigError) return new ApiError(400, error.message, { cause: error });
  return new ApiError(500, 'The server could not answer; its log says why.', {
    type: 'server_error',
    code: 'internal_error',
    headers: NOT_AGAIN,
    cause: error,
  });
}

function ofModel(error: LlmApiError): ApiError {
  const { message, retryable, status = 400 } = error;
  if (error.details.limit !== undefined) {
    return new ApiError(400, message, { param: 'messages', code: 'context_length_exceeded', cause: error });
  }
  if (!retryable && status === 400) return new ApiError(400, message, { param: 'messages', cause: error });
  return new ApiError(502, 'The model could not answer; the log says why.', {
    type: 'server_error',
    code: 'model_error',
    cause: error,
  });
}

export function timedOut(timeoutMs: number): ApiError {
  return new ApiError(504, `The answer was not finished within ${timeoutMs / 1000} seconds.`, {
    type: 'timeout_error',
    code: 'timeout',
    headers: NOT_AGAIN,
  });
}

export function stopping(): ApiError {
  return new ApiError(503, 'The server is stopping.', {
    type: 'server_error',
    code: 'stopping',
    headers: { connection: 'close' },
  });
}
