import { type Command, InvalidArgumentError } from 'commander';
import type { RangeOptions, RunHooks, RunSummary } from '../run/pipeline.js';
import { isStageName, STAGE_NAMES, type StageName } from '../run/stage-names.js';
import { newCommand, numberFlag, print, printJson, wholeNumber } from './command.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { shellWord } from './format.js';
import { withInterrupt } from './interrupt.js';
import { hubOptions } from './open-model.js';
import { createProgress, type Progress, silentProgress } from './progress.js';
import { describePlan, describeRun, runPrinter } from './run-display.js';

interface RunFlags {
  from?: StageName;
  until?: StageName;
  limit?: number;
  dryRun?: boolean;
  output?: string;
  json?: boolean;
}

export function runCommand(): Command {
  const command = newCommand(
    'run',
    {
      summary: 'go from logs of conversations to an adapter, as a configuration says',
      description:
        'Goes from logs of conversations to preference pairs and a trained adapter, stage by stage: ' +
        `${STAGE_NAMES.join(', ')}. CONFIG is a YAML file with a section for each stage; the options of a section ` +
        'are those of the command of the same name, with underscores, and llm names the language model that is ' +
        'asked.\n\n' +
        'A plan comes first. What is unchanged since the last time is not done again; what has changed is, and ' +
        'everything that depends on it. Replies of the model are kept, so that nothing is asked twice. Every stage ' +
        'leaves its rows, what it dropped and why, and a manifest in its own folder of the run.',
      examples: [
        ['persona-dpo run examples/wildchat/config.yaml --dry-run', 'what there is to do'],
        ['persona-dpo run run.yaml --limit 50', 'a trial on 50 conversations, in a folder of its own'],
        ['persona-dpo run run.yaml', 'everything; the same again goes on after a stop'],
        ['persona-dpo run run.yaml --until pairs', 'without training'],
        ['persona-dpo run run.yaml --from rewrite', 'rewrites once more, and what comes after'],
      ],
    },
    { json: 'print every event and the summary as lines of JSON' },
  )
    .argument('<CONFIG>', 'YAML file with a section for each stage')
    .option('--from <STAGE>', 'take the stages before it as they are, and do it in any case', stageFlag)
    .option('--until <STAGE>', 'leave out the stages after it', stageFlag)
    .option(
      '--limit <NUMBER>',
      'only so many training conversations, taken user by user, in the folder limit-NUMBER of the run',
      numberFlag('a whole number from 1', wholeNumber(1)),
    )
    .option('--dry-run', 'check the configuration and print the plan; reads no logs and asks no model')
    .option('--output <DIR>', "the run's folder, instead of the configuration's output_dir");
  return command.action((config: string, flags: RunFlags) => run(config, flags));
}

function stageFlag(written: string): StageName {
  if (isStageName(written)) return written;
  throw new InvalidArgumentError(`Expected one of ${STAGE_NAMES.join(', ')}.`);
}

async function run(file: string, { dryRun, output, json = false, ...range }: RunFlags): Promise<void> {
  const [{ readRunConfig }, { planPipeline, runPipeline }] = await Promise.all([
    import('../run/config/config-file.js'),
    import('../run/pipeline.js'),
  ]);
  const read = readRunConfig(file);
  const config = output === undefined ? read.config : { ...read.config, outputDir: output };
  if (dryRun) {
    const plan = await planPipeline(config, { ...range, hub: hubOptions(silentProgress()) });
    if (json) printJson({ type: 'plan', plan });
    else print([...read.notices.map((notice) => `note: ${notice}`), describePlan(plan)].join('\n'));
    return;
  }
  const summary = await withRunProgress(json, read.notices, (hooks) =>
    runPipeline(config, { ...range, ...hooks }),
  );
  finishRun(summary, json, againCommand(file, range, output));
}

/** Shows a run while it works; the first Ctrl-C stops it cleanly, a second ends the process at once. */
export async function withRunProgress(
  json: boolean,
  notices: readonly string[],
  work: (hooks: RunHooks) => Promise<RunSummary>,
): Promise<RunSummary> {
  const progress = createProgress();
  for (const notice of notices) progress.line(`note: ${notice}`);
  const onEvent = json ? (event: object) => printJson(event) : runPrinter(progress);
  try {
    return await withInterrupt(
      (signal) => work({ ...runSurroundings(json ? silentProgress() : progress), onEvent, signal }),
      () => progress.line('Stopping; what is done stays done. Press Ctrl-C again to end at once.'),
    );
  } finally {
    progress.end();
  }
}

/** What a run takes from the environment. */
function runSurroundings(progress: Progress): Required<Pick<RunHooks, 'hub' | 'secret'>> {
  return { hub: hubOptions(progress), secret: (variable) => process.env[variable] };
}

/** Says how a run ended. */
export function finishRun(summary: RunSummary, json: boolean, again: string): void {
  if (json) printJson({ type: 'summary', ...summary });
  else print(describeRun(summary, { again }));
  if (summary.outcome === 'interrupted') process.exitCode = EXIT_INTERRUPTED;
}

function againCommand(file: string, { until, limit }: RangeOptions, output: string | undefined): string {
  const flags = Object.entries({ until, limit, output }).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [`--${name}`, shellWord(String(value))],
  );
  return ['npx persona-dpo run', shellWord(file), ...flags].join(' ');
}
