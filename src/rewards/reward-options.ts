/** Which reward model a stage asks, and how it runs; the same options serve run files, flags and code. */

import { z } from 'zod';

export const rewardModelOptionsSchema = z.object({
  model: z
    .string()
    .min(1)
    .describe('Folder of a reward model in ONNX, as export-reward and train-reward write it.'),
  executionProvider: z
    .enum(['auto', 'cpu', 'cuda'])
    .default('auto')
    .describe('What ONNX Runtime runs on. auto: CUDA where its provider and a GPU are found, else the CPU.'),
  batchTokens: z
    .number()
    .int()
    .min(1)
    .default(2048)
    .describe('At most so many tokens of candidates go through the model at once, padding counted.'),
  threads: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('Threads of the CPU provider; 0 for one a physical core.'),
  personaTemplate: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Jinja file that puts the persona into words, in place of the reward model's own."),
});

export type RewardModelOptions = z.input<typeof rewardModelOptionsSchema>;
