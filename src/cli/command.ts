import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError } from '../errors.js';

export interface CommandHelp {
  summary: string;
  /** What `--help` says under the usage line. */
  description: string;
  /** Lines that can be pasted, each with a remark or none. */
  examples: readonly (readonly [command: string, remark?: string])[];
}

/** A command with what all of ours have: examples in its help, `--debug`, and `--json` where it is asked for. */
export function newCommand(name: string, help: CommandHelp, { json }: { json: string | null }): Command {
  const command = new Command(name).summary(help.summary).description(help.description);
  if (json !== null) command.option('--json', json);
  command.option('--debug', 'show where an error happened');
  const examples = help.examples.map(([line, remark]) =>
    remark === undefined ? `  $ ${line}` : `  # ${remark}\n  $ ${line}`,
  );
  return command.addHelpText('after', `\nExamples:\n${examples.join('\n')}`);
}

/** Reads a flag's number; `check` says whether it is in range, `expected` what it should have been. */
export function numberFlag(
  expected: string,
  check: (value: number) => boolean = Number.isFinite,
): (written: string) => number {
  return (written) => {
    const value = Number(written);
    if (written.trim() === '' || Number.isNaN(value) || !check(value)) {
      throw new InvalidArgumentError(`Expected ${expected}.`);
    }
    return value;
  };
}

export const wholeNumber = (least: number) => (value: number) =>
  Number.isSafeInteger(value) && value >= least;

/** The text of a file that a flag names. */
export function readTextFlag(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    throw new ConfigError(`${flag}: ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** One line of JSON on standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
