import { LlmApiError } from '../errors.js';

/** A request that leaves no room for a reply. */
export function tooLong(id: string, tokens: number, limit: number): LlmApiError {
  return new LlmApiError(
    `Request ${id} has ${tokens} tokens; the model takes ${limit} with the reply, which needs one at least.`,
    { retryable: false, details: { tokens, limit } },
  );
}
