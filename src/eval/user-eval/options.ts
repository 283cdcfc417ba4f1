/** What UserEval can be told. */
import { z } from 'zod';

/** What a judge decides on: the paper's three axes of section 3.4. */
export const AXES = ['personalization', 'instruction-following', 'user-eval'] as const;
export type Axis = (typeof AXES)[number];

/** Axes whose judge sees the persona. */
export const PERSONA_AXES: readonly Axis[] = ['personalization', 'user-eval'];

export const userEvalOptionsSchema = z.object({
  inference: z
    .enum(['context-only', 'persona-guided'])
    .default('context-only')
    .describe(
      'context-only: the model sees the conversation alone; persona-guided: it also sees the persona that it has inferred itself from the history.',
    ),
  users: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(100)
    .describe('So many users, drawn by the seed; all where there are fewer.'),
  axes: z
    .array(z.enum(AXES))
    .min(1)
    .default([...AXES])
    .describe('What is judged.'),
  temperature: z.number().min(0).default(0.6).describe('Of the answers; 0 takes the likeliest token always.'),
  topP: z.number().gt(0).max(1).default(0.9).describe('Of the answers.'),
  maxTokens: z.number().int().min(1).default(1024).describe('Most tokens of an answer.'),
  judgeMethod: z
    .enum(['generate', 'likelihood'])
    .default('generate')
    .describe(
      'generate: the judge says its verdict; likelihood: the likelier of the two verdicts, for small models, which keep to no format.',
    ),
  judgeMaxTokens: z
    .number()
    .int()
    .min(1)
    .default(512)
    .describe('Most tokens of a verdict. Models that reason first need many.'),
  resamples: z.number().int().min(1).default(1000).describe('Draws of users behind each interval.'),
  confidence: z.number().gt(0).lt(1).default(0.95).describe('Of the intervals.'),
  seed: z.number().int().min(0).default(0).describe('Draws other users, answers and intervals.'),
});

export type UserEvalOptions = z.input<typeof userEvalOptionsSchema>;
export type ResolvedUserEvalOptions = z.output<typeof userEvalOptionsSchema>;
