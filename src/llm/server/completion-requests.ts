/** One chat request, sent and read. */
import type OpenAI from 'openai';
import {
  type Completion,
  parseCompletion,
  type ReadReply,
  readCompletion,
  readStream,
} from './completion.js';
import type { RequestBody } from './request-body.js';

const PATH = '/chat/completions';

/** The reply, from a stream where the body asks for one. */
export async function readReply(client: OpenAI, body: RequestBody, signal: AbortSignal): Promise<ReadReply> {
  if (body.stream !== true) return readCompletion(await post(client, body, signal));
  const { data, response } = await client
    .post<AsyncIterable<unknown>>(PATH, { body, signal, stream: true })
    .withResponse();
  // Some servers know no streams, and answer as a whole.
  const whole = /json/.test(response.headers.get('content-type') ?? '');
  return whole ? readCompletion(await response.json()) : readStream(data);
}

/** The answer as it is, with log-probabilities. */
export async function readWhole(client: OpenAI, body: RequestBody, signal: AbortSignal): Promise<Completion> {
  return parseCompletion(await post(client, body, signal));
}

function post(client: OpenAI, body: RequestBody, signal: AbortSignal): Promise<unknown> {
  return client.post<unknown>(PATH, { body, signal });
}
