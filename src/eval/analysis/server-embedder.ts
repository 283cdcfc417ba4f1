/** Vectors from an OpenAI-compatible server. */

import OpenAI, { APIError } from 'openai';
import pRetry from 'p-retry';
import { ConfigError, LlmApiError } from '../../errors.js';
import { createSecret } from '../../llm/server/secret.js';
import { type Embedder, normalized } from './embedder.js';

export interface ServerEmbedderOptions {
  /** Address up to and with the version: `http://127.0.0.1:8000/v1`. */
  baseUrl: string;
  /** The model's name as the server knows it. */
  model: string;
  /** Sent to the server and nowhere else. Default: none. */
  apiKey?: string | undefined;
  /** Longer texts are cut, in characters: servers refuse what is too long. Default 24000. */
  maxCharacters?: number;
}

/** Texts of one request. */
const BATCH = 64;
const RETRIES = 5;

/**
 * Embeds through `POST /embeddings`. Requests that meet a busy or broken server are made again.
 *
 * @throws ConfigError for an address or key that cannot be used
 */
export function serverEmbedder({
  baseUrl,
  model,
  apiKey,
  maxCharacters = 24_000,
}: ServerEmbedderOptions): Embedder {
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new ConfigError('The address of the embeddings must be one such as http://127.0.0.1:8000/v1.');
  }
  const secret = createSecret(apiKey, 'the variable of the embeddings');
  const client = new OpenAI({ baseURL: baseUrl, apiKey: secret.key ?? 'none', maxRetries: 0 });
  return {
    identity: `${model} at ${baseUrl}`,
    async embed(texts, { signal, onProgress } = {}) {
      const vectors: Float32Array[] = [];
      while (vectors.length < texts.length) {
        signal?.throwIfAborted();
        const input = texts
          .slice(vectors.length, vectors.length + BATCH)
          .map((text) => text.slice(0, maxCharacters));
        vectors.push(...(await askAgain(() => ask(client, model, input, signal), secret.hide, signal)));
        onProgress?.(vectors.length, texts.length);
      }
      return vectors;
    },
    async dispose() {},
  };
}

async function ask(
  client: OpenAI,
  model: string,
  input: string[],
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const reply = await client.embeddings.create(
    { model, input, encoding_format: 'float' },
    signal === undefined ? {} : { signal },
  );
  const vectors: (Float32Array | null)[] = input.map(() => null);
  for (const { index, embedding } of reply.data ?? [])
    vectors[index] = normalized(Float32Array.from(embedding));
  return vectors.map((vector) => {
    if (vector !== null) return vector;
    throw new LlmApiError('The server did not give a usable vector for each of the texts.', {
      retryable: false,
    });
  });
}

function askAgain<Value>(
  work: () => Promise<Value>,
  hide: (text: string) => string,
  signal: AbortSignal | undefined,
): Promise<Value> {
  const tried = async () => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof APIError) || signal?.aborted) throw error;
      const retryable = error.status === undefined || error.status === 429 || error.status >= 500;
      throw new LlmApiError(`The embeddings could not be had: ${hide(error.message)}`, {
        retryable,
        ...(error.status === undefined ? {} : { status: error.status }),
      });
    }
  };
  return pRetry(tried, {
    retries: RETRIES,
    shouldRetry: ({ error }) => error instanceof LlmApiError && error.retryable,
    ...(signal === undefined ? {} : { signal }),
  });
}
