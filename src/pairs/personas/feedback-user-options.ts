/** What the filter for users who give feedback can be told. */
import { z } from 'zod';

export const feedbackUserOptionsSchema = z.object({
  method: z
    .enum(['generate', 'likelihood', 'rule'])
    .default('generate')
    .describe(
      'Who decides on users that have the minimum: a model, by its reply (generate) or by the likelier of two labels (likelihood), or nobody (rule): they are all kept, which suits small models better than their own word.',
    ),
  minimum: z
    .number()
    .int()
    .min(0)
    .default(1)
    .describe('Users with fewer re-attempts with feedback are dropped, and nothing is asked about them.'),
  maxFollowUpTokens: z
    .number()
    .int()
    .min(64)
    .default(1500)
    .describe(
      "Tokens of a user's follow-ups that are shown; re-attempts with feedback come first, then the newest.",
    ),
  maxMessageTokens: z
    .number()
    .int()
    .min(32)
    .default(200)
    .describe('A longer follow-up is shortened in the middle.'),
  maxReplyTokens: z
    .number()
    .int()
    .min(1)
    .default(512)
    .describe('Most tokens of a reply. Models that reason first need many.'),
});

export type FeedbackUserOptions = z.input<typeof feedbackUserOptionsSchema>;
export type ResolvedFeedbackUserOptions = z.output<typeof feedbackUserOptionsSchema>;
