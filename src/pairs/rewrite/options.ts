/** What the rewriting of answers can be told. */
import { z } from 'zod';
import { writingFields } from '../writing-options.js';

export const REWRITE_SOURCES = ['rewrite', 'scratch', 'math'] as const;

export const FOLLOW_UPS = ['all', 'first'] as const;
export type FollowUpChoice = (typeof FOLLOW_UPS)[number];

export const rewriteOptionsSchema = z.object({
  source: z
    .enum(REWRITE_SOURCES)
    .default('rewrite')
    .describe(
      'How answers are written anew. rewrite: in the light of what the user said (section 2.3); scratch: the same context again, without the old answer and what the user said to it (a baseline of section 3.3); math: as rewrite, for synthesized math conversations, never with a persona (appendix C.3).',
    ),
  persona: z
    .boolean()
    .default(true)
    .describe(
      "Shows the user's persona to the model, as system message, and puts it into the rows. Users without one do without.",
    ),
  followUps: z
    .enum(FOLLOW_UPS)
    .default('all')
    .describe(
      'Which re-attempts with feedback of a conversation count. first: only the first, for classifications that can be trusted less the longer a conversation is.',
    ),
  ...writingFields,
});

export type RewriteOptions = z.input<typeof rewriteOptionsSchema>;
export type ResolvedRewriteOptions = z.output<typeof rewriteOptionsSchema>;
