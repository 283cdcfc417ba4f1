/** The figures of an evaluation of reasoning in the form that the report reads. */
import type { ChatUsage } from '../../llm/chat-model.js';
import type { EvaluationCell, EvaluationResultInput } from '../results.js';
import type { Interval } from '../statistics/interval.js';
import { benchmarkNamed } from './benchmarks.js';
import type { ReasoningScores } from './evaluate-reasoning.js';
import type { ResolvedReasoningOptions } from './options.js';

export interface ReasoningRun {
  options: ResolvedReasoningOptions;
  scores: ReasoningScores;
  /** What the model is called. */
  subject: string;
  usage: ChatUsage;
  seconds: number;
}

export function reasoningResult({
  options,
  scores,
  subject,
  usage,
  seconds,
}: ReasoningRun): EvaluationResultInput {
  const { benchmark, samples, temperature, topP, maxTokens, seed, grader } = options;
  const { title } = benchmarkNamed(benchmark);
  const rows = [
    { label: `accuracy (mean of ${samples})`, cells: [cellOf(scores.accuracy, scores.problems)] },
    { label: 'majority vote', cells: [cellOf(scores.majority, scores.problems)] },
    ...scores.passAt.map(({ k, score }) => ({
      label: `pass@${k}`,
      cells: [cellOf(score, scores.problems)],
    })),
    ...scores.byCategory.map(({ category, problems, accuracy }) => ({
      label: category === '' ? 'others' : category,
      group: 'accuracy by category',
      cells: [cellOf(accuracy, problems)],
    })),
  ];
  return {
    kind: 'evaluation',
    format: 1,
    name: `reasoning-${benchmark}`,
    title,
    about:
      `Share of right responses to ${scores.problems} problems, ${samples} to each. ${scores.withoutAnswer} responses ` +
      `have no answer and count as wrong, ${scores.cut} were cut at ${maxTokens} tokens, ${scores.failed} requests failed ` +
      'and are left out.',
    subject,
    finishedAt: new Date().toISOString(),
    settings: { benchmark, samples, temperature, topP, maxTokens, seed, grader },
    tables: [
      {
        title: `${title}: accuracy`,
        note: 'Intervals of 95 % by drawing the problems again.',
        columns: [{ title: 'share right', unit: 'share', better: 'higher' }],
        rows,
      },
    ],
    seconds,
    usage,
  };
}

function cellOf({ estimate, low, high }: Interval, count: number): EvaluationCell {
  return Number.isNaN(estimate) ? { value: null, count } : { value: estimate, low, high, count };
}
