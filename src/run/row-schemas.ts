/** What the rows of the stages' files must look like: the files may have been written by somebody else. */

import { z } from 'zod';
import {
  type CandidatesRow,
  type ClassifiedMessage,
  type FeedbackUserRow,
  FOLLOW_UP_TYPES,
  type PersonaRow,
  type PromptRow,
  type RankingRow,
  REWARD_KINDS,
  type RewriteRow,
} from '../pairs/rows.js';

const messageSchema = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
});
const typeSchema = z.enum(['initial-request', ...FOLLOW_UP_TYPES, 'unclassified']);
const finishSchema = z.enum(['stop', 'length', 'filtered']);
const countSchema = z.number().int().min(0);
const logprobsOf = <Label extends string>(labels: readonly Label[]) =>
  z.record(z.enum(labels as readonly [Label, ...Label[]]), z.number().nullable()) as unknown as z.ZodType<
    Record<Label, number>
  >;

export const classifiedSchema: z.ZodType<ClassifiedMessage> = z.object({
  conversation: z.string(),
  user: z.string(),
  turn: countSchema,
  type: typeSchema,
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
  finishReason: finishSchema,
});

const promptFields = {
  id: z.string(),
  user: z.string(),
  conversation: z.string(),
  turn: countSchema,
  time: z.string().exactOptional(),
  type: typeSchema,
  prompt: z.array(messageSchema).min(1),
  persona: z.string().exactOptional(),
};

export const promptSchema: z.ZodType<PromptRow> = z.object(promptFields);

const candidateFields = {
  text: z.string().min(1),
  draws: z.array(countSchema).min(1),
  finishReason: finishSchema,
};

export const candidatesSchema: z.ZodType<CandidatesRow> = z.object({
  ...promptFields,
  candidates: z.array(z.object(candidateFields)).min(1),
  model: z.string(),
  request: z.array(messageSchema),
});

const rewardsSchema = z.object({
  'user-based': z.number().exactOptional(),
  'user-agnostic': z.number().exactOptional(),
});

export const rankingSchema: z.ZodType<RankingRow> = z
  .object({
    ...promptFields,
    candidates: z.array(z.object({ ...candidateFields, rewards: rewardsSchema })).min(1),
    model: z.string(),
    request: z.array(messageSchema),
    rewards: z.enum(REWARD_KINDS),
    scorer: z.string(),
  })
  .refine(
    ({ candidates, rewards: kind }) => candidates.every(({ rewards }) => rewards[kind] !== undefined),
    'expected a reward of the kind that decides for each candidate',
  );
