/** Whether a response solves a problem. */
import { finalAnswer } from '../../data/math-answer/final-answer.js';
import { numericValue } from '../../data/math-answer/numeric-value.js';
import { sameAnswer } from '../../data/math-answer/same-answer.js';
import { sameForm } from '../../data/math-answer/written-form.js';
import { choiceAnswer } from './choice-answer.js';
import type { MathProblem, Problem, Tolerance } from './problem.js';

/** By what answers mean, or by the form that they are written in. */
export type Grader = 'meaning' | 'form';

export interface Grade {
  /** What was found in the response as its answer; null where nothing was. */
  answer: string | null;
  correct: boolean;
}

/** Finds the answer of a response and compares it with the true one. A response without an answer is wrong. */
export function gradeResponse(problem: Problem, response: string, grader: Grader = 'meaning'): Grade {
  const answer = answerOf(problem, response);
  return { answer: answer ?? null, correct: answer !== undefined && isRight(problem, answer, grader) };
}

/** Whether two answers to a problem are the same one, as a majority counts them. */
export function sameChoice(problem: Problem, left: string, right: string, grader: Grader): boolean {
  if (problem.kind === 'choice' || left === right) return left === right;
  return compare(left, right, grader);
}

function answerOf(problem: Problem, response: string): string | undefined {
  return problem.kind === 'math' ? finalAnswer(response) : choiceAnswer(response, problem.letters);
}

function isRight(problem: Problem, answer: string, grader: Grader): boolean {
  if (problem.kind === 'choice') return answer === problem.truth;
  return compare(answer, problem.truth, grader) || isNear(answer, problem);
}

function compare(answer: string, truth: string, grader: Grader): boolean {
  return grader === 'form' ? sameForm(answer, truth) : sameAnswer(answer, truth);
}

function isNear(answer: string, { truth, tolerance }: MathProblem): boolean {
  if (tolerance === undefined) return false;
  const [given, wanted] = [numericValue(answer), numericValue(truth)];
  if (given === undefined || wanted === undefined) return false;
  return Math.abs(given - wanted) <= roomOf(tolerance, wanted) * (1 + 1e-9);
}

function roomOf(tolerance: Tolerance, wanted: number): number {
  return 'absolute' in tolerance ? tolerance.absolute : tolerance.relative * Math.abs(wanted);
}
