import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const loader = join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs');

export interface CliRun {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** What comes on standard input. Default: nothing. */
  input?: string;
  /** Sends a signal once, when this text has come on standard error, or on standard output where `on` says so. */
  signalAt?: { text: string; signal: NodeJS.Signals; on?: 'stderr' | 'stdout' };
}

/** Runs the command as a user would, from the sources. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const { cwd = root, env = {}, input = '', signalAt } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ['--import', loader, join(root, 'src', 'cli', 'main.ts'), ...args],
      { cwd, env: { ...process.env, ...env } },
    );
    let stdout = '';
    let stderr = '';
    let signalled = false;
    const signal = (on: 'stderr' | 'stdout', written: string) => {
      if (signalAt === undefined || signalled || (signalAt.on ?? 'stderr') !== on) return;
      if (!written.includes(signalAt.text)) return;
      signalled = true;
      child.kill(signalAt.signal);
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      signal('stdout', stdout);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      signal('stderr', stderr);
    });
    child.on('error', reject).on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    child.stdin.on('error', () => undefined).end(input);
  });
}
