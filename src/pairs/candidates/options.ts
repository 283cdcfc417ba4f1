/** What the choice of prompts and the sampling of candidates can be told. */
import { z } from 'zod';
import { FOLLOW_UP_TYPES, type UserMessageType } from '../rows.js';
import { writingFields } from '../writing-options.js';

export const PROMPT_KINDS = ['initial', 'follow-ups', 'both'] as const;
export const DUPLICATE_SCOPES = ['user', 'all', 'none'] as const;

/** Which user messages become prompts, and the rules of the pool that look at texts alone. */
export const promptOptionsSchema = z.object({
  prompts: z
    .enum(PROMPT_KINDS)
    .default('initial')
    .describe(
      'Which user messages are answered by candidates. initial: the first of each conversation; follow-ups: later ones, each with the conversation before it; both.',
    ),
  followUpTypes: z
    .array(z.enum(FOLLOW_UP_TYPES))
    .min(1)
    .default(['new-request', 're-attempt-with-feedback', 're-attempt-without-feedback'])
    .describe('Types of follow-ups that are prompts, where follow-ups are.'),
  requirePersona: z
    .boolean()
    .default(false)
    .describe('Drops prompts of users without a persona, for whom rewards cannot be user-based.'),
  minCharacters: z
    .number()
    .int()
    .min(0)
    .nullable()
    .default(10)
    .describe('Fewest characters of the message: shorter ones are mostly greetings. null: off.'),
  maxPromptCharacters: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(32_000)
    .describe('Most characters of the message with the conversation before it. null: off.'),
  duplicates: z
    .enum(DUPLICATE_SCOPES)
    .default('user')
    .describe(
      'Among which prompts duplicates are dropped. user: those of the same user, since the same request under another persona is another prompt; all: of all users; none: off.',
    ),
  nearDuplicateSimilarity: z
    .number()
    .gt(0)
    .max(1)
    .nullable()
    .default(0.8)
    .describe(
      'From which Jaccard similarity of word triples on (estimated by MinHash) prompts of different conversations are duplicates. null: only those that are the same word for word.',
    ),
  perUser: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Most prompts of a user, drawn by seed. null: all.'),
  size: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Most prompts in all, drawn by seed. null: all.'),
  seed: z.number().int().min(0).default(0).describe('Of the draws of prompts.'),
});

export type PromptOptions = z.input<typeof promptOptionsSchema>;
export type ResolvedPromptOptions = z.output<typeof promptOptionsSchema>;

/** The types of messages that become prompts. */
export function promptTypes({
  prompts,
  followUpTypes,
}: Pick<ResolvedPromptOptions, 'prompts' | 'followUpTypes'>): UserMessageType[] {
  return [
    ...(prompts === 'follow-ups' ? [] : (['initial-request'] as const)),
    ...(prompts === 'initial' ? [] : followUpTypes),
  ];
}

export const CUT_ANSWERS = ['drop', 'keep'] as const;

/** How candidates are sampled. */
export const candidateOptionsSchema = z.object({
  samples: z
    .number()
    .int()
    .min(2)
    .default(64)
    .describe('Candidates sampled for each prompt (N of section 2.4). Paper: 64.'),
  persona: z
    .boolean()
    .default(true)
    .describe("Shows the user's persona to the policy, as system message (section 2.4)."),
  cutAnswers: z
    .enum(CUT_ANSWERS)
    .default('drop')
    .describe('What to do with candidates that did not end within max_tokens.'),
  ...writingFields,
  temperature: z.number().gt(0).default(0.6).describe('Above 0, or all candidates are the same. Paper: 0.6.'),
});

export type CandidateOptions = z.input<typeof candidateOptionsSchema>;
export type ResolvedCandidateOptions = z.output<typeof candidateOptionsSchema>;
