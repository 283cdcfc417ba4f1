/** Problems of reasoning benchmarks, whatever file they come from. */

interface ProblemBase {
  /** As in the benchmark, else the row's number. */
  id: string;
  /** All that is asked, with the context that it needs. */
  question: string;
  /** Subject, level, field: what accuracies are given by. */
  category: string;
}

export interface MathProblem extends ProblemBase {
  kind: 'math';
  /** The true answer; several are parted by commas. */
  truth: string;
  /** How far a number may be from the true one; absent where it has to be the same. */
  tolerance?: Tolerance;
}

export interface ChoiceProblem extends ProblemBase {
  kind: 'choice';
  options: string[];
  /** Letters that are looked for in responses: the most that a problem of the benchmark has. */
  letters: number;
  /** Letter of the right one. */
  truth: string;
}

export type Problem = MathProblem | ChoiceProblem;

export type Tolerance = { absolute: number } | { relative: number };

/** Letters of options in their order: `A`, `B`, ... */
export function letterOf(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}
