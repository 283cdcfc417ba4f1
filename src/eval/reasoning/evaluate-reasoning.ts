/** Lets a model solve problems many times over, and grades what it says. */

import { mean } from '../../data/statistics.js';
import { ConfigError } from '../../errors.js';
import type { ChatModel, ChatReply, ChatRequest } from '../../llm/chat-model.js';
import { askInOrder } from '../../pairs/ask-in-order.js';
import { checkOptions } from '../../pairs/check-options.js';
import type { StageProgress } from '../../pairs/stage.js';
import { bootstrapInterval } from '../statistics/bootstrap.js';
import type { Interval } from '../statistics/interval.js';
import { type Grade, gradeResponse } from './grade.js';
import { majorityIsRight, passAtK } from './metrics.js';
import { type ReasoningOptions, type ResolvedReasoningOptions, reasoningOptionsSchema } from './options.js';
import type { Problem } from './problem.js';
import { createProblemTemplate, type ProblemTemplate } from './prompts.js';

/** One response and its grade. */
export interface SampleRow extends Grade {
  response: string;
  finishReason: ChatReply['finishReason'];
  /** Tokens of the response. */
  tokens: number;
}

/** A problem with all that the model said to it: what goes into the file of responses. */
export interface ProblemRow {
  id: string;
  category: string;
  question: string;
  truth: string;
  /** Share of right responses; null where every request failed. */
  accuracy: number | null;
  majority: boolean | null;
  samples: SampleRow[];
  /** Why requests failed, those that did. */
  failures: string[];
}

export interface ReasoningScores {
  problems: number;
  samples: number;
  /** Mean over problems of the share of right responses. */
  accuracy: Interval;
  majority: Interval;
  passAt: { k: number; score: Interval }[];
  byCategory: { category: string; problems: number; accuracy: Interval }[];
  /** Responses without an answer, which count as wrong, and those that were cut at `maxTokens`. */
  withoutAnswer: number;
  cut: number;
  /** Requests that failed: they are in none of the figures; nor are problems all of whose requests did. */
  failed: number;
  /** Mean tokens of a response. */
  responseTokens: number;
}

export interface ReasoningHooks {
  signal?: AbortSignal;
  onProgress?: (progress: StageProgress) => void;
  /** Called with each problem when all its responses are graded, in the order of the problems. */
  onProblem?: (row: ProblemRow) => Promise<void> | void;
}

/** What is kept of a problem. */
interface Tallied {
  category: string;
  count: number;
  correct: number;
  majority: boolean;
}

/**
 * Asks for `samples` responses to each problem, with a seed each, and grades them. Responses are asked for as fast as the
 * model takes them; with a cached model (`withReplyCache`) a stopped evaluation goes on where it was. Intervals are of a
 * bootstrap over problems: the samples of one hang together.
 *
 * @throws ConfigError for options that cannot be used; LlmApiError where the model cannot be asked any more
 */
export async function evaluateReasoning(
  problems: readonly Problem[],
  model: ChatModel,
  input: ReasoningOptions,
  { template, ...hooks }: ReasoningHooks & { template?: ProblemTemplate } = {},
): Promise<ReasoningScores> {
  const options = checkOptions(reasoningOptionsSchema, input, 'the evaluation of reasoning');
  if (options.temperature === 0 && options.samples > 1) {
    throw new ConfigError(
      `At temperature 0 all responses are the same: expected 1 sample or a temperature above 0, got ${options.samples} samples.`,
    );
  }
  const [first] = problems;
  if (first === undefined) throw new ConfigError('There are no problems to evaluate.');
  const prompts = template ?? createProblemTemplate(first.kind);
  const book = new Book(options, hooks);
  const total = problems.length * options.samples;
  let open = openRow(first);
  let done = 0;
  for await (const { subject: problem, reply, error } of askInOrder(
    model,
    questions(problems, prompts, options),
    hooks.signal === undefined ? {} : { signal: hooks.signal },
  )) {
    if (problem !== open.problem) {
      await book.close(open);
      open = openRow(problem);
    }
    if (error === undefined) open.samples.push(sampleRow(problem, reply, options));
    else open.failures.push(error.message);
    hooks.onProgress?.({ done: ++done, total, text: book.describe() });
  }
  await book.close(open);
  return book.scores();
}

interface OpenRow {
  problem: Problem;
  samples: SampleRow[];
  failures: string[];
}

function openRow(problem: Problem): OpenRow {
  return { problem, samples: [], failures: [] };
}

function* questions(
  problems: readonly Problem[],
  template: ProblemTemplate,
  options: ResolvedReasoningOptions,
): Generator<{ subject: Problem; request: ChatRequest }> {
  for (const problem of problems) {
    const messages = template.render(problem);
    for (let sample = 0; sample < options.samples; sample++) {
      yield { subject: problem, request: requestOf(problem, messages, sample, options) };
    }
  }
}

function requestOf(
  { id }: Problem,
  messages: ChatRequest['messages'],
  sample: number,
  { temperature, topP, maxTokens, seed }: ResolvedReasoningOptions,
): ChatRequest {
  return {
    id: `${id}#${sample + 1}`,
    messages,
    sampling: { temperature, topP, maxTokens, seed: seed + sample },
  };
}

function sampleRow(problem: Problem, reply: ChatReply, { grader }: ResolvedReasoningOptions): SampleRow {
  return {
    ...gradeResponse(problem, reply.text, grader),
    response: reply.text,
    finishReason: reply.finishReason,
    tokens: reply.completionTokens,
  };
}

/** The figures as problems are closed. */
class Book {
  readonly #options: ResolvedReasoningOptions;
  readonly #hooks: ReasoningHooks;
  readonly #problems: Tallied[] = [];
  #withoutAnswer = 0;
  #cut = 0;
  #failed = 0;
  #responses = 0;
  #tokens = 0;

  constructor(options: ResolvedReasoningOptions, hooks: ReasoningHooks) {
    this.#options = options;
    this.#hooks = hooks;
  }

  async close({ problem, samples, failures }: OpenRow): Promise<void> {
    const { id, category, question, truth } = problem;
    const correct = samples.filter((sample) => sample.correct).length;
    const majority = majorityIsRight(problem, samples, this.#options.grader);
    this.#failed += failures.length;
    this.#withoutAnswer += samples.filter(({ answer }) => answer === null).length;
    this.#cut += samples.filter(({ finishReason }) => finishReason === 'length').length;
    this.#responses += samples.length;
    this.#tokens += samples.reduce((sum, { tokens }) => sum + tokens, 0);
    if (samples.length > 0) this.#problems.push({ category, count: samples.length, correct, majority });
    const none = samples.length === 0;
    await this.#hooks.onProblem?.({
      ...{ id, category, question, truth, samples, failures },
      accuracy: none ? null : correct / samples.length,
      majority: none ? null : majority,
    });
  }

  /** A few words while it goes. */
  describe(): string {
    if (this.#problems.length === 0) return '';
    return `accuracy so far ${(100 * mean(this.#problems.map(accuracyOf))).toFixed(1)} %`;
  }

  scores(): ReasoningScores {
    const { samples, passAt } = this.#options;
    const wanted = [...new Set(passAt)].filter((k) => k <= samples).sort((a, b) => a - b);
    return {
      problems: this.#problems.length,
      samples,
      accuracy: this.#interval(this.#problems, accuracyOf),
      majority: this.#interval(this.#problems, ({ majority }) => Number(majority)),
      passAt: wanted.map((k) => ({
        k,
        score: this.#interval(
          this.#problems.filter(({ count }) => count >= k),
          ({ count, correct }) => passAtK(count, correct, k),
        ),
      })),
      byCategory: this.#byCategory(),
      withoutAnswer: this.#withoutAnswer,
      cut: this.#cut,
      failed: this.#failed,
      responseTokens: this.#tokens / this.#responses,
    };
  }

  #byCategory(): ReasoningScores['byCategory'] {
    const categories = [...new Set(this.#problems.map(({ category }) => category))].sort();
    if (categories.length < 2) return [];
    return categories.map((category) => {
      const problems = this.#problems.filter((problem) => problem.category === category);
      return { category, problems: problems.length, accuracy: this.#interval(problems, accuracyOf) };
    });
  }

  #interval(problems: readonly Tallied[], score: (problem: Tallied) => number): Interval {
    const { resamples, seed } = this.#options;
    return bootstrapInterval(problems.map(score), mean, { resamples, seed });
  }
}

function accuracyOf({ count, correct }: Tallied): number {
  return correct / count;
}
