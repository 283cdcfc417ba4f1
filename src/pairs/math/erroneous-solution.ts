/** The erroneous solution in a row of PRM800K, if there is one. */
import { boxedAnswer } from '../../data/math-answer/boxed.js';
import { sameForm } from '../../data/math-answer/written-form.js';
import { splitAnswer } from './answers.js';
import type { Prm800kRow, Prm800kStep } from './prm800k-row.js';

export interface ErroneousSolution {
  problem: string;
  /** What the model wrote, step by step. */
  steps: string[];
  /** Index of the first step that was rated wrong. */
  wrong: number;
  /** Whether it goes to its end, rather than to the wrong step or to where people gave up. */
  finished: boolean;
  /** Whether its final answer is right all the same; undefined where that is not known, or there is none. */
  answerIsRight?: boolean;
}

/** Why a row has no erroneous solution. */
export interface NoErroneousSolution {
  reason: 'bad-problem' | 'no-solution' | 'no-rating' | 'no-error';
}

/** One step of a solution with the rating that it got. */
interface RatedStep {
  text: string;
  /** Undefined where nobody rated it. */
  rating?: -1 | 0 | 1;
  /** The model's own step, a wrong one, in whose place a person's stands. */
  replaced?: string;
}

/**
 * The solution and its first wrong step.
 *
 * In the second phase it is the whole solution that the model had generated; its steps are rated up to the first wrong
 * one. In the first phase it is the way that people chose among the model's steps. Where that way has no wrong step,
 * but a person wrote a step because the model had only wrong ones, it is the way up to there and the model's first
 * wrong step, which ends it.
 */
export function erroneousSolution({ question, label }: Prm800kRow): ErroneousSolution | NoErroneousSolution {
  if (label.finish_reason === 'bad_problem') return { reason: 'bad-problem' };
  const generated = question.pre_generated_steps ?? [];
  const steps = generated.length > 0 ? generatedSteps(generated, label.steps) : chosenSteps(label.steps);
  if (steps.length === 0) return { reason: 'no-solution' };
  const wrong = steps.findIndex(({ rating, replaced }) => rating === -1 || replaced !== undefined);
  // With an unrated step before it, nobody knows whether it is the first.
  const before = wrong === -1 ? steps : steps.slice(0, wrong);
  if (before.some(({ rating }) => rating === undefined)) return { reason: 'no-rating' };
  if (wrong === -1) return { reason: 'no-error' };
  const { problem } = question;
  const replaced = steps[wrong]?.replaced;
  if (replaced !== undefined) {
    return { problem, steps: [...textsOf(before), replaced], wrong, finished: false };
  }
  const texts = textsOf(steps);
  const finished = generated.length > 0 || label.finish_reason === 'solution';
  const rightness = finished ? answerRightness({ question, label }, texts) : {};
  return { problem, steps: texts, wrong, finished, ...rightness };
}

function textsOf(steps: readonly RatedStep[]): string[] {
  return steps.map(({ text }) => text);
}

/** The model's solution, each step with the rating of the completion that has its text. */
function generatedSteps(generated: readonly string[], labelled: readonly Prm800kStep[]): RatedStep[] {
  return generated.map((text, index) => {
    const offered = labelled[index]?.completions ?? [];
    const rating = offered.find((completion) => completion.text.trim() === text.trim())?.rating;
    return { text, ...(rating === null || rating === undefined ? {} : { rating }) };
  });
}

/** The way through the steps that the labeller went, up to the first step where it is not known. */
function chosenSteps(labelled: readonly Prm800kStep[]): RatedStep[] {
  const steps: RatedStep[] = [];
  for (const { completions, human_completion: human, chosen_completion: chosen } of labelled) {
    const offered = completions ?? [];
    const replaced = offered.find(({ rating }) => rating === -1)?.text;
    const taken = chosen === null || chosen === undefined ? undefined : offered[chosen];
    if (taken !== undefined) {
      const { text, rating } = taken;
      steps.push({ text, ...(rating === null || rating === undefined ? {} : { rating }) });
    } else if (human !== null && human !== undefined) {
      steps.push({ text: human.text, rating: 1, ...(replaced === undefined ? {} : { replaced }) });
    } else {
      if (replaced !== undefined) steps.push({ text: replaced, rating: -1, replaced });
      break;
    }
  }
  return steps;
}

/**
 * Compares the final answer with the true one, as PRM800K's own grader does. Where the row does not give that, it is the one in the box of the true
 * solution; where it gives neither, an answer counts as right if the labelling ended because it was
 * (`finish_reason: solution`), and else nothing is known.
 */
function answerRightness(
  { question, label }: Pick<Prm800kRow, 'question' | 'label'>,
  steps: readonly string[],
): { answerIsRight?: boolean } {
  const last = steps.at(-1) ?? '';
  const answer = question.pre_generated_answer ?? splitAnswer(last).answer ?? boxedAnswer(last);
  const truth = question.ground_truth_answer ?? boxedAnswer(question.ground_truth_solution ?? '');
  if (answer !== undefined && truth !== undefined) return { answerIsRight: sameForm(answer, truth) };
  return label.finish_reason === 'solution' ? { answerIsRight: true } : {};
}
