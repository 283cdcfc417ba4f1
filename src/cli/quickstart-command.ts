import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { RunSummary } from '../run/pipeline.js';
import type { RankingReport } from '../run/ranking-report.js';
import { RANKING_REPORT_FILE } from '../run/stages/rank-stage.js';
import type { ResolvedTrainOptions } from '../train/options.js';
import { newCommand, print, printJson } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { formatSeconds, shellWord } from './format.js';
import { compareHeldOut, type ScoredPair } from './held-out.js';
import { createProgress, type Progress } from './progress.js';
import { type HeldOutData, readHeldOut } from './quickstart-data.js';
import { type Look, lookAt } from './quickstart-look.js';
import { describeResults, type QuickstartResults } from './quickstart-results.js';
import { quickstartReward } from './quickstart-reward.js';
import { prepareQuickstart } from './quickstart-run.js';
import { withRunProgress } from './run-command.js';
import { describeRun } from './run-display.js';
import { addTrainFlags } from './train-flags.js';

interface QuickstartFlags {
  json?: boolean;
}

export function quickstartCommand(): Command {
  const command = newCommand(
    'quickstart',
    {
      summary: 'go from an example log to an adapter, and show what came of it',
      description:
        'Fetches what is missing (TensorFlow, SmolLM2-135M-Instruct), goes from the example log of the package to ' +
        'preference pairs and a LoRA adapter, as persona-dpo run does: answers that were made anew and answers that a ' +
        'reward model, trained first, ranks for each user. It shows the funnel, held-out accuracy and margin before and ' +
        'after, an answer before and after for two users, and writes a report. All training options may be changed.',
      examples: [
        ['npx persona-dpo quickstart'],
        ['npx persona-dpo quickstart --num-train-epochs 1', 'a shorter run'],
        ['npx persona-dpo quickstart --persona false', 'what is lost without the personas'],
        ['npx persona-dpo quickstart --output runs/quickstart', 'go on with a run that was stopped'],
      ],
    },
    { json: 'print the results as JSON at the end' },
  ).option(
    '--output <DIR>',
    "the run's folder (default: runs/quickstart, or the next that is not there yet)",
  );
  addTrainFlags(command);
  return command.action(async (flags: QuickstartFlags) => {
    const progress = createProgress();
    try {
      const results = await quickstart(command, progress);
      if (results === null) process.exitCode = EXIT_INTERRUPTED;
      else if (flags.json) printJson(results);
      else print(describeResults(results));
    } finally {
      progress.end();
    }
  });
}

/** Returns `null` when it was interrupted. */
async function quickstart(command: Command, progress: Progress): Promise<QuickstartResults | null> {
  const started = Date.now();
  const { config, training } = await prepareQuickstart(command, progress);
  const { runPipeline } = await import('../run/pipeline.js');
  const { model, device, threads } = training;
  const reward = await quickstartReward({ outputDir: config.outputDir, model, device, threads }, progress);
  if (reward === null) {
    print(`Stopped. Go on with: npx persona-dpo quickstart --output ${shellWord(config.outputDir)}`);
    return null;
  }
  const run = (until: 'pairs' | 'train') =>
    withRunProgress(false, [], (hooks) => runPipeline(config, { until, ...hooks }));
  const interrupted = (summary: RunSummary) => {
    if (summary.outcome === 'finished') return false;
    print(
      describeRun(summary, { again: `npx persona-dpo quickstart --output ${shellWord(summary.folder)}` }),
    );
    return true;
  };

  if (interrupted(await run('pairs'))) return null;
  const data = await readHeldOut(training);
  progress.line('Before training: the held-out pairs, and one request of two users.');
  const before = await lookAt(training, undefined, data, progress);
  const summary = await run('train');
  if (interrupted(summary) || summary.weights === null) return null;
  progress.line('After training: the same again.');
  const after = await lookAt(training, summary.weights, data, progress);

  const results: QuickstartResults = {
    outputDir: config.outputDir,
    adapter: summary.weights,
    plot: await drawPlot(training, config.outputDir, data),
    seconds: (Date.now() - started) / 1000,
    stages: summary.stages.map(({ stage, counts, usage, seconds }) => ({ stage, counts, usage, seconds })),
    reward,
    ranking: readRanking(config.outputDir),
    ...scoresOf(before, after, data, training),
    samples: data.spoken.map(({ user, persona, prompt }, i) => ({
      ...{ user, persona, request: prompt.at(-1)?.content ?? '' },
      ...{ before: before.answers[i]?.text ?? '', after: after.answers[i]?.text ?? '' },
    })),
  };
  await writeFile(join(config.outputDir, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  const report = await writeReport(results, progress);
  progress.line(`Everything took ${formatSeconds(results.seconds)}.`);
  return { ...results, report };
}

/** How the persona changes the ranking of candidates, as the rank stage has found it. */
function readRanking(folder: string): RankingReport {
  return JSON.parse(readFileSync(join(folder, 'rank', RANKING_REPORT_FILE), 'utf8')) as RankingReport;
}

async function writeReport(results: QuickstartResults, progress: Progress): Promise<string> {
  const [{ writeEvaluation }, { writeRunReport }, { quickstartEvaluation }] = await Promise.all([
    import('../eval/results.js'),
    import('../run/report/write-run-report.js'),
    import('./quickstart-evaluation.js'),
  ]);
  await writeEvaluation(results.outputDir, quickstartEvaluation(results));
  const onProgress = (what: string, done: number, total: number) =>
    progress.update('report', done, total, `${done}/${total} ${what}`);
  const { html } = await writeRunReport([results.outputDir], {}, { onProgress });
  progress.end();
  return html;
}

function scoresOf(
  before: Look,
  after: Look,
  { usersInLog }: HeldOutData,
  training: ResolvedTrainOptions,
): Pick<QuickstartResults, 'all' | 'usersInLog' | 'newUsers'> {
  const compare = (wanted: (user: string) => boolean) => {
    const of = (scores: readonly ScoredPair[]) => scores.filter(({ user }) => wanted(user));
    return compareHeldOut(
      { neutral: of(before.neutral), before: of(before.scores), after: of(after.scores) },
      training,
    );
  };
  return {
    all: compare(() => true),
    usersInLog: compare((user) => usersInLog.has(user)),
    newUsers: compare((user) => !usersInLog.has(user)),
  };
}

async function drawPlot(
  options: ResolvedTrainOptions,
  folder: string,
  { held, trainedPairs }: HeldOutData,
): Promise<string> {
  const [{ readMetrics }, { writeTrainingPlot }] = await Promise.all([
    import('../report/metrics-file.js'),
    import('../report/training-plot.js'),
  ]);
  const rows = readMetrics(join(options.outputDir, 'metrics.jsonl'));
  const onlySigmoid = options.lossType.length === 1 && options.lossType[0] === 'sigmoid';
  const { png } = await writeTrainingPlot(rows, join(folder, 'training'), {
    title: `Persona-DPO of SmolLM2-135M-Instruct${options.usePeft ? ' (LoRA)' : ''}`,
    subtitle: `${trainedPairs} preference pairs from a log; ${held.length} held out, of the same and of other users`,
    ...(onlySigmoid ? { untrainedLoss: Math.LN2 } : {}),
  });
  return png;
}
