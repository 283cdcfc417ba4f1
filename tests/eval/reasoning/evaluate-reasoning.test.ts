import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/errors.js';
import { evaluateReasoning, type ProblemRow } from '../../../src/eval/reasoning/evaluate-reasoning.js';
import { type ReasoningOptions, reasoningOptionsSchema } from '../../../src/eval/reasoning/options.js';
import type { ChoiceProblem, MathProblem } from '../../../src/eval/reasoning/problem.js';
import { createProblemTemplate } from '../../../src/eval/reasoning/prompts.js';
import { reasoningResult } from '../../../src/eval/reasoning/reasoning-result.js';
import { evaluationResultSchema } from '../../../src/eval/results.js';
import { withReplyCache } from '../../../src/llm/reply-cache.js';
import { memoryReplyStore } from '../../../src/llm/reply-store.js';
import { answeringModel, apiError } from '../../pairs/support/answering-model.js';

const problems: MathProblem[] = [
  { kind: 'math', id: 'sum', question: 'What is 1 + 1?', category: 'easy', truth: '2' },
  { kind: 'math', id: 'root', question: 'Solve x^2 = 8 for x > 0.', category: 'hard', truth: '2\\sqrt{2}' },
];

/** Right for the sum always, for the root every second time. */
function say(question: string, seed: number): string {
  if (question.includes('1 + 1')) return 'It is \\boxed{2}.';
  return seed % 2 === 0 ? 'It is \\boxed{\\sqrt{8}}.' : `It is \\boxed{${seed}}.`;
}

const model = () =>
  answeringModel(({ messages, sampling }) => say(messages[0]?.content ?? '', sampling?.seed ?? 0));

const options: ReasoningOptions = { benchmark: 'math-500', samples: 6, passAt: [3, 1, 50], seed: 10 };

describe('an evaluation of reasoning', () => {
  test('gives the mean over samples, majority and pass@k, with every response', async () => {
    const rows: ProblemRow[] = [];
    const progress: number[] = [];
    const asked = model();
    const scores = await evaluateReasoning(problems, asked, options, {
      onProblem: (row) => void rows.push(row),
      onProgress: ({ done, total }) => {
        expect(total).toBe(12);
        progress.push(done);
      },
    });
    expect(scores.accuracy.estimate).toBeCloseTo(0.75, 12);
    expect(scores.accuracy.low).toBe(0.5);
    expect(scores.accuracy.high).toBe(1);
    // Three right answers to the root are one answer, three wrong ones are three.
    expect(scores.majority.estimate).toBe(1);
    expect(scores.passAt.map(({ k }) => k)).toEqual([1, 3]);
    expect(scores.passAt[1]?.score.estimate).toBeCloseTo((1 + (1 - 1 / 20)) / 2, 12);
    expect(scores.byCategory.map(({ category, accuracy }) => [category, accuracy.estimate])).toEqual([
      ['easy', 1],
      ['hard', 0.5],
    ]);
    expect(rows.map(({ id, accuracy, majority }) => [id, accuracy, majority])).toEqual([
      ['sum', 1, true],
      ['root', 0.5, true],
    ]);
    expect(rows[1]?.samples[1]).toEqual({
      ...{ answer: '11', correct: false, response: 'It is \\boxed{11}.', finishReason: 'stop', tokens: 5 },
    });
    expect(progress).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(new Set(asked.requests.map(({ sampling }) => sampling?.seed)).size).toBe(6);
  });

  test('goes on where it was stopped', async () => {
    const store = memoryReplyStore();
    const first = model();
    const stopped = evaluateReasoning(problems, withReplyCache(first, store), options, {
      onProgress: ({ done }) => {
        if (done === 5) throw new Error('the power is off');
      },
    });
    await expect(stopped).rejects.toThrow('the power is off');
    const second = model();
    const scores = await evaluateReasoning(problems, withReplyCache(second, store), options);
    expect(scores.accuracy.estimate).toBeCloseTo(0.75, 12);
    expect(second.requests.length).toBeLessThan(12);
    const third = model();
    expect(await evaluateReasoning(problems, withReplyCache(third, store), options)).toEqual(scores);
    expect(third.requests).toHaveLength(0);
  });

  test('counts what has no answer, was cut or failed', async () => {
    const asked = answeringModel(({ messages, sampling }) => {
      if (messages[0]?.content.includes('x^2')) return apiError('too long');
      return sampling?.seed === 0 ? { text: 'Well,', finishReason: 'length' } : 'It is 2.';
    });
    const rows: ProblemRow[] = [];
    const scores = await evaluateReasoning(
      problems,
      asked,
      { benchmark: 'math-500', samples: 2 },
      { onProblem: (row) => void rows.push(row) },
    );
    expect(scores).toMatchObject({ problems: 1, withoutAnswer: 1, cut: 1, failed: 2 });
    expect(scores.accuracy.estimate).toBe(0.5);
    expect(rows[1]).toMatchObject({ accuracy: null, majority: null, failures: ['too long', 'too long'] });
  });

  test('refuses what cannot be', async () => {
    const refused = (input: object) => evaluateReasoning(problems, model(), input as never);
    await expect(refused({ benchmark: 'math-500', temperature: 0 })).rejects.toThrow(
      'all responses are the same',
    );
    await expect(refused({ benchmark: 'math-500', sample: 3 })).rejects.toThrow('sample');
    await expect(evaluateReasoning([], model(), options)).rejects.toThrow(ConfigError);
  });

  test('is told in the form that the report reads', async () => {
    const scores = await evaluateReasoning(problems, model(), options);
    const usage = model().usage();
    const result = reasoningResult({
      options: reasoningOptionsSchema.parse(options),
      ...{ scores, subject: 'tiny', usage, seconds: 1 },
    });
    const { tables } = evaluationResultSchema.parse(result);
    expect(tables[0]?.rows.map(({ label }) => label)).toEqual([
      ...['accuracy (mean of 6)', 'majority vote', 'pass@1', 'pass@3', 'easy', 'hard'],
    ]);
    expect(tables[0]?.rows[0]?.cells).toEqual([{ value: 0.75, low: 0.5, high: 1, count: 2 }]);
  });
});

describe('prompts', () => {
  const choice: ChoiceProblem = {
    ...{ kind: 'choice', id: '1', question: 'Which?', category: '', truth: 'B', letters: 10 },
    options: ['{{ question }}', 'second'],
  };

  test('show the question, and the options with their letters', () => {
    const [message] = createProblemTemplate('choice').render(choice);
    expect(message?.role).toBe('user');
    expect(message?.content).toContain('Which?');
    expect(message?.content).toContain('A. {{ question }}\nB. second\n');
    expect(createProblemTemplate('math').render(problems[0] as MathProblem)[0]?.content).toContain(
      '\\boxed{}',
    );
  });

  test('that leave something out are refused', () => {
    expect(() => createProblemTemplate('math', 'Solve it.')).toThrow('must show {{ question }}');
    expect(() => createProblemTemplate('choice', '{{ question }}')).toThrow('must show every option');
    expect(() => createProblemTemplate('math', '{{ question')).toThrow('not valid Jinja');
  });
});
