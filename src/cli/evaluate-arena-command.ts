import { join } from 'node:path';
import type { Command } from 'commander';
import { ARENA_BASELINE, ARENA_COMMANDS } from '../eval/arena-hard/arena-files.js';
import type { ArenaPair } from '../eval/arena-hard/judge-games.js';
import { arenaOptionsSchema } from '../eval/arena-hard/options.js';
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
  judgedModels,
  showAsking,
  withEvaluationModel,
} from './judged-evaluation.js';
import type { Progress } from './progress.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

interface ArenaFlags extends JudgedFlags {
  questions: string;
  baselineAnswers: string;
  answers?: string;
}

export function evaluateArenaCommand(): Command {
  const command = newCommand(
    'arena-hard',
    {
      summary: 'score on Arena-Hard 0.1',
      description:
        'Lets a model answer the questions of Arena-Hard 0.1, and a judge compare each answer with that of the baseline ' +
        `(${ARENA_BASELINE}), twice, with the answers exchanged. Questions and the baseline's answers you fetch:\n\n` +
        `  ${ARENA_COMMANDS.join('\n  ')}\n\nAnswers and judgments are written in the form of Arena-Hard.`,
      examples: [
        [
          'persona-dpo evaluate arena-hard --questions question.jsonl --baseline-answers gpt-4-0314.jsonl --base-url http://127.0.0.1:8000/v1 --model my-model --judge-base-url https://api.openai.com/v1 --judge-model gpt-4-1106-preview --output runs/own',
        ],
        [
          'persona-dpo evaluate arena-hard --questions question.jsonl --baseline-answers gpt-4-0314.jsonl --answers my-model.jsonl --judge-model HuggingFaceTB/SmolLM2-135M-Instruct --output runs/own --dry-run',
          'answers that are there already; only what would be asked',
        ],
      ],
    },
    { json: 'print the result as JSON' },
  )
    .requiredOption('--questions <FILE>', "Arena-Hard's question.jsonl")
    .requiredOption('--baseline-answers <FILE>', "the baseline's answers in Arena-Hard's form")
    .option('--answers <FILE>', "the model's answers in Arena-Hard's form, instead of --model");
  addJudgedFlags(command).optionsGroup('Evaluation:');
  addSchemaFlags(command, arenaOptionsSchema);
  addJudgedModels(command);
  return command.action((flags: ArenaFlags) =>
    withEvaluationProgress((progress, signal) => evaluate(command, flags, progress, signal)),
  );
}

async function evaluate(
  command: Command,
  flags: ArenaFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const started = performance.now();
  const options = checkOptions(
    arenaOptionsSchema,
    readSchemaFlags(command, arenaOptionsSchema),
    'Arena-Hard',
  );
  const models = judgedModels(command, { flag: '--answers', file: flags.answers });
  const [arena, { gameRequests, judgeGames }, prompts] = await Promise.all([
    import('../eval/arena-hard/arena-files.js'),
    import('../eval/arena-hard/judge-games.js'),
    import('../eval/arena-hard/prompts.js'),
  ]);
  const questions = (await arena.readArenaQuestions(flags.questions)).slice(0, options.limit ?? undefined);
  const baseline = await arena.readArenaAnswers(flags.baselineAnswers);
  const baselineTexts = arena.answersTo(questions, baseline, flags.baselineAnswers);
  const given = flags.answers === undefined ? null : await arena.readArenaAnswers(flags.answers);
  const givenTexts = given === null ? null : arena.answersTo(questions, given, flags.answers ?? '');
  const template =
    flags.template === undefined ? prompts.createArenaTemplate() : prompts.loadArenaTemplate(flags.template);
  const pairsWith = (texts: readonly (string | undefined)[]): ArenaPair[] =>
    questions.map(({ id, question }, index) => ({
      ...{ id, question, baseline: baselineTexts[index] as string },
      model: texts[index],
    }));
  const { maxTokens } = options;
  const judging = gameRequests(pairsWith(givenTexts ?? questions.map(() => '')), { template, maxTokens });
  if (
    await showAsking(
      { models, questions, sampling: options, judging, judgmentTokens: maxTokens },
      flags,
      progress,
    )
  )
    return;

  const surroundings = { folder: flags.output, progress, signal };
  const texts =
    givenTexts ??
    (await answerAll(questions, models.subject!, options, surroundings)).map(({ text }) => text);
  const pairs = pairsWith(texts);
  const { result: games, usage } = await withEvaluationModel(models.judge, surroundings, (judge) =>
    judgeGames(pairs, judge, {
      template,
      maxTokens,
      signal,
      onProgress: ({ done, total }) => progress.update('judging', done, total, `${done}/${total} games`),
    }),
  );
  const [{ arenaScore }, { arenaResult }, results, { writeFileAtomic }] = await Promise.all([
    import('../eval/arena-hard/score.js'),
    import('../eval/arena-hard/arena-result.js'),
    import('../eval/results.js'),
    import('../data/atomic-write.js'),
  ]);
  const model = given?.model ?? modelName(models.subject!);
  const judge = modelName(models.judge);
  const folder = join(flags.output, results.EVALUATIONS_FOLDER, 'arena-hard');
  const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`);
  await writeFileAtomic(join(folder, 'answers.jsonl'), lines(answerRows(pairs, model)));
  await writeFileAtomic(
    join(folder, 'judgments.jsonl'),
    lines(pairs.map(({ id }, index) => ({ question_id: id, model, judge, games: games[index] }))),
  );
  const { weight, unit, resamples, seed } = options;
  const score = arenaScore(
    games.map(([first, second]) => [first.score, second.score] as const),
    { weight, unit, resamples, seed },
  );
  const seconds = (performance.now() - started) / 1000;
  const rows = [{ ...score, model, questions: questions.length }];
  const result = arenaResult({ rows, judge, baseline: baseline.model, seed, seconds, usage });
  const path = await results.writeEvaluation(flags.output, result);
  if (flags.json) printJson(result);
  else print(`${describeResult(result)}\n\nWritten as ${path}; answers and judgments are in ${folder}.`);
}

function answerRows(pairs: readonly ArenaPair[], model: string): object[] {
  return pairs.flatMap(({ id, model: text }) =>
    text === undefined
      ? []
      : [{ question_id: id, model_id: model, choices: [{ index: 0, turns: [{ content: text }] }] }],
  );
}
