/** What the ranking of candidates can be told. */
import { z } from 'zod';
import { REWARD_KINDS } from '../rows.js';

export const rankOptionsSchema = z.object({
  rewards: z
    .enum(REWARD_KINDS)
    .default('user-based')
    .describe(
      'Which rewards rank the candidates. user-based: the reward model sees the persona (section 2.4); user-agnostic: it does not (the baseline of section 3.3).',
    ),
  compare: z
    .boolean()
    .default(false)
    .describe('Asks for the other kind of rewards as well, and reports how the persona changes the ranking.'),
});

export type RankOptions = z.input<typeof rankOptionsSchema>;
