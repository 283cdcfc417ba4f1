import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import type { Answered, AskedQuestion } from '../eval/answer-questions.js';
import type { ChatModel, ChatUsage, LabelRequest } from '../llm/chat-model.js';
import type { ResolvedChatModelOptions } from '../llm/chat-model-options.js';
import { print, printJson } from './command.js';
import { addDryRunFlags, type DryRunFlags } from './dry-run-flags.js';
import { describeAsking } from './evaluation-display.js';
import { addChatModelFlags, chatModelFlags, openEvaluationModel } from './evaluation-model.js';
import type { Progress } from './progress.js';

/** Flags of evaluations in which a model answers and another one judges. */
export interface JudgedFlags extends DryRunFlags {
  output: string;
  template?: string;
  json?: boolean;
}

export function addJudgedFlags(command: Command): Command {
  command
    .requiredOption('--output <DIR>', "the run's folder, for the result and the kept replies")
    .option('--template <FILE>', "Jinja template of the judge's prompt, in place of ours");
  return addDryRunFlags(command);
}

export function addJudgedModels(command: Command): Command {
  addChatModelFlags(command, 'Model that answers:');
  return addChatModelFlags(command, 'Judge:', { prefix: 'judge' });
}

export interface JudgedModels {
  /** Null where its answers are given. */
  subject: ResolvedChatModelOptions | null;
  judge: ResolvedChatModelOptions;
}

/** @param answers The flag that gives the model's answers, and its value */
export function judgedModels(
  command: Command,
  answers: { flag: string; file: string | undefined },
): JudgedModels {
  const subject = chatModelFlags(command) ?? null;
  const judge = chatModelFlags(command, { prefix: 'judge' });
  if ((subject === null) === (answers.file === undefined)) {
    throw new ConfigError(`give --model, or its answers by ${answers.flag}: one of both`);
  }
  if (judge === undefined) throw new ConfigError('--judge-model is missing: a model that judges');
  return { subject, judge };
}

export interface Surroundings {
  folder: string;
  progress: Progress;
  signal: AbortSignal;
}

/** Opens a model for some work, and lets go of it afterwards; says what was asked of it. */
export async function withEvaluationModel<Result>(
  options: ResolvedChatModelOptions,
  surroundings: Surroundings,
  work: (model: ChatModel) => Promise<Result>,
): Promise<{ result: Result; usage: ChatUsage }> {
  const model = await openEvaluationModel(options, surroundings);
  try {
    const result = await work(model);
    return { result, usage: model.usage() };
  } finally {
    surroundings.progress.end();
    await model.dispose();
  }
}

export interface AnsweringOptions {
  temperature: number;
  maxTokens: number;
  seed: number;
}

/** Lets the model answer, with a bar. */
export async function answerAll(
  questions: readonly AskedQuestion[],
  options: ResolvedChatModelOptions,
  sampling: AnsweringOptions,
  surroundings: Surroundings,
): Promise<Answered[]> {
  const { answerQuestions } = await import('../eval/answer-questions.js');
  const { progress, signal } = surroundings;
  const { result } = await withEvaluationModel(options, surroundings, (model) =>
    answerQuestions(questions, model, {
      ...sampling,
      signal,
      onProgress: ({ done, total }) =>
        progress.update('answering', done, total, `${done}/${total} questions`),
    }),
  );
  return result;
}

export interface JudgedAsking {
  models: JudgedModels;
  questions: readonly AskedQuestion[];
  sampling: AnsweringOptions;
  /** What the judge will be asked, with an empty answer where there is none yet. */
  judging: Iterable<Pick<LabelRequest, 'messages'>>;
  /** Tokens of a judgment, at most. */
  judgmentTokens: number;
}

/** Shows what will be asked of both models; true where nothing more is to be done. */
export async function showAsking(
  { models, questions, sampling, judging, judgmentTokens }: JudgedAsking,
  { dryRun = false, json = false, tokensPerSecond }: JudgedFlags,
  progress: Progress,
): Promise<boolean> {
  const [{ estimateAsking }, { questionRequests }] = await Promise.all([
    import('../eval/estimate.js'),
    import('../eval/answer-questions.js'),
  ]);
  const { subject, judge } = models;
  const answering =
    subject === null
      ? null
      : estimateAsking(questionRequests(questions, sampling), {
          replyTokens: sampling.maxTokens,
          model: subject,
        });
  const asked = estimateAsking(judging, { replyTokens: judgmentTokens, model: judge });
  // Answers that are not there yet are part of the prompts all the same.
  const promptTokens =
    asked.promptTokens +
    (answering === null ? 0 : (asked.requests / questions.length) * answering.completionTokens);
  const costPerToken = judge.kind === 'server' ? (judge.pricePerMillionPromptTokens ?? 0) / 1e6 : 0;
  const cost = asked.cost === null ? null : asked.cost + (promptTokens - asked.promptTokens) * costPerToken;
  const judgingEstimate = { ...asked, promptTokens, cost };
  if (dryRun && json) {
    printJson({ type: 'estimate', answering, judging: judgingEstimate });
    return true;
  }
  const lines = [
    ...(answering === null ? [] : [`The model: ${describeAsking(answering, tokensPerSecond)}`]),
    `The judge: ${describeAsking(judgingEstimate, tokensPerSecond)}`,
  ];
  if (dryRun) print(lines.join('\n'));
  else for (const line of lines) progress.line(line);
  return dryRun;
}
