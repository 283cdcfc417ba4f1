/** How answers are drawn that a model writes for the data: reconstructed and rewritten ones. */
import { z } from 'zod';
import type { ChatSampling } from '../llm/chat-model.js';

/** The options of sampling that reconstruction and rewriting share; the defaults are those of section 3.1. */
export const writingFields = {
  temperature: z.number().min(0).default(0.6).describe('0 takes the likeliest token always. Paper: 0.6.'),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(0.9)
    .describe('Draws from the likeliest tokens that together have this probability. Paper: 0.9.'),
  maxTokens: z
    .number()
    .int()
    .min(1)
    .default(2048)
    .describe('Most tokens of an answer. Where less of the context is left, that much.'),
  seed: z.number().int().min(0).default(0).describe('Another seed draws other answers.'),
};

type WritingOptions = { [Name in keyof typeof writingFields]: z.output<(typeof writingFields)[Name]> };

/**
 * The sampling of one request whose prompt leaves `room` tokens for the reply, at least one. Where that is less than
 * `maxTokens`, the largest power of two that has room: a model that works in batches puts together what is drawn alike,
 * and limits that differ by a few tokens would leave each request alone.
 */
export function writingSampling({ temperature, topP, maxTokens, seed }: WritingOptions, room: number) {
  const limit = room < maxTokens ? 2 ** Math.floor(Math.log2(room)) : maxTokens;
  return { temperature, topP, seed, maxTokens: limit } satisfies ChatSampling;
}
