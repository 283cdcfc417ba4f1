/** What the quality filter and the making of pairs can be told. */
import { z } from 'zod';

/** The thresholds of RIP (appendix C.2), and the least gap. */
const thresholds = {
  minRejectedCharacters: z.number().int().min(0).nullable(),
  minRejectedReward: z.number().nullable(),
  maxRewardGap: z.number().min(0).nullable(),
  minRewardGap: z.number().min(0).nullable(),
};

/** Thresholds and switches of the quality filter (appendix C.2 and section 2.3); each can be turned off. */
export const filterOptionsSchema = z.object({
  filter: z
    .boolean()
    .default(true)
    .describe(
      'Whether pairs are filtered at all. false is the baseline without quality filtering (section 3.3).',
    ),
  minRejectedCharacters: thresholds.minRejectedCharacters
    .default(1878)
    .describe(
      'Fewest characters of the rejected answer: short ones tend to come from prompts of little use. Paper: 1878. null: off.',
    ),
  requireImprovement: z
    .boolean()
    .default(true)
    .describe("Drops a rewrite whose reward is below the original's. Needs rewards."),
  minRejectedReward: thresholds.minRejectedReward
    .default(-1)
    .describe(
      'Lowest reward of the rejected answer, on the scale of the reward model. Paper: -1. null: off. Needs rewards.',
    ),
  maxRewardGap: thresholds.maxRewardGap
    .default(1)
    .describe(
      'Most that the reward of the chosen answer may be above the rejected one. Paper: 1. null: off. Needs rewards.',
    ),
  minRewardGap: thresholds.minRewardGap
    .default(null)
    .describe(
      'Least that the reward of the chosen answer must be above the rejected one. null: off. Needs rewards.',
    ),
  minChange: z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .default(0.01)
    .describe(
      'Least share of the answer that a rewrite changes, by pairs of neighbouring words, marks and line breaks; one replaced word in a hundred is about 0.02. 0 drops only those that are the same; null: off.',
    ),
  maxLengthRatio: z
    .number()
    .gt(0)
    .nullable()
    .default(3)
    .describe(
      'Most times the characters of the original (counted as 200 where it has fewer) that a rewrite may have, unless the follow-up asks for more. null: off.',
    ),
  maxPromptCharacters: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(32_000)
    .describe('Most characters of the prompt. null: off; training cuts prompts that are too long.'),
  dropEchoes: z
    .boolean()
    .default(true)
    .describe('Drops rewrites that only say the follow-up again, or order a rewrite.'),
  dropFeedbackTalk: z
    .boolean()
    .default(true)
    .describe(
      'Drops rewrites that speak of the feedback, of a change or of an earlier answer. English only.',
    ),
  dropRefusals: z.boolean().default(true).describe('Drops pairs whose chosen answer is a refusal.'),
  dropOtherLanguage: z
    .boolean()
    .default(true)
    .describe(
      "Drops rewrites that are not in the original's language, unless the follow-up speaks of languages or the request or follow-up is in the new one.",
    ),
  dropDuplicates: z
    .boolean()
    .default(true)
    .describe('Drops pairs with the same prompt, answers and persona as an earlier one.'),
});

export const PAIR_ORDERS = ['user', 'time'] as const;
export const PAIR_MIXINGS = ['together', 'rewrites-first', 'rewards-first'] as const;
export const PAIR_RULES = ['best-worst', 'best-random'] as const;
export type PairRule = (typeof PAIR_RULES)[number];

/** A threshold of user-based pairs where it is not to be that of rewrites. */
const own = <Threshold extends z.ZodType>(threshold: Threshold, name: string) =>
  threshold
    .optional()
    .describe(`${name} of pairs by rewards. Default: the same as of rewrites. Needs no reward model here.`);

/** Pairs of ranked candidates, beside those of rewrites. */
const userBasedSchema = z.object({
  pair: z
    .enum(PAIR_RULES)
    .default('best-worst')
    .describe(
      'Which candidates make a pair. best-worst: the highest reward against the lowest (Equation 2); best-random: against one drawn by seed among those below it, by at least min_reward_gap.',
    ),
  minRejectedCharacters: own(thresholds.minRejectedCharacters, 'min_rejected_characters'),
  minRejectedReward: own(thresholds.minRejectedReward, 'min_rejected_reward'),
  maxRewardGap: own(thresholds.maxRewardGap, 'max_reward_gap'),
  minRewardGap: own(thresholds.minRewardGap, 'min_reward_gap'),
  share: z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .default(null)
    .describe(
      'Share of pairs by rewards among all; of the kind of which there are too many, pairs are drawn by seed. null: all of both.',
    ),
});

/** The filter's options, and which baseline the pairs are for. */
export const pairOptionsSchema = filterOptionsSchema.extend({
  persona: z
    .boolean()
    .default(true)
    .describe(
      'Whether pairs carry the persona. false leaves it out of the same pairs: the baseline without persona.',
    ),
  users: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Takes the pairs of exactly so many users, drawn by seed (Figure 4). null: all users.'),
  size: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Takes exactly so many pairs, drawn by seed: baselines of equal size. null: all pairs.'),
  seed: z.number().int().min(0).default(0).describe('Of the draw of users and pairs.'),
  order: z
    .enum(PAIR_ORDERS)
    .default('user')
    .describe(
      'Order of the pairs. user: user by user, as the stages before give them; time: as the conversations began, those without a time last. With train_sampling_strategy sequential it is the order of training, and what many ask about at one time is learnt together.',
    ),
  mixing: z
    .enum(PAIR_MIXINGS)
    .default('together')
    .describe(
      'How pairs of rewrites and pairs by rewards follow each other. together: in one order; else one kind after the other, each in the order above.',
    ),
  userBased: userBasedSchema.prefault({}),
});

export type FilterOptions = z.input<typeof filterOptionsSchema>;
export type ResolvedFilterOptions = z.output<typeof filterOptionsSchema>;
export type PairOptions = z.input<typeof pairOptionsSchema>;
export type ResolvedPairOptions = z.output<typeof pairOptionsSchema>;
