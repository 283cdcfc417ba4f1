/** What a reward model's file does not say of itself: how a conversation becomes its tokens, and where the reward is. */

import { join } from 'node:path';
import { z } from 'zod';
import { CheckpointError } from '../errors.js';
import { readJsonFile } from '../models/json-file.js';

export const RECIPE_FILE = 'reward_recipe.json';
/** What export writes; a recipe may name others. */
export const MODEL_FILE = 'model.onnx';
export const PERSONA_TEMPLATE_FILE = 'persona_template.jinja';

const fileNameSchema = z.string().regex(/^[^/\\]+$/, 'expected the name of a file in the same folder');

const decoderHead = {
  /** What its numbers are stored in. */
  dtype: z.enum(['float32', 'float16', 'int8']),
};

/** Where the reward of a row comes from. */
const headSchema = z.discriminatedUnion('kind', [
  z
    .strictObject({ kind: z.literal('sequence-classification'), ...decoderHead })
    .describe('One label, read at the last token: LlamaForSequenceClassification.'),
  z
    .strictObject({ kind: z.literal('athene'), ...decoderHead })
    .describe('A value head, read at a classification token behind the conversation: Athene-RM-8B.'),
  z
    .strictObject({
      kind: z.literal('custom'),
      inputs: z.strictObject({
        ids: z.string().min(1).describe('Token ids [rows, tokens], int64 or int32, padded at the end.'),
        attentionMask: z.string().min(1).nullable().default(null).describe('1 for tokens, 0 for padding.'),
        positions: z.string().min(1).nullable().default(null).describe('0, 1, 2, ... in every row.'),
      }),
      output: z
        .string()
        .min(1)
        .describe('Rewards: [rows] or [rows, 1]; or one a token, of which the last counts.'),
    })
    .describe('An ONNX file of any other make, which takes token ids and gives a reward.'),
]);

/** Keys that a user can set for a Hugging Face model, too. */
const choices = {
  maxTokens: z
    .number()
    .int()
    .min(2)
    .describe('Most tokens of a conversation with its answer, the classification token not counted.'),
  truncation: z
    .enum(['context', 'end'])
    .describe(
      "What is left out of a longer one. context: the oldest exchanges, then the beginning of the last message; the answer stays whole. end: whatever comes behind the limit, as transformers' truncation=True.",
    ),
  end: z
    .enum(['template', 'end-of-turn'])
    .describe(
      "Where a row ends. template: behind all that the chat template writes, as transformers tokenizes a conversation. end-of-turn: with the token that ends the answer, as this package's training does.",
    ),
  addSpecialTokens: z
    .boolean()
    .describe(
      'Whether the tokenizer puts its own beginning-of-sequence token before what the chat template writes.',
    ),
  classificationToken: z.string().min(1).describe('Put behind every row, after truncation.').nullable(),
};

/** What a user may set of the recipe that follows from a Hugging Face model. */
export const recipeOverridesSchema = z.strictObject(choices).partial();
export type RecipeOverrides = z.input<typeof recipeOverridesSchema>;

export const rewardRecipeSchema = z.strictObject({
  version: z.literal(1),
  head: headSchema,
  model: fileNameSchema.default(MODEL_FILE).describe('The ONNX file.'),
  maxTokens: choices.maxTokens,
  truncation: choices.truncation.default('context'),
  end: choices.end.default('template'),
  addSpecialTokens: choices.addSpecialTokens.default(false),
  classificationToken: choices.classificationToken.default(null),
  personaTemplate: fileNameSchema
    .nullable()
    .default(null)
    .describe(
      "Jinja file that puts the persona into words as the system message; null for this package's own.",
    ),
});

/** As it is written; see the schema for what each key means. */
export type RewardRecipeInput = z.input<typeof rewardRecipeSchema>;
export type RewardRecipe = z.output<typeof rewardRecipeSchema>;

/**
 * The recipe in a reward model's folder.
 *
 * @throws CheckpointError naming file and key
 */
export function readRecipe(folder: string): RewardRecipe {
  const path = join(folder, RECIPE_FILE);
  return parseRecipe(readJsonFile(path), path);
}

/** @throws CheckpointError naming `file` and key */
export function parseRecipe(value: unknown, file: string): RewardRecipe {
  const parsed = rewardRecipeSchema.safeParse(value);
  if (parsed.success) {
    const { head, classificationToken } = parsed.data;
    if (head.kind === 'athene' && classificationToken === null) {
      throw new CheckpointError(
        `${file}: classificationToken: expected a token, which an athene head reads.`,
      );
    }
    return parsed.data;
  }
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new CheckpointError(`${file}: ${problems.join('; ')}`, { details: { file, problems } });
}
