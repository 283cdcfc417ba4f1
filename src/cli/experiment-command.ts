import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import type { EvaluationCell, EvaluationResultInput } from '../eval/results.js';
import type { Experiment } from '../run/experiment/experiment-config.js';
import type { EvaluatedCell, ExperimentSummary } from '../run/experiment/run-experiment.js';
import { newCommand, print, printJson } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { formatNumber, formatTable, shellWord } from './format.js';
import { withInterrupt } from './interrupt.js';
import { hubOptions } from './open-model.js';
import { createProgress, type Progress, silentProgress } from './progress.js';
import { runPrinter } from './run-display.js';

interface ExperimentFlags {
  output?: string;
  dryRun?: boolean;
  json?: boolean;
}

export function experimentCommand(): Command {
  return newCommand(
    'experiment',
    {
      summary: 'do a run in many variants, and put them into one table',
      description:
        'Does the runs of a matrix: variants of one run (methods, baselines, ablations), each with every value of a ' +
        'grid and every seed. Stages that variants have in common are done once. What is done stays done, and a run that ' +
        'fails does not take the others with it: the same command goes on, and tries it again. CONFIG is a YAML file:\n\n' +
        '  output_dir: runs/ablation\n' +
        '  run: run.yaml                 # as for `persona-dpo run`, or its sections\n' +
        '  variants:\n' +
        '    rewrites:                   # nothing changed\n' +
        '    from-scratch: {rewrite: {source: scratch}}\n' +
        '    untrained: {train: false}\n' +
        '  grid: {train.learning_rate: [5.0e-7, 1.0e-6]}\n' +
        '  seeds: [0, 1, 2]              # of training\n' +
        '  evaluate:                     # words behind `persona-dpo evaluate`\n' +
        '    - [user-eval, --users, 20, --conversations, runs/base/conversations/evaluation.parquet]',
      examples: [
        ['persona-dpo experiment ablation.yaml --dry-run', 'which runs there are'],
        ['persona-dpo experiment ablation.yaml'],
        ['persona-dpo report runs/ablation/cells/*', 'the runs side by side'],
      ],
    },
    { json: 'print events and the result as lines of JSON' },
  )
    .argument('<CONFIG>', 'YAML file')
    .option('--output <DIR>', "the experiment's folder, instead of the file's output_dir")
    .option('--dry-run', 'check every run and list them')
    .action((file: string, flags: ExperimentFlags) => experiment(file, flags));
}

async function experiment(file: string, { output, dryRun, json = false }: ExperimentFlags): Promise<void> {
  const [{ readExperiment }, { runExperiment }] = await Promise.all([
    import('../run/experiment/experiment-config.js'),
    import('../run/experiment/run-experiment.js'),
  ]);
  const found = readExperiment(file, output);
  if (dryRun === true) {
    const names = found.cells.map(({ name }) => name);
    if (json) printJson({ type: 'cells', cells: names });
    else print(`${names.length} runs in ${found.folder}:\n${names.map((name) => `  ${name}`).join('\n')}`);
    return;
  }
  const progress = json ? silentProgress() : createProgress();
  const show = runPrinter(progress);
  const summary = await withInterrupt(
    (signal) =>
      runExperiment(found, {
        signal,
        hub: hubOptions(progress),
        secret: (variable) => process.env[variable],
        onEvent: (event) => (json ? printJson(event) : show(event)),
        onExperimentEvent: (event) => {
          if (json) printJson(event);
          else if (event.type === 'cell') progress.line(`== ${event.index + 1}/${event.total} ${event.cell}`);
          else progress.line(`${event.cell} failed: ${event.error}`);
        },
        ...(found.evaluate.length === 0
          ? {}
          : { evaluate: (cell: EvaluatedCell) => evaluate(found, cell, progress) }),
      }),
    () => progress.line('Stopping; what is done stays done. Press Ctrl-C again to end at once.'),
  ).finally(() => progress.end());
  finish(summary, file, json);
}

/** Does the evaluations of a cell as the command line would. */
async function evaluate(
  found: Experiment,
  { cell, folder, weights }: EvaluatedCell,
  progress: Progress,
): Promise<void> {
  const { createProgram } = await import('./program.js');
  for (const words of found.evaluate) {
    const trained = found.cells.find(({ config }) => config.train !== null)?.config.train;
    const base = (cell.config.train ?? trained)?.model;
    const model = weights?.kind === 'model' ? weights.path : base;
    if (model === undefined)
      throw new ConfigError('there is no model to evaluate: no run of the experiment trains one');
    const adapter = weights?.kind === 'adapter' ? ['--adapter', weights.path] : [];
    progress.line(`evaluate ${words.map(shellWord).join(' ')}`);
    const argv = ['evaluate', ...words, '--output', folder, '--model', model, ...adapter];
    await createProgram().parseAsync(argv, { from: 'user' });
  }
}

function finish({ outcome, outcomes, result, file }: ExperimentSummary, config: string, json: boolean): void {
  const failed = outcomes.filter(({ state }) => state === 'failed');
  if (json) printJson({ type: 'result', outcome, ...result });
  else {
    print(describe(result));
    for (const { cell, error } of failed) print(`${cell.name} failed: ${error}`);
    print(`Written to ${file}`);
    const again = `npx persona-dpo experiment ${shellWord(config)}`;
    if (outcome === 'interrupted') print(`Stopped; go on with\n  ${again}`);
    else if (failed.length > 0) print(`Try again what failed:\n  ${again}`);
  }
  if (outcome === 'interrupted') process.exitCode = EXIT_INTERRUPTED;
  else if (failed.length > 0) process.exitCode = 1;
}

function describe({ tables }: EvaluationResultInput): string {
  const [table] = tables;
  if (table === undefined) return '';
  const head = ['', ...table.columns.map(({ title }) => title)];
  const rows = table.rows.map(({ label, cells }) => [
    label,
    ...cells.map((cell, index) => cellText(cell, table.columns[index]?.unit)),
  ]);
  return formatTable([head, ...rows]);
}

function cellText({ value, low, high }: EvaluationCell, unit: string | undefined): string {
  if (typeof value !== 'number') return value ?? '-';
  const text = (number: number) =>
    unit === 'share' ? `${(100 * number).toFixed(1)}%` : formatNumber(number);
  return low === undefined || high === undefined
    ? text(value)
    : `${text(value)} (${text(low)} to ${text(high)})`;
}
