/** The body of a request as text, not longer than allowed. */

import { ApiError } from './api-error.js';

/**
 * Reads a JSON request's body.
 *
 * @throws ApiError: 415 for another content type, 413 for a body that is too long (nothing more of it is read), 400 for
 *   one that is not UTF-8
 */
export async function readBody(request: Request, maxBytes: number): Promise<string> {
  // Web pages may send other types to any server without being asked whether they may.
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '')) {
    throw new ApiError(415, 'The body must be JSON: Content-Type: application/json.', {
      code: 'unsupported_media_type',
    });
  }
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = request.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel();
      throw tooLarge(maxBytes);
    }
    chunks.push(value);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new ApiError(400, 'The body is not UTF-8.', { code: 'invalid_json' });
  }
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, `The body is too long: at most ${maxBytes} bytes are read.`, {
    code: 'request_too_large',
    headers: { connection: 'close' },
  });
}
