import { z } from 'zod';
import { BENCHMARKS } from './benchmarks.js';

export const reasoningOptionsSchema = z.strictObject({
  benchmark: z.enum(BENCHMARKS).describe('Which benchmark the file is of.'),
  samples: z
    .number()
    .int()
    .min(1)
    .default(50)
    .describe('Responses to each problem; accuracy is their mean. Paper: 50.'),
  temperature: z
    .number()
    .min(0)
    .default(0.7)
    .describe('Of the responses. 0 gives the same one every time, for which 1 sample is enough.'),
  topP: z.number().positive().max(1).default(1).describe('Draws from the likeliest tokens of this share.'),
  maxTokens: z
    .number()
    .int()
    .min(1)
    .default(2048)
    .describe('Most tokens of a response; longer ones are cut.'),
  seed: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('Of the responses, the order of options and the intervals.'),
  limit: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Only so many problems, from the beginning.'),
  grader: z
    .enum(['meaning', 'form'])
    .default('meaning')
    .describe(
      "How answers to math problems are compared: by what they mean (lenient, like Math-Verify), or by their form (strict, like PRM800K's grader).",
    ),
  passAt: z
    .array(z.number().int().min(1))
    .default([1, 5, 10, 50])
    .describe('The k of pass@k; those above the number of samples are left out.'),
  resamples: z.number().int().min(1).default(1000).describe('Draws of problems for the intervals.'),
});

export type ReasoningOptions = z.input<typeof reasoningOptionsSchema>;
export type ResolvedReasoningOptions = z.output<typeof reasoningOptionsSchema>;
