import { join } from 'node:path';
import type { Command } from 'commander';
import { DataError } from '../errors.js';
import type { AlpacaOutput } from '../eval/alpaca-eval/annotations.js';
import { GAMED_COMMAND } from '../eval/alpaca-eval/gamed-baselines.js';
import type { OutputPair } from '../eval/alpaca-eval/judge-outputs.js';
import { alpacaOptionsSchema, type ResolvedAlpacaOptions } from '../eval/alpaca-eval/options.js';
import { checkOptions } from '../pairs/check-options.js';
import { newCommand, print, printJson } from './command.js';
import { describeResult } from './evaluation-display.js';
import { modelName } from './evaluation-model.js';
import { withEvaluationProgress } from './evaluation-progress.js';
import {
  addJudgedFlags,
  addJudgedModels,
  answerAll,
  type JudgedFlags,
  type JudgedModels,
  judgedModels,
  type Surroundings,
  showAsking,
  withEvaluationModel,
} from './judged-evaluation.js';
import type { Progress } from './progress.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

const REFERENCE_COMMAND =
  'curl -L -o alpaca_eval_gpt4_baseline.json \\\n    https://huggingface.co/datasets/tatsu-lab/alpaca_eval/resolve/main/alpaca_eval_gpt4_baseline.json';

interface AlpacaFlags extends JudgedFlags {
  reference: string;
  outputs?: string;
  gamed?: string;
}

export function evaluateAlpacaCommand(): Command {
  const command = newCommand(
    'alpaca-eval',
    {
      summary: 'win rate on AlpacaEval 2, raw and length-controlled',
      description:
        'Lets a model answer the instructions of AlpacaEval 2, and a judge say which answer is better, the one of the ' +
        'baseline or of the model: by the likelihood that it gives each of two labels. Instructions and the answers of the ' +
        `baseline are in one file, which you fetch:\n\n  ${REFERENCE_COMMAND}\n\nThe length-controlled rate needs another ` +
        `one:\n\n  ${GAMED_COMMAND}\n\nOutputs and annotations are written in the form of alpaca_eval.`,
      examples: [
        [
          'persona-dpo evaluate alpaca-eval --reference alpaca_eval_gpt4_baseline.json --gamed df_gamed.csv --base-url http://127.0.0.1:8000/v1 --model my-model --judge-base-url https://api.openai.com/v1 --judge-model gpt-4-1106-preview --output runs/own',
        ],
        [
          'persona-dpo evaluate alpaca-eval --reference alpaca_eval_gpt4_baseline.json --outputs outputs.json --judge-model HuggingFaceTB/SmolLM2-135M-Instruct --output runs/own --dry-run',
          'answers that are there already; only what would be asked',
        ],
      ],
    },
    { json: 'print the result as JSON' },
  )
    .requiredOption('--reference <FILE>', "instructions and the baseline's outputs, in alpaca_eval's form")
    .option('--outputs <FILE>', "the model's outputs in alpaca_eval's form, instead of --model")
    .option('--gamed <FILE>', 'df_gamed.csv of alpaca_eval, for the length-controlled win rate');
  addJudgedFlags(command).optionsGroup('Evaluation:');
  addSchemaFlags(command, alpacaOptionsSchema);
  addJudgedModels(command);
  return command.action((flags: AlpacaFlags) =>
    withEvaluationProgress((progress, signal) => evaluate(command, flags, progress, signal)),
  );
}

async function evaluate(
  command: Command,
  flags: AlpacaFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const started = performance.now();
  const options = checkOptions(
    alpacaOptionsSchema,
    readSchemaFlags(command, alpacaOptionsSchema),
    'AlpacaEval',
  );
  const models = judgedModels(command, { flag: '--outputs', file: flags.outputs });
  const [annotations, { readGamedBaselines }, { judgeOutputs, outputRequests }, prompts] = await Promise.all([
    import('../eval/alpaca-eval/annotations.js'),
    import('../eval/alpaca-eval/gamed-baselines.js'),
    import('../eval/alpaca-eval/judge-outputs.js'),
    import('../eval/alpaca-eval/prompts.js'),
  ]);
  const all = await annotations.readOutputs(flags.reference);
  const baseline = options.limit === null ? all : all.slice(0, options.limit);
  const gamed = flags.gamed === undefined ? null : await readGamedBaselines(flags.gamed);
  if (gamed !== null && baseline.length !== gamed.difficulty.length) {
    throw new DataError(
      `the length-controlled win rate needs all ${gamed.difficulty.length} instructions, got ${baseline.length}: leave out --gamed for the raw one`,
      { file: flags.reference },
    );
  }
  const template =
    flags.template === undefined
      ? prompts.createAlpacaTemplate()
      : prompts.loadAlpacaTemplate(flags.template);
  const given = flags.outputs === undefined ? null : await readGiven(baseline, all, flags.outputs);
  const questions = baseline.map(({ instruction }, index) => ({
    id: `alpaca-eval:${index}`,
    question: instruction,
  }));
  const unanswered = given?.pairs ?? baseline.map((row) => ({ ...pairOf(row), model: '' }));
  const judging = outputRequests(unanswered, { template, seed: options.seed });
  if (await showAsking({ models, questions, sampling: options, judging, judgmentTokens: 1 }, flags, progress))
    return;

  const surroundings = { folder: flags.output, progress, signal };
  const { pairs, generator } = given ?? (await answerNow(baseline, models, options, surroundings));
  const { result: verdicts, usage } = await withEvaluationModel(models.judge, surroundings, (judge) =>
    judgeOutputs(pairs, judge, {
      template,
      seed: options.seed,
      signal,
      onProgress: ({ done, total }) =>
        progress.update('judging', done, total, `${done}/${total} instructions`),
    }),
  );
  const [{ annotationsOf }, { leaderboardRow, leaderboardCsv }, { alpacaResult }, results] =
    await Promise.all([
      import('../eval/alpaca-eval/compare-outputs.js'),
      import('../eval/alpaca-eval/leaderboard.js'),
      import('../eval/alpaca-eval/alpaca-result.js'),
      import('../eval/results.js'),
    ]);
  const annotator = modelName(models.judge);
  const rows = annotationsOf(baseline, pairs, verdicts, { generator, annotator });
  const folder = join(flags.output, results.EVALUATIONS_FOLDER, 'alpaca-eval');
  const files = {
    outputs: join(folder, 'model_outputs.json'),
    annotations: join(folder, 'annotations.json'),
  };
  await annotations.writeRows(files.outputs, outputsOf(baseline, pairs, generator));
  await annotations.writeRows(files.annotations, rows);
  const row = leaderboardRow(rows, gamed, files.annotations);
  await annotations.writeText(join(folder, 'leaderboard.csv'), leaderboardCsv([row]));
  const seconds = (performance.now() - started) / 1000;
  const result = alpacaResult({ rows: [row], judge: annotator, seed: options.seed, seconds, usage });
  const path = await results.writeEvaluation(flags.output, result);
  if (flags.json) printJson(result);
  else
    print(
      `${describeResult(result)}\n\nWritten as ${path}; outputs, annotations and the leaderboard's row are in ${folder}.`,
    );
}

interface GivenOutputs {
  pairs: OutputPair[];
  generator: string;
}

async function readGiven(
  baseline: readonly AlpacaOutput[],
  all: readonly AlpacaOutput[],
  file: string,
): Promise<GivenOutputs> {
  const [{ readOutputs }, { pairOutputs }] = await Promise.all([
    import('../eval/alpaca-eval/annotations.js'),
    import('../eval/alpaca-eval/compare-outputs.js'),
  ]);
  const outputs = await readOutputs(file);
  const wanted = outputs.length === all.length ? all : baseline;
  const pairs = pairOutputs(wanted, outputs, file).slice(0, baseline.length);
  return { pairs, generator: outputs[0]?.generator ?? '' };
}

async function answerNow(
  baseline: readonly AlpacaOutput[],
  { subject }: JudgedModels,
  options: ResolvedAlpacaOptions,
  surroundings: Surroundings,
): Promise<GivenOutputs> {
  if (subject === null) throw new Error('there is a model where no outputs are given');
  const questions = baseline.map(({ instruction }, index) => ({
    id: `alpaca-eval:${index}`,
    question: instruction,
  }));
  const answers = await answerAll(questions, subject, options, surroundings);
  const pairs = baseline.map((row, index) => ({ ...pairOf(row), model: answers[index]?.text }));
  return { pairs, generator: modelName(subject) };
}

function pairOf({ instruction, output }: AlpacaOutput): Omit<OutputPair, 'model'> {
  return { instruction, baseline: output };
}

function outputsOf(
  baseline: readonly AlpacaOutput[],
  pairs: readonly OutputPair[],
  generator: string,
): AlpacaOutput[] {
  return pairs.flatMap(({ instruction, model }, index) => {
    const dataset = baseline[index]?.dataset;
    return model === undefined
      ? []
      : [{ instruction, output: model, generator, ...(dataset ? { dataset } : {}) }];
  });
}
