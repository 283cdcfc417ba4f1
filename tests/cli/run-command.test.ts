import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runStatus } from '../../src/run/status.js';
import { doSmallRun, readRowsOf, setUpSmallRun } from '../run/small-run.js';
import { runCli } from './run-cli.js';

const root = join(import.meta.dirname, '..', '..');

/** Starts the command and gives the child, to be killed. */
function startCli(args: readonly string[]): { child: ChildProcess; ended: Promise<void> } {
  const loader = join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs');
  const child = spawn(process.execPath, ['--import', loader, join(root, 'src', 'cli', 'main.ts'), ...args], {
    stdio: 'ignore',
    cwd: root,
  });
  return { child, ended: new Promise((resolve) => child.on('close', () => resolve())) };
}

const pairsOf = (output: string) => readRowsOf(join(output, 'pairs', 'pairs.jsonl'));

describe('run, status, inspect and forget', () => {
  test('from logs to pairs, and back to where a pair came from', async () => {
    const { configFile, output } = await setUpSmallRun();
    const run = await runCli(['run', configFile]);
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/^classify +to do +\? +\? +\? +\? +not done yet$/m);
    expect(run.stderr).toContain('15 conversations in, 15 out');
    expect(run.stdout).toMatch(/^users +users +5 +4 +1 no-meaningful-feedback +5 \(\+0 kept\)/m);
    expect(run.stdout).toMatch(/^pairs +pairs +12 +12 /m);
    expect(run.stdout).toContain(`npx persona-dpo inspect ${output} PAIR`);

    const status = await runCli(['status', output]);
    expect(status.stdout).toMatch(
      /^rewrite +user messages +36 +12 +12 initial-request, 12 positive-feedback/m,
    );
    const inspected = await runCli(['inspect', output, 'ann-1:']);
    for (const text of [
      'A pair: every filter let it pass.',
      'user <- the follow-up:\n    make it shorter, I am ann',
      'The follow-up is: re-attempt-with-feedback',
      '- Wants no lists',
      'Tell me about ann topic 1.',
      'chosen:\n    Here is the brief form for someone who said make it shorter, I am ann.',
    ]) {
      expect(inspected.stdout).toContain(text);
    }
    const forgotten = await runCli(['forget', output, '--user', 'ann']);
    expect(forgotten.stdout).toContain('pairs/pairs.jsonl: 3 rows removed');
    expect(forgotten.stdout).toContain('A later run on the same logs leaves this user out.');
    expect(pairsOf(output)).toHaveLength(9);
  });

  test('--dry-run prints the plan and touches nothing', async () => {
    const { configFile, output } = await setUpSmallRun();
    const { code, stdout } = await runCli(['run', configFile, '--dry-run', '--limit', '5']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Run in ${join(output, 'limit-5')}`);
    expect(existsSync(output)).toBe(false);
  });

  test('mistakes of flags and configuration end with 2', async () => {
    const { configFile } = await setUpSmallRun({ yaml: 'train:\n  modle: x\n' });
    const flag = await runCli(['run', configFile, '--from', 'rewrites']);
    expect(flag.stderr).toContain("argument 'rewrites' is invalid. Expected one of conversations");
    const config = await runCli(['run', configFile, '--json']);
    expect([flag.code, config.code]).toEqual([2, 2]);
    expect(JSON.parse(config.stdout)).toMatchObject({ error: { code: 'CONFIG' } });
  });
});

describe('a run that ends before its time', () => {
  test('a first Ctrl-C stops it, says how to go on, and ends with 130', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const small = await setUpSmallRun({
      behave: async ({ body }) => {
        if (body.messages?.at(-1)?.content.startsWith('PERSONA')) await held;
      },
    });
    const { configFile, output } = small;
    const stopped = await runCli(['run', configFile], {
      signalAt: { text: '\npersonas: infer', signal: 'SIGINT' },
    });
    release();
    expect(stopped.code, stopped.stderr).toBe(130);
    expect(stopped.stderr).toContain('Stopping; what is done stays done.');
    expect(stopped.stdout).toContain(`Go on with: npx persona-dpo run ${configFile}`);
    const asked = small.asked();
    const again = await runCli(['run', configFile]);
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain('classify: up to date');
    expect(small.asked()).toMatchObject({ KIND: asked.KIND, MEANINGFUL: asked.MEANINGFUL });
    expect(pairsOf(output)).toHaveLength(12);
  });

  test('kill -9 at any stage loses no more than what was under way', async () => {
    const kinds = ['KIND', 'PERSONA', 'REWRITE'];
    let kill = () => {};
    const small = await setUpSmallRun({
      behave: async ({ body }) => {
        const kind = body.messages?.at(-1)?.content.split('\n')[0] ?? '';
        // Some have been answered by then, some are under way.
        if (kinds[0] !== kind || (small.asked()[kind] ?? 0) < 3) return;
        kinds.shift();
        kill();
        await new Promise(() => {});
      },
    });
    const config = ['run', small.configFile];
    while (kinds.length > 0) {
      const { child, ended } = startCli(config);
      kill = () => child.kill('SIGKILL');
      await ended;
      expect(child.signalCode).toBe('SIGKILL');
    }
    const last = await runCli(config);
    expect(last.code, last.stderr).toBe(0);
    expect(pairsOf(small.output)).toHaveLength(12);
    expect(readdirSync(small.output).filter((name) => name.startsWith('.'))).toEqual([]);
    // Each kill may cost the eight requests that were under way, and no others.
    const total = small.server.asked.length;
    expect(total).toBeLessThanOrEqual(20 + 5 + 4 + 12 + 3 * 8);
    const fresh = await setUpSmallRun();
    await doSmallRun(fresh);
    expect(pairsOf(small.output)).toEqual(pairsOf(fresh.output));
  });

  test('a second process is refused at once, with the number of the first', async () => {
    let reached = () => {};
    const waiting = new Promise<void>((resolve) => (reached = resolve));
    const small = await setUpSmallRun({
      behave: async () => {
        reached();
        await new Promise(() => {});
      },
    });
    const { child, ended } = startCli(['run', small.configFile]);
    await waiting;
    const second = await runCli(['run', small.configFile]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`another process works in ${small.output}: ${child.pid} on`);
    const { worker } = await runStatus(small.output);
    expect(worker?.pid).toBe(child.pid);
    child.kill('SIGKILL');
    await ended;
  });
});
