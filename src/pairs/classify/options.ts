/** What the classification of user messages can be told. */
import { z } from 'zod';

export const CALIBRATIONS = ['none', 'content-free', 'examples'] as const;

export const classifyOptionsSchema = z.object({
  method: z
    .enum(['generate', 'likelihood'])
    .default('generate')
    .describe(
      'How the model is asked: generate reads a verdict in its reply; likelihood takes the label that is the likeliest reply, which small models need.',
    ),
  calibration: z
    .enum(CALIBRATIONS)
    .default('examples')
    .describe(
      "What is subtracted from the labels' log-likelihoods, with the method likelihood: their mean over requests without content (Zhao et al. 2021), over forty requests of our own, ten of each type, or nothing.",
    ),
  maxMessageTokens: z
    .number()
    .int()
    .min(16)
    .default(400)
    .describe(
      'A longer request is shortened in the middle. Less where the model has no room for two of them.',
    ),
  maxReplyTokens: z
    .number()
    .int()
    .min(1)
    .default(512)
    .describe(
      'Most tokens of a reply, where the model is asked in words. Models that reason first need many.',
    ),
  shortcutRepeats: z
    .boolean()
    .default(true)
    .describe(
      'Takes a message that repeats the one before word for word as a re-attempt without feedback, by definition, and does not ask.',
    ),
});

export type ClassifyOptions = z.input<typeof classifyOptionsSchema>;
export type ResolvedClassifyOptions = z.output<typeof classifyOptionsSchema>;
