import { z } from 'zod';

export const arenaOptionsSchema = z.strictObject({
  temperature: z.number().min(0).default(0).describe("Of the model's answers."),
  maxTokens: z.number().int().min(1).default(4096).describe('Most tokens of an answer, and of a judgment.'),
  seed: z.number().int().min(0).default(0).describe('Of the answers and the interval.'),
  limit: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Only so many questions, from the beginning.'),
  weight: z
    .number()
    .int()
    .min(1)
    .default(3)
    .describe('What a clear win ([[A>>B]]) counts as, in plain ones.'),
  unit: z
    .enum(['battle', 'question'])
    .default('battle')
    .describe(
      'What is drawn again for the interval: battles, as published, or questions with both games, which is wider.',
    ),
  resamples: z.number().int().min(1).default(1000).describe('Draws for the interval. Published: 100.'),
});

export type ArenaOptions = z.input<typeof arenaOptionsSchema>;
export type ResolvedArenaOptions = z.output<typeof arenaOptionsSchema>;
