/** Programs that a benchmark starts: each in a process of its own, so that time and peak memory are its own. */

import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

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
export async function runChild<Result>(
  file: string,
  input: unknown,
  options?: ChildOptions,
): Promise<Result> {
  return runProgram(process.execPath, [await compiled(file), JSON.stringify(input)], options);
}

/** The program as JavaScript: what reads TypeScript as it runs would count as memory of the program. */
async function compiled(file: string): Promise<string> {
  // Below node_modules, from where Node finds the packages.
  const cache = new URL('../../node_modules/.cache/persona-dpo-bench/', import.meta.url);
  const outfile = fileURLToPath(new URL(`${basename(file, '.ts')}.mjs`, cache));
  await build({
    entryPoints: [fileURLToPath(new URL(file, import.meta.url))],
    outfile,
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node20', packages: 'external' },
  });
  return outfile;
}

/** The argument that {@link runChild} gave to this process. */
export function childInput<Input>(): Input {
  return JSON.parse(process.argv[2] ?? 'null') as Input;
}
