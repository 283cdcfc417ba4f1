/** What the synthesis of math conversations can be told. */
import { z } from 'zod';

export const mathOptionsSchema = z.object({
  size: z
    .number()
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('Takes so many erroneous solutions, drawn by seed. Paper: 10000. null: all.'),
  seed: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('Of the draw of solutions, and of the words that the simulated user chooses.'),
  unfinished: z
    .boolean()
    .default(true)
    .describe(
      "Also takes solutions that do not go to their end, most often only to the wrong step: those of PRM800K's first phase, where a person's step took the place of the model's.",
    ),
  numberSteps: z
    .boolean()
    .default(true)
    .describe(
      'Begins each step of a solution with "Step 3: ", so that it is clear which one the user means.',
    ),
});

export type MathOptions = z.input<typeof mathOptionsSchema>;
export type ResolvedMathOptions = z.output<typeof mathOptionsSchema>;
