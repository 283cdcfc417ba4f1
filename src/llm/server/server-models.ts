/** What a server says about its models. */
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { FailedTry } from './failures.js';
import { RequestFailed, type ServerConnection } from './server-connection.js';

const modelSchema = z.looseObject({
  id: z.string(),
  // vLLM.
  max_model_len: z.number().int().positive().nullish().catch(null),
  // llama.cpp: what the server was started with, where it says so.
  meta: z
    .looseObject({ n_ctx: z.number().int().positive().nullish().catch(null) })
    .nullish()
    .catch(null),
});
const modelsSchema = z.object({ data: z.array(modelSchema) });

/** Names in an error. */
const NAMED = 10;

/** Tries at the beginning: a wrong address should not take minutes to show. */
const FIRST_RETRIES = 2;

/**
 * The context of `model` as the server says it.
 *
 * @throws ConfigError where the server does not say it, or has no such model; LlmApiError where it cannot be reached
 */
export async function askContextTokens(
  connection: ServerConnection,
  model: string,
  signal: AbortSignal,
): Promise<number> {
  const advice = 'Give contextTokens: the tokens of prompt and reply that the server was started with.';
  let models: z.output<typeof modelSchema>[];
  try {
    models = await connection.ask(
      async (client, attemptSignal) => {
        const answer: unknown = await client.get('/models', { signal: attemptSignal });
        const parsed = modelsSchema.safeParse(answer);
        if (parsed.success) return parsed.data.data;
        throw new FailedTry({
          ...{ of: 'request', retryable: false, kind: 'answer' },
          reason: `/models gives no list of models: ${String(JSON.stringify(answer)).slice(0, 200)}`,
        });
      },
      { signal, maxRetries: FIRST_RETRIES },
    );
  } catch (error) {
    if (!(error instanceof RequestFailed)) throw error;
    throw new ConfigError(`The server does not say how long its context is: ${error.message}. ${advice}`);
  }
  const found = models.find(({ id }) => id === model);
  if (found === undefined && models.length > 0) {
    const names = models.map(({ id }) => id).slice(0, NAMED);
    const more = models.length > NAMED ? `, and ${models.length - NAMED} more` : '';
    throw new ConfigError(
      connection.hide(`The server has no model called ${model}; it has ${names.join(', ')}${more}.`),
    );
  }
  const tokens = found?.max_model_len ?? found?.meta?.n_ctx;
  if (tokens == null) throw new ConfigError(`The server does not say how long its context is. ${advice}`);
  return tokens;
}
