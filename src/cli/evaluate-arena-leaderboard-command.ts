import type { Command } from 'commander';
import { DataError } from '../errors.js';
import { ARENA_BASELINE } from '../eval/arena-hard/arena-files.js';
import { arenaOptionsSchema } from '../eval/arena-hard/options.js';
import { checkOptions } from '../pairs/check-options.js';
import { newCommand, print, printJson } from './command.js';
import { describeResult } from './evaluation-display.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

/** Options that only answering and judging need. */
const WITHOUT = ['temperature', 'maxTokens', 'limit'];

interface LeaderboardFlags {
  baseline: string;
  json?: boolean;
}

export function arenaLeaderboardCommand(): Command {
  const command = newCommand(
    'arena-leaderboard',
    {
      summary: "scores from Arena-Hard's judgment files",
      description:
        'Reads judgments of Arena-Hard 0.1, or of `evaluate arena-hard`, one file a model, and prints scores with their ' +
        'intervals, the best first. All files must hold the same questions.',
      examples: [
        [
          'persona-dpo evaluate arena-leaderboard data/arena-hard-v0.1/model_judgment/gpt-4-1106-preview/*.jsonl',
        ],
        [
          'persona-dpo evaluate arena-leaderboard runs/own/evaluations/arena-hard/judgments.jsonl --unit question',
        ],
      ],
    },
    { json: 'print the scores as JSON' },
  )
    .argument('<JUDGMENTS...>', "judgments in Arena-Hard's form, one file a model")
    .option('--baseline <NAME>', 'what the baseline is called', ARENA_BASELINE);
  addSchemaFlags(command, arenaOptionsSchema, { without: WITHOUT });
  return command.action((files: readonly string[], flags: LeaderboardFlags) =>
    leaderboard(command, files, flags),
  );
}

async function leaderboard(
  command: Command,
  files: readonly string[],
  { baseline, json }: LeaderboardFlags,
): Promise<void> {
  const [{ readArenaJudgments }, { arenaScore }, { arenaResult }] = await Promise.all([
    import('../eval/arena-hard/arena-files.js'),
    import('../eval/arena-hard/score.js'),
    import('../eval/arena-hard/arena-result.js'),
  ]);
  const given = readSchemaFlags(command, arenaOptionsSchema, { without: WITHOUT });
  const { weight, unit, resamples, seed } = checkOptions(arenaOptionsSchema, given, 'Arena-Hard');
  const rows = [];
  const judges = new Set<string>();
  let ids: Set<string> | undefined;
  for (const file of files) {
    const { model, judge, games } = await readArenaJudgments(file);
    ids ??= new Set(games.keys());
    const missing = [...ids].filter((id) => !games.has(id));
    if (missing.length > 0 || games.size !== ids.size) {
      throw new DataError(
        `expected judgments of the ${ids.size} questions that ${files[0]} has, got ${games.size}, of which ${missing.length} are missing`,
        { file },
      );
    }
    judges.add(judge);
    const score = arenaScore([...games.values()], { weight, unit, resamples, seed });
    rows.push({ ...score, model, questions: games.size });
  }
  const result = arenaResult({ rows, judge: [...judges].join(', '), baseline, seed });
  if (json) printJson(result);
  else print(describeResult(result));
}
