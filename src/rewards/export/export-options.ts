/** How a reward model is exported; the same options serve flags and code. */

import { z } from 'zod';
import { recipeOverridesSchema } from '../recipe.js';

export const REWARD_DTYPES = ['float32', 'float16', 'int8'] as const;
export type RewardDType = (typeof REWARD_DTYPES)[number];

export const exportRewardOptionsSchema = z.object({
  model: z
    .string()
    .min(1)
    .describe('Hugging Face folder of a reward model (or owner/name[@revision] on the Hub).'),
  output: z.string().min(1).describe('Folder for the ONNX model; must not hold anything yet.'),
  dtype: z
    .enum(REWARD_DTYPES)
    .default('float32')
    .describe(
      'What weights are stored in. float16 computes in float32; int8 are blocks of 64 weights with a scale each.',
    ),
  recipe: recipeOverridesSchema
    .default({})
    .describe('What differs from the recipe that follows from the model.'),
  personaTemplate: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe('Jinja file that puts the persona into words; our own by default.'),
});

export type ExportRewardOptions = z.input<typeof exportRewardOptionsSchema>;
