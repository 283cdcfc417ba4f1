import { Command } from 'commander';
import { evaluateAlpacaCommand } from './evaluate-alpaca-command.js';
import { alpacaLeaderboardCommand } from './evaluate-alpaca-leaderboard-command.js';
import { evaluateArenaCommand } from './evaluate-arena-command.js';
import { arenaLeaderboardCommand } from './evaluate-arena-leaderboard-command.js';
import { compareEvaluationsCommand } from './evaluate-compare-command.js';
import { humanStudyCommand } from './evaluate-human-study-command.js';
import { evaluateReasoningCommand } from './evaluate-reasoning-command.js';
import { userEvalCommand } from './evaluate-user-eval-command.js';

/** A command beneath `evaluate`, one line each. */
const evaluations: readonly (() => Command)[] = [
  userEvalCommand,
  compareEvaluationsCommand,
  humanStudyCommand,
  evaluateReasoningCommand,
  evaluateAlpacaCommand,
  alpacaLeaderboardCommand,
  evaluateArenaCommand,
  arenaLeaderboardCommand,
];

/** The commands that measure what a model can do, in a file each. */
export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .summary('measure what a model can do, and compare it with others')
    .description(
      'Lets a model answer the questions of a benchmark, grades the answers or has them judged, and says how good they ' +
        'are, with an interval. Replies are kept in the output folder: the same command again goes on where it stopped. ' +
        '`persona-dpo evaluate BENCHMARK --help` shows examples.',
    );
  for (const evaluation of evaluations) command.addCommand(evaluation());
  return command;
}
