/** Answers to chat requests, whole or as a stream, checked: servers give all sorts of things. */
import { z } from 'zod';
import type { ChatReply } from '../chat-model.js';
import { FailedTry } from './failures.js';

const usageSchema = z
  .object({ prompt_tokens: z.number().int().min(0), completion_tokens: z.number().int().min(0) })
  .nullish()
  .catch(null);
const textSchema = z.string().nullish();

const topTokenSchema = z.object({ token: z.string(), logprob: z.number() });
const logprobsSchema = z
  .object({
    content: z.array(topTokenSchema.extend({ top_logprobs: z.array(topTokenSchema).nullish() })).nullish(),
  })
  .nullish();

export const completionSchema = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({ content: textSchema, refusal: textSchema }),
        finish_reason: textSchema,
        logprobs: logprobsSchema,
      }),
    )
    .min(1),
  usage: usageSchema,
  // vLLM: for each token of the prompt its log-probability and text by its id, null for the first.
  prompt_logprobs: z
    .array(z.record(z.string(), z.object({ logprob: z.number(), decoded_token: textSchema })).nullable())
    .nullish(),
});
export type Completion = z.output<typeof completionSchema>;

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: textSchema, refusal: textSchema }).nullish(),
        finish_reason: textSchema,
      }),
    )
    .nullish(),
  usage: usageSchema,
});

/** What a server said about tokens, where it did. */
export interface ReadReply {
  text: string;
  finishReason: ChatReply['finishReason'];
  usage: z.output<typeof usageSchema>;
}

/** Characters of an answer that is not understood, for the error. */
const SHOWN = 200;

export function parseCompletion(answer: unknown): Completion {
  const parsed = completionSchema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw notUnderstood(`at ${issue?.path.join('.') || 'its beginning'}: ${issue?.message}`, answer);
}

export function readCompletion(answer: unknown): ReadReply {
  const { choices, usage } = parseCompletion(answer);
  const { message, finish_reason } = choices[0]!;
  return {
    text: message.content ?? message.refusal ?? '',
    // Not every server says why a whole answer ended.
    finishReason: finishReasonOf(finish_reason ?? 'stop'),
    usage,
  };
}

/** Reads a stream to its end. An end without a reason means that the connection was cut, and the reply with it. */
export async function readStream(chunks: AsyncIterable<unknown>): Promise<ReadReply> {
  let text = '';
  let reason: string | undefined;
  let usage: ReadReply['usage'];
  for await (const chunk of chunks) {
    const parsed = chunkSchema.safeParse(chunk);
    if (!parsed.success) throw notUnderstood('in a part of the stream', chunk);
    const [choice] = parsed.data.choices ?? [];
    text += choice?.delta?.content ?? choice?.delta?.refusal ?? '';
    reason = choice?.finish_reason ?? reason;
    usage = parsed.data.usage ?? usage;
  }
  if (reason === undefined) {
    throw new FailedTry({
      ...{ of: 'request', retryable: true, kind: 'answer' },
      reason: `the stream ended in the middle, after ${text.length} characters of the reply`,
    });
  }
  return { text, finishReason: finishReasonOf(reason), usage };
}

/** The reply up to the first stop text: some servers (`transformers serve`) leave that in. */
export function cutAtStop(reply: ReadReply, stops: readonly string[]): ReadReply {
  const places = stops.map((stop) => reply.text.indexOf(stop)).filter((at) => at !== -1);
  if (places.length === 0) return reply;
  return { ...reply, text: reply.text.slice(0, Math.min(...places)), finishReason: 'stop' };
}

function notUnderstood(where: string, answer: unknown): FailedTry {
  const shown = typeof answer === 'string' ? answer : (JSON.stringify(answer) ?? 'nothing');
  return new FailedTry({
    ...{ of: 'request', retryable: true, kind: 'answer' },
    reason: `the answer is not that of an OpenAI-compatible server, ${where}: ${shown.slice(0, SHOWN)}`,
    body: shown.slice(0, SHOWN),
  });
}

/** What servers call the natural end of a reply; tools are never offered, so that a call of one is the model's text. */
const STOPPED = new Set([
  'stop',
  'eos',
  'eos_token',
  'end_turn',
  'stop_sequence',
  'tool_calls',
  'function_call',
]);

function finishReasonOf(reason: string): ChatReply['finishReason'] {
  if (reason === 'length' || reason === 'max_tokens') return 'length';
  if (reason === 'content_filter') return 'filtered';
  if (STOPPED.has(reason)) return 'stop';
  throw new FailedTry({
    ...{ of: 'request', retryable: true, kind: 'answer' },
    reason: `the reply ended for a reason that is not known: ${reason}`,
  });
}
