import { z } from 'zod';

export const alpacaOptionsSchema = z.strictObject({
  temperature: z.number().min(0).default(0.7).describe("Of the model's answers."),
  maxTokens: z.number().int().min(1).default(2048).describe('Most tokens of an answer.'),
  seed: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('Of the answers, and of the order in which the judge sees two.'),
  limit: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Only so many instructions, from the beginning.'),
});

export type AlpacaOptions = z.input<typeof alpacaOptionsSchema>;
export type ResolvedAlpacaOptions = z.output<typeof alpacaOptionsSchema>;
