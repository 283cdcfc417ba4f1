/** Programs that a benchmark starts: each in a process of its own, so that time and peak memory are its own. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ChildOptions {
  /** Environment variables beside this process's own. */
  environment?: Readonly<Record<string, string>>;
}

/**
 * Runs a program to its end and returns the JSON of the last line that it prints. What it says on stderr is passed
 * on when it fails.
 */
export function runProgram<Result>(
  command: string,
  args: readonly string[],
  { environment = {} }: ChildOptions = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    let output = '';
    let messages = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      messages += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const last = output.trimEnd().split('\n').at(-1) ?? '';
      if (code === 0 && last !== '') resolve(JSON.parse(last) as Result);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? code}:\n${messages}`));
    });
  });
}

/** Runs a TypeScript program of this folder as {@link runProgram}, with `input` as its one argument, JSON. */
export function runChild<Result>(file: string, input: unknown, options?: ChildOptions): Promise<Result> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  // What this process was started with makes Node read TypeScript.
  return runProgram(process.execPath, [...process.execArgv, path, JSON.stringify(input)], options);
}

/** The argument that {@link runChild} gave to this process. */
export function childInput<Input>(): Input {
  return JSON.parse(process.argv[2] ?? 'null') as Input;
}
