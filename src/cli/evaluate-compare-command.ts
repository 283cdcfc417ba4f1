import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { EVALUATIONS_FOLDER, writeEvaluation } from '../eval/results.js';
import { type AxisComparison, compareEvaluations } from '../eval/user-eval/compare.js';
import { readJudgments, userEvalFiles } from '../eval/user-eval/files.js';
import { comparisonTable } from '../eval/user-eval/result.js';
import { checkOptions } from '../pairs/check-options.js';
import { newCommand, print, printJson } from './command.js';
import { formatTable } from './format.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

const compareOptionsSchema = z.object({
  resamples: z.number().int().min(1).default(1000).describe('Draws of users behind each interval.'),
  confidence: z.number().gt(0).lt(1).default(0.95).describe('Of the intervals.'),
  seed: z.number().int().min(0).default(0).describe('Draws other intervals.'),
});

interface CompareFlags {
  output?: string;
  json?: boolean;
}

export function compareEvaluationsCommand(): Command {
  const command = newCommand(
    'compare',
    {
      summary: 'two user-evals turn by turn',
      description:
        'Compares two results of `evaluate user-eval` over the turns that both models answered: the difference of their ' +
        'win rates, with an interval that is narrower than those of the win rates, since what differs between turns and ' +
        "users cancels out. Each is a run's folder, or a folder with judgments.jsonl.",
      examples: [
        ['persona-dpo evaluate compare runs/after runs/before'],
        [
          'persona-dpo evaluate compare runs/mine/evaluations/user-eval-persona-guided runs/mine/evaluations/user-eval',
          'with persona against without',
        ],
      ],
    },
    { json: 'print the comparison as JSON' },
  )
    .argument('<FIRST>', 'folder of one evaluation')
    .argument('<SECOND>', 'folder of the other')
    .option('--output <DIR>', "write the comparison into this run's evaluations, for its report");
  addSchemaFlags(command, compareOptionsSchema);
  return command.action(async (first: string, second: string, flags: CompareFlags) => {
    const given = readSchemaFlags(command, compareOptionsSchema);
    const options = checkOptions(compareOptionsSchema, given, 'compare');
    const [one, other] = await Promise.all([first, second].map((folder) => readJudgments(fileIn(folder))));
    const comparisons = compareEvaluations(one ?? [], other ?? [], options);
    if (flags.output !== undefined) await write(flags.output, comparisons, [first, second]);
    if (flags.json === true) printJson(comparisons);
    else print(describe(comparisons));
  });
}

function fileIn(folder: string): string {
  const candidates = [folder, join(folder, EVALUATIONS_FOLDER, 'user-eval')];
  const found = candidates
    .map((each) => join(each, userEvalFiles.judgments))
    .find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new ConfigError(`${folder} holds no user-eval: expected ${userEvalFiles.judgments} in it`);
}

async function write(
  run: string,
  comparisons: readonly AxisComparison[],
  names: readonly [string, string],
): Promise<void> {
  await writeEvaluation(run, {
    kind: 'evaluation',
    format: 1,
    name: 'user-eval-comparison',
    title: 'UserEval of two models',
    about: 'The same turns of the same users, answered by both.',
    subject: names[0],
    finishedAt: new Date().toISOString(),
    tables: [comparisonTable(comparisons, names)],
  });
}

function describe(comparisons: readonly AxisComparison[]): string {
  const head = ['axis', 'first', 'second', 'difference', '', 'turns', 'users'];
  const points = (share: number) => `${share < 0 ? '' : '+'}${(100 * share).toFixed(1)}`;
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  const rows = comparisons.map(({ axis, first, second, difference, turns, users }) => [
    axis,
    percent(first),
    percent(second),
    points(difference.estimate),
    `${points(difference.low)} to ${points(difference.high)}`,
    String(turns),
    String(users),
  ]);
  return formatTable([head, ...rows]);
}
