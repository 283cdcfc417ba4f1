/** A row of PRM800K (Lightman et al. 2023): a solution of a MATH problem with the ratings of its steps. */
import { z } from 'zod';

const completionSchema = z.object({
  text: z.string(),
  /** 1 right, 0 neither right nor wrong, -1 wrong; null where nobody rated it. */
  rating: z.union([z.literal(-1), z.literal(0), z.literal(1)]).nullish(),
});

const stepSchema = z.object({
  /** What the model offered at this step; in the second phase the step of its solution is the first. */
  completions: z.array(completionSchema).nullable(),
  /** In the first phase, what a person wrote where all of them were wrong. */
  human_completion: z.object({ text: z.string() }).nullish(),
  /** Which completion the solution went on from; null for the person's, or for none. */
  chosen_completion: z.number().int().min(0).nullish(),
});

/** The fields that are read; all others may be there, be null or be missing. */
export const prm800kRowSchema = z.object({
  question: z.object({
    problem: z.string().min(1),
    ground_truth_answer: z.string().nullish(),
    ground_truth_solution: z.string().nullish(),
    /** The whole solution of the model, in the second phase. */
    pre_generated_steps: z.array(z.string()).nullish(),
    pre_generated_answer: z.string().nullish(),
  }),
  label: z.object({
    steps: z.array(stepSchema),
    /** `solution`, `found_error`, `bad_problem` or `give_up`. */
    finish_reason: z.string().nullish(),
  }),
});

export type Prm800kRow = z.output<typeof prm800kRowSchema>;
export type Prm800kStep = z.output<typeof stepSchema>;
