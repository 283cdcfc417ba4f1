/** What the reconstruction of conversations can be told. */
import { z } from 'zod';
import { writingFields } from '../writing-options.js';

export const reconstructOptionsSchema = z.object({
  ...writingFields,
  sides: z
    .enum(['train', 'all'])
    .default('train')
    .describe(
      'Which conversations are answered anew: train leaves those of test users and those held out as they were, because evaluation compares with their own answers; all answers every one.',
    ),
  keepCutAnswers: z
    .boolean()
    .default(false)
    .describe(
      'Keeps an answer that reached max_tokens and goes on after it. Default: the conversation ends before such an answer.',
    ),
  conversationsAtOnce: z
    .number()
    .int()
    .min(1)
    .default(256)
    .describe(
      'Conversations in progress, whose next answers are asked for together. Several times what the model answers at once keeps it busy.',
    ),
});

export type ReconstructOptions = z.input<typeof reconstructOptionsSchema>;
export type ResolvedReconstructOptions = z.output<typeof reconstructOptionsSchema>;
