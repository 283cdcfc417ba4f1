import { spawn } from 'node:child_process';
import { childEnvironment } from './location.js';

export interface ProgramResult {
  /** Exit code; undefined where the program does not exist. */
  code: number | undefined;
  output: string;
  errors: string;
}

export interface ProgramOptions {
  /** Variables set beside the inherited ones. */
  environment?: Record<string, string>;
  /** Called every quarter of a second while it runs. */
  onTick?: () => void;
}

/** Runs a program to its end and collects what it printed; never throws for the program's own failure. */
export function runProgram(
  [command, ...parameters]: readonly [string, ...string[]],
  { environment = {}, onTick }: ProgramOptions = {},
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, parameters, {
      env: childEnvironment(environment),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ticks = onTick && setInterval(onTick, 250);
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearInterval(ticks);
      if (error.code === 'ENOENT') resolve({ code: undefined, output, errors });
      else reject(error);
    });
    child.on('close', (code) => {
      clearInterval(ticks);
      resolve({ code: code ?? -1, output, errors });
    });
  });
}

/** The end of what a program wrote, for an error message. */
export function lastLines(text: string, count = 4): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
