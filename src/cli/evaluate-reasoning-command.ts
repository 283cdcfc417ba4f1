import { join } from 'node:path';
import type { Command } from 'commander';
import { Tally } from '../data/tally.js';
import { ConfigError } from '../errors.js';
import { benchmarkNamed } from '../eval/reasoning/benchmarks.js';
import {
  type ReasoningOptions,
  type ResolvedReasoningOptions,
  reasoningOptionsSchema,
} from '../eval/reasoning/options.js';
import type { Problem } from '../eval/reasoning/problem.js';
import {
  createProblemTemplate,
  loadProblemTemplate,
  type ProblemTemplate,
} from '../eval/reasoning/prompts.js';
import type { ResolvedChatModelOptions } from '../llm/chat-model-options.js';
import { checkOptions } from '../pairs/check-options.js';
import { newCommand, print, printJson } from './command.js';
import { addDryRunFlags, type DryRunFlags } from './dry-run-flags.js';
import { describeAsking, describeResult } from './evaluation-display.js';
import { addChatModelFlags, chatModelFlags, modelName, openEvaluationModel } from './evaluation-model.js';
import { withEvaluationProgress } from './evaluation-progress.js';
import type { Progress } from './progress.js';
import { describeCounts } from './run-display.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

interface ReasoningFlags extends DryRunFlags {
  data: string;
  output: string;
  template?: string;
  json?: boolean;
}

export function evaluateReasoningCommand(): Command {
  const command = newCommand(
    'reasoning',
    {
      summary: 'solve problems of mathematics and science, many times each',
      description:
        'Lets a model solve the problems of a benchmark (OlympiadBench, Minerva, GPQA, MMLU-Pro, MATH-500), several times ' +
        'each, and grades the answers: mean accuracy with its interval, pass@k, majority vote. --data is the file as it is ' +
        'published: JSON, CSV or Parquet. Writes evaluations/reasoning-BENCHMARK.json into the folder, and every response ' +
        'with its grade into evaluations/reasoning-BENCHMARK.jsonl.',
      examples: [
        [
          'persona-dpo evaluate reasoning --benchmark math-500 --data test.jsonl --model HuggingFaceTB/SmolLM2-135M-Instruct --samples 4 --limit 20 --output runs/own',
        ],
        [
          'persona-dpo evaluate reasoning --benchmark gpqa --data gpqa_main.csv --base-url http://127.0.0.1:8000/v1 --model my-model --output runs/own',
          'a model behind a server, 50 responses to each problem',
        ],
        [
          'persona-dpo evaluate reasoning --benchmark mmlu-pro --data test-00000-of-00001.parquet --base-url http://127.0.0.1:8000/v1 --model my-model --output runs/own --dry-run',
          'what that would ask',
        ],
      ],
    },
    { json: 'print the result as JSON' },
  )
    .requiredOption('--data <FILE>', "the benchmark's problems: JSON, JSON lines, CSV or Parquet")
    .requiredOption('--output <DIR>', "the run's folder, for the result and the kept replies")
    .option('--template <FILE>', 'Jinja template of the prompt, in place of ours');
  addDryRunFlags(command).optionsGroup('Evaluation:');
  addSchemaFlags(command, reasoningOptionsSchema);
  addChatModelFlags(command, 'Model:');
  return command.action((flags: ReasoningFlags) =>
    withEvaluationProgress((progress, signal) => evaluate(command, flags, progress, signal)),
  );
}

async function evaluate(
  command: Command,
  flags: ReasoningFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const given = readSchemaFlags(command, reasoningOptionsSchema);
  if (given.benchmark === undefined)
    throw new ConfigError('--benchmark is missing: name one of those in --help');
  const options = checkOptions(reasoningOptionsSchema, given, 'the evaluation of reasoning');
  const llm = chatModelFlags(command);
  if (llm === undefined) throw new ConfigError('--model is missing: a model to evaluate');
  const { problems, tally } = await readBenchmark(flags.data, options);
  progress.line(describeCounts(tally.counts()));
  const template = templateOf(problems, flags.template);
  const asking = await estimate(problems, template, options, llm);
  if (flags.dryRun) {
    if (flags.json) printJson({ type: 'estimate', ...asking });
    else print(describeAsking(asking, flags.tokensPerSecond));
    return;
  }
  progress.line(describeAsking(asking, flags.tokensPerSecond));
  const { result, path } = await run({
    problems,
    template,
    options,
    llm,
    folder: flags.output,
    progress,
    signal,
  });
  if (flags.json) printJson(result);
  else print(`${describeResult(result)}\n\nWritten as ${path}; every response is in ${path}l.`);
}

async function readBenchmark(
  file: string,
  { benchmark, seed, limit }: ResolvedReasoningOptions,
): Promise<{ problems: Problem[]; tally: Tally }> {
  const { readProblems } = await import('../eval/reasoning/read-problems.js');
  const tally = new Tally('problems');
  try {
    return { problems: await readProblems(file, benchmark, tally, { seed, limit }), tally };
  } catch (error) {
    if (error instanceof Error) error.message += `\nIts files are at ${benchmarkNamed(benchmark).source}.`;
    throw error;
  }
}

function templateOf([first]: readonly Problem[], file: string | undefined): ProblemTemplate {
  const kind = first?.kind ?? 'math';
  return file === undefined ? createProblemTemplate(kind) : loadProblemTemplate(kind, file);
}

async function estimate(
  problems: readonly Problem[],
  template: ProblemTemplate,
  { samples, maxTokens }: ResolvedReasoningOptions,
  model: ResolvedChatModelOptions,
) {
  const { estimateAsking } = await import('../eval/estimate.js');
  const once = estimateAsking(
    problems.map((problem) => ({ messages: template.render(problem) })),
    { replyTokens: maxTokens, model },
  );
  const times = (value: number) => value * samples;
  return {
    requests: times(once.requests),
    promptTokens: times(once.promptTokens),
    completionTokens: times(once.completionTokens),
    cost: once.cost === null ? null : times(once.cost),
  };
}

interface ReasoningWork {
  problems: Problem[];
  template: ProblemTemplate;
  options: ResolvedReasoningOptions;
  llm: ResolvedChatModelOptions;
  folder: string;
  progress: Progress;
  signal: AbortSignal;
}

async function run({ problems, template, options, llm, folder, progress, signal }: ReasoningWork) {
  const [
    { evaluateReasoning },
    { reasoningResult },
    { EVALUATIONS_FOLDER, writeEvaluation },
    { openAtomic },
  ] = await Promise.all([
    import('../eval/reasoning/evaluate-reasoning.js'),
    import('../eval/reasoning/reasoning-result.js'),
    import('../eval/results.js'),
    import('../data/atomic-write.js'),
  ]);
  const model = await openEvaluationModel(llm, { folder, progress, signal });
  const started = performance.now();
  const responses = await openAtomic(
    join(folder, EVALUATIONS_FOLDER, `reasoning-${options.benchmark}.jsonl`),
  );
  try {
    const scores = await evaluateReasoning(problems, model, options satisfies ReasoningOptions, {
      template,
      signal,
      onProgress: ({ done, total, text = '' }) =>
        progress.update('solving', done, total, `${done}/${total}${text === '' ? '' : `, ${text}`}`),
      onProblem: (row) => responses.write(`${JSON.stringify(row)}\n`),
    });
    await responses.commit();
    const result = reasoningResult({
      options,
      scores,
      subject: modelName(llm),
      usage: model.usage(),
      seconds: (performance.now() - started) / 1000,
    });
    return { result, path: await writeEvaluation(folder, result) };
  } finally {
    progress.end();
    await responses.abort();
    await model.dispose();
  }
}
