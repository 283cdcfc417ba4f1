import type { Prm800kRow, Prm800kStep } from '../../../src/pairs/math/prm800k-row.js';

type Rating = -1 | 0 | 1 | null;

/** A step for which the model offered texts with ratings; the first is chosen unless told otherwise. */
export function step(
  offered: Record<string, Rating>,
  { chosen = 0, human = null }: { chosen?: number | null; human?: string | null } = {},
): Prm800kStep {
  return {
    completions: Object.entries(offered).map(([text, rating]) => ({ text, rating })),
    human_completion: human === null ? null : { text: human },
    chosen_completion: chosen,
  };
}

/** A row of the second phase: the model's whole solution, its steps rated as far as ratings go. */
export function generatedRow(
  steps: readonly string[],
  ratings: readonly Rating[],
  rest: { question?: Partial<Prm800kRow['question']>; finish?: string | null } = {},
): Prm800kRow {
  const { question = {}, finish = 'found_error' } = rest;
  return {
    question: { problem: 'What is 2 + 2?', pre_generated_steps: [...steps], ...question },
    label: {
      steps: ratings.map((rating, i) => step({ [steps[i] as string]: rating })),
      finish_reason: finish,
    },
  };
}

/** A row of the first phase: no solution but the way that was chosen. */
export function chosenRow(steps: Prm800kStep[], finish: string | null = 'solution'): Prm800kRow {
  return {
    question: { problem: 'What is 2 + 2?', ground_truth_answer: null },
    label: { steps, finish_reason: finish },
  };
}
