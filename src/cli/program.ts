import { Command } from 'commander';
import { packageVersion } from '../run/package-version.js';
import { analyzeCommand } from './analyze-command.js';
import { chatCommand } from './chat-command.js';
import { doctorCommand } from './doctor-command.js';
import { evaluateCommand } from './evaluate-command.js';
import { experimentCommand } from './experiment-command.js';
import { exportRewardCommand } from './export-reward-command.js';
import { forgetCommand } from './forget-command.js';
import { generateCommand } from './generate-command.js';
import { inspectCommand } from './inspect-command.js';
import { logpsCommand } from './logps-command.js';
import { mergeCommand } from './merge-command.js';
import { quickstartCommand } from './quickstart-command.js';
import { reportCommand } from './report-command.js';
import { rolloutsCommand } from './rollouts-command.js';
import { runCommand } from './run-command.js';
import { scoreCommand } from './score-command.js';
import { serveCommand } from './serve-command.js';
import { setupCommand } from './setup-command.js';
import { stageCommand } from './stage-command.js';
import { STAGE_COMMANDS } from './stage-command-help.js';
import { statusCommand } from './status-command.js';
import { trainCommand } from './train-command.js';
import { trainOnlineCommand } from './train-online-command.js';
import { trainRewardCommand } from './train-reward-command.js';

/** The whole command line. Each command loads what it needs when it runs, so that help comes at once. */
export function createProgram(): Command {
  const program = new Command('persona-dpo')
    .description(
      'Turns logs of conversations into language models that know their users: from logs to preference pairs, and ' +
        'persona-conditioned DPO on TensorFlow.',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .showSuggestionAfterError(true)
    .addHelpText(
      'after',
      '\nStart with `persona-dpo quickstart`; `persona-dpo COMMAND --help` shows examples.',
    );
  const commands = [
    quickstartCommand(),
    runCommand(),
    experimentCommand(),
    statusCommand(),
    inspectCommand(),
    reportCommand(),
    forgetCommand(),
    ...STAGE_COMMANDS.map(stageCommand),
    trainCommand(),
    trainRewardCommand(),
    trainOnlineCommand(),
    rolloutsCommand(),
    generateCommand(),
    chatCommand(),
    logpsCommand(),
    serveCommand(),
    mergeCommand(),
    exportRewardCommand(),
    scoreCommand(),
    analyzeCommand(),
    evaluateCommand(),
    setupCommand(),
    doctorCommand(),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands, ...commands.flatMap(({ commands: inner }) => inner)]) {
    command.exitOverride().configureOutput({ writeErr: () => undefined });
  }
  return program;
}

/** `--learning_rate` as `--learning-rate`: TRL's users are used to underscores. Values are left alone. */
export function normalizeFlags(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.map((word, i) => {
    if (!/^--[a-z]/i.test(word) || (end !== -1 && i > end)) return word;
    const [flag = '', ...value] = word.split('=');
    return [flag.replaceAll('_', '-'), ...value].join('=');
  });
}
