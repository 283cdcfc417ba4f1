import type { Command } from 'commander';
import { GAMED_COMMAND } from '../eval/alpaca-eval/gamed-baselines.js';
import { newCommand, print, printJson } from './command.js';
import { describeResult } from './evaluation-display.js';

interface LeaderboardFlags {
  gamed?: string;
  csv?: string;
  json?: boolean;
}

export function alpacaLeaderboardCommand(): Command {
  return newCommand(
    'alpaca-leaderboard',
    {
      summary: "win rates from AlpacaEval's annotation files",
      description:
        'Reads annotations.json of alpaca_eval, or of `evaluate alpaca-eval`, one file a model, and prints win rates, the ' +
        'best first. With --gamed the length-controlled rate, too: the file is ' +
        `fetched by\n\n  ${GAMED_COMMAND}`,
      examples: [
        [
          'persona-dpo evaluate alpaca-leaderboard results/*/weighted_alpaca_eval_gpt4_turbo/annotations.json --gamed df_gamed.csv',
        ],
        [
          'persona-dpo evaluate alpaca-leaderboard runs/own/evaluations/alpaca-eval/annotations.json --csv leaderboard.csv',
          'the raw rate, also as a file',
        ],
      ],
    },
    { json: 'print the rows as JSON' },
  )
    .argument('<ANNOTATIONS...>', "annotations in alpaca_eval's form, one file a model")
    .option('--gamed <FILE>', 'df_gamed.csv of alpaca_eval, for the length-controlled win rate')
    .option('--csv <FILE>', "write the rows in the form of alpaca_eval's leaderboard")
    .action(leaderboard);
}

async function leaderboard(files: readonly string[], { gamed, csv, json }: LeaderboardFlags): Promise<void> {
  const [{ readAnnotations, writeText }, { readGamedBaselines }, rowsOf, { alpacaResult }] =
    await Promise.all([
      import('../eval/alpaca-eval/annotations.js'),
      import('../eval/alpaca-eval/gamed-baselines.js'),
      import('../eval/alpaca-eval/leaderboard.js'),
      import('../eval/alpaca-eval/alpaca-result.js'),
    ]);
  const baselines = gamed === undefined ? null : await readGamedBaselines(gamed);
  const rows = [];
  const judges = new Set<string>();
  for (const file of files) {
    const annotations = await readAnnotations(file);
    judges.add(annotations[0]?.annotator ?? 'unknown');
    rows.push(rowsOf.leaderboardRow(annotations, baselines, file));
  }
  const sorted = rowsOf.sortRows(rows);
  if (csv !== undefined) await writeText(csv, rowsOf.leaderboardCsv(sorted));
  if (json) printJson(sorted);
  else print(describeResult(alpacaResult({ rows: sorted, judge: [...judges].join(', '), seed: 0 })));
}
