/** What the rows of the stages' files must look like: the files may have been written by somebody else. */

import { z } from 'zod';
import type { ClassifiedMessage, FeedbackUserRow, PersonaRow, RewriteRow } from '../pairs/rows.js';
import { FOLLOW_UP_TYPES } from '../pairs/rows.js';

const messageSchema = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
});
const countSchema = z.number().int().min(0);
const logprobsOf = <Label extends string>(labels: readonly Label[]) =>
  z.record(z.enum(labels as readonly [Label, ...Label[]]), z.number().nullable()) as unknown as z.ZodType<
    Record<Label, number>
  >;

export const classifiedSchema: z.ZodType<ClassifiedMessage> = z.object({
  conversation: z.string(),
  user: z.string(),
  turn: countSchema,
  type: z.enum(['initial-request', ...FOLLOW_UP_TYPES, 'unclassified']),
  characters: countSchema,
  number: countSchema,
  reply: z.string().exactOptional(),
  logprobs: logprobsOf(FOLLOW_UP_TYPES).exactOptional(),
  prior: logprobsOf(FOLLOW_UP_TYPES).exactOptional(),
  problem: z.string().exactOptional(),
});

export const feedbackUserSchema: z.ZodType<FeedbackUserRow> = z.object({
  user: z.string(),
  followUps: countSchema,
  reAttemptsWithFeedback: countSchema,
  model: z.string().exactOptional(),
  reply: z.string().exactOptional(),
  logprobs: logprobsOf(['yes', 'no']).exactOptional(),
  prior: logprobsOf(['yes', 'no']).exactOptional(),
});

export const personaSchema: z.ZodType<PersonaRow> = z.object({
  user: z.string(),
  persona: z.string(),
  conversations: z.array(z.string()),
  messagesShown: countSchema,
  messagesLeftOut: countSchema,
  model: z.string(),
  request: z.array(messageSchema),
  reply: z.string(),
});

export const rewriteSchema: z.ZodType<RewriteRow> = z.object({
  id: z.string(),
  user: z.string(),
  conversation: z.string(),
  turn: countSchema,
  time: z.string().exactOptional(),
  source: z.enum(['rewrite', 'scratch', 'math', 'logged']),
  prompt: z.array(messageSchema),
  original: z.string(),
  followUp: z.string(),
  rewrite: z.string(),
  persona: z.string().exactOptional(),
  model: z.string(),
  request: z.array(messageSchema),
  finishReason: z.enum(['stop', 'length', 'filtered']),
});
