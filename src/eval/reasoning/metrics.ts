/** Figures of one problem from the grades of its samples. */
import { type Grade, type Grader, sameChoice } from './grade.js';
import type { Problem } from './problem.js';

/**
 * The probability that at least one of `k` samples is right, without bias from `count` samples of which `correct` are
 * (Chen et al. 2021): `1 - C(count - correct, k) / C(count, k)`. NaN where there are fewer samples than `k`.
 */
export function passAtK(count: number, correct: number, k: number): number {
  if (k > count) return Number.NaN;
  let allWrong = 1;
  for (let i = 0; i < k; i++) allWrong *= Math.max(0, count - correct - i) / (count - i);
  return 1 - allWrong;
}

/**
 * Whether the answer that most samples give is right; samples without an answer have no vote. Of answers with as many
 * votes the one that was given first holds. False where no sample has an answer.
 */
export function majorityIsRight(problem: Problem, grades: readonly Grade[], grader: Grader): boolean {
  const groups: { answer: string; votes: number; correct: boolean }[] = [];
  for (const { answer, correct } of grades) {
    if (answer === null) continue;
    // What one is right and the other wrong for are two answers, whatever their comparison says.
    const group = groups.find(
      (each) => each.correct === correct && sameChoice(problem, each.answer, answer, grader),
    );
    if (group === undefined) groups.push({ answer, votes: 1, correct });
    else group.votes++;
  }
  const [first, ...others] = groups;
  return (
    others.reduce((best, each) => (each.votes > (best?.votes ?? 0) ? each : best), first)?.correct ?? false
  );
}
