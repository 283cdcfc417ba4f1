/** The body of `POST /v1/chat/completions`: what of it is understood, and what is refused. */

import { z } from 'zod';
import type { Message } from '../data/pairs.js';
import { ApiError, badField } from './api-error.js';

const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().transform((v) => v ?? null);

const textPart = z.object({ type: z.literal('text'), text: z.string() });

// Each token's text is held against all of them.
const stopText = z.string().min(1).max(500);

const messageSchema = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([z.string(), z.array(textPart)]),
});

const bodySchema = z.object({
  model: z.string().min(1),
  messages: z.array(messageSchema).min(1),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().gt(0).max(1)),
  top_k: optional(z.number().int().min(-1)),
  max_tokens: optional(z.number().int().min(1)),
  max_completion_tokens: optional(z.number().int().min(1)),
  stop: optional(z.union([stopText, z.array(stopText).max(16)])),
  seed: optional(
    z
      .number()
      .int()
      .min(-(2 ** 53) + 1)
      .max(2 ** 53 - 1),
  ),
  n: optional(z.number().int().min(1)),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  user: optional(z.string()),
  metadata: optional(z.record(z.string(), z.unknown())),
});

/** A request as the server understands it. */
export interface ChatBody {
  model: string;
  messages: Message[];
  temperature: number;
  topP: number;
  topK: number;
  /** Null where the request does not say. */
  maxTokens: number | null;
  stop: string[];
  /** Null where the request does not say. */
  seed: number | null;
  n: number;
  stream: boolean;
  includeUsage: boolean;
  user: string | null;
  metadata: Readonly<Record<string, unknown>>;
}

/** Whether a field says nothing, in any of the ways in which clients say nothing. */
type IsIdle = (value: unknown) => boolean;

const isOff: IsIdle = (value) => value === false || value === 0;
const isEmpty: IsIdle = (value) => typeof value === 'object' && Object.keys(value as object).length === 0;
const isNeutral =
  (...values: unknown[]): IsIdle =>
  (value) =>
    values.includes(value);
const never: IsIdle = () => false;

/** Fields that would change the answer if the server knew them; all other unknown ones are ignored. */
const UNSUPPORTED: Readonly<Record<string, IsIdle>> = {
  logprobs: isOff,
  top_logprobs: isOff,
  prompt_logprobs: never,
  logit_bias: isEmpty,
  frequency_penalty: isOff,
  presence_penalty: isOff,
  repetition_penalty: isNeutral(1),
  min_p: isOff,
  best_of: isNeutral(1),
  tools: isEmpty,
  tool_choice: isNeutral('none', 'auto'),
  functions: isEmpty,
  function_call: isNeutral('none', 'auto'),
  response_format: (value) => (value as { type?: unknown }).type === 'text',
  modalities: (value) => JSON.stringify(value) === '["text"]',
  audio: never,
  web_search_options: never,
  guided_json: never,
  guided_regex: never,
  guided_choice: never,
  guided_grammar: never,
  structured_outputs: never,
  continue_final_message: isOff,
  add_generation_prompt: isNeutral(true),
  chat_template: never,
  chat_template_kwargs: isEmpty,
};

/**
 * Reads a request's body.
 *
 * @throws ApiError (400) naming the field: not JSON, of a wrong type or out of range, or one that would change the
 *   answer in a way that is not supported
 */
export function parseChatBody(text: string): ChatBody {
  const json = parseJson(text);
  refuseUnsupported(json);
  const parsed = bodySchema.safeParse(json);
  if (!parsed.success) throw fieldError(parsed.error.issues[0]!, json);
  const { model, temperature, top_p: topP, top_k: topK, stop, seed, n, stream, user } = parsed.data;
  return {
    ...{ model, user },
    messages: parsed.data.messages.map(({ role, content }) => ({
      role: role === 'developer' ? 'system' : role,
      content: typeof content === 'string' ? content : content.map((part) => part.text).join('\n'),
    })),
    temperature: temperature ?? 1,
    topP: topP ?? 1,
    topK: Math.max(topK ?? 0, 0),
    maxTokens: parsed.data.max_completion_tokens ?? parsed.data.max_tokens,
    stop: stop === null ? [] : [stop].flat(),
    seed: seed === null ? null : Math.abs(seed),
    n: n ?? 1,
    stream: stream ?? false,
    includeUsage: parsed.data.stream_options?.include_usage ?? false,
    metadata: parsed.data.metadata ?? {},
  };
}

function parseJson(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ApiError(400, 'The body is not valid JSON.', { code: 'invalid_json' });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ApiError(400, 'The body must be a JSON object.', { code: 'invalid_json' });
  }
  return json as Record<string, unknown>;
}

function refuseUnsupported(body: Record<string, unknown>): void {
  for (const [field, isIdle] of Object.entries(UNSUPPORTED)) {
    const value = Object.hasOwn(body, field) ? body[field] : undefined;
    if (value === undefined || value === null || isIdle(value)) continue;
    throw badField(
      field,
      `${field} is not supported: leave it out. It would change the answer, so it is not ignored.`,
      'unsupported_parameter',
    );
  }
}

function fieldError({ path, message, code }: z.core.$ZodIssue, body: unknown): ApiError {
  const param = path.reduce<string>(
    (name, key) =>
      typeof key === 'number' ? `${name}[${key}]` : name === '' ? String(key) : `${name}.${String(key)}`,
    '',
  );
  if (valueAt(body, path) === undefined) {
    return badField(param, `${param} is missing.`, 'missing_required_parameter');
  }
  if (isContentPart(path, code)) {
    return badField(
      param,
      `${param}: expected a text, or parts of type "text"; other content is not supported.`,
    );
  }
  return badField(param, `${param}: ${message}.`);
}

function isContentPart(path: readonly PropertyKey[], code: string | undefined): boolean {
  return path[0] === 'messages' && path[2] === 'content' && code === 'invalid_union';
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<PropertyKey, unknown>)[key] : undefined,
    value,
  );
}
