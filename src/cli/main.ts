#!/usr/bin/env node
import { type Command, CommanderError } from 'commander';
import { describeError, errorAsJson, exitCodeOf } from './exit-codes.js';
import { createProgram, normalizeFlags } from './program.js';

// TensorFlow's remarks on start-up are no news to anyone; its warnings and errors still come through.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
// `persona-dpo ... | head` closes our output early, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

await main(process.argv);

async function main(argv: readonly string[]): Promise<void> {
  const [node = '', script = '', ...words] = argv;
  const program = createProgram();
  try {
    if (words.length === 0) program.help();
    await program.parseAsync([node, script, ...normalizeFlags(words)]);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    if (process.exitCode === 0) return;
    if (words.includes('--json') && !(error instanceof CommanderError))
      process.stdout.write(`${errorAsJson(error)}\n`);
    process.stderr.write(`${describe(error, words, program)}\n`);
  }
}

function describe(error: unknown, words: readonly string[], program: Command): string {
  if (!(error instanceof CommanderError)) return describeError(error, { debug: words.includes('--debug') });
  const asked = words.find((word) => !word.startsWith('-'));
  const command = program.commands.find((one) => one.name() === asked);
  const where = command === undefined ? 'persona-dpo --help' : `persona-dpo ${command.name()} --help`;
  return `${error.message}\nSee \`${where}\`.`;
}
