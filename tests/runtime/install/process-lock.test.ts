import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isWhole } from '../../../src/runtime/install/placed-folder.js';
import { type LockOwner, lockOwner, withProcessLock } from '../../../src/runtime/install/process-lock.js';
import { temporaryFolder } from './temporary-folder.js';

/** Places a folder slowly; prints `filled`, `waited`, `true` and the like. */
const PLACER = `
import { appendFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { placeFolder } from './src/runtime/install/placed-folder.ts';
const [folder, log, milliseconds] = process.argv.slice(1);
const fill = async (empty) => {
  appendFileSync(log, 'filling\\n');
  await sleep(Number(milliseconds));
  writeFileSync(empty + '/file', 'x'.repeat(1000));
};
const placed = await placeFolder(folder, fill, { onWait: () => appendFileSync(log, 'waiting\\n') });
appendFileSync(log, placed + '\\n');
`;

function startPlacer(folder: string, log: string, milliseconds: number) {
  const parameters = ['--import', 'tsx', '--input-type=module', '--eval', PLACER];
  const child = spawn(process.execPath, [...parameters, folder, log, String(milliseconds)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return { child, ended };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(condition()).toBe(true);
}

const lines = (log: string) => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);

describe('a lock between processes', () => {
  it('lets one of three work and the others find it done', async () => {
    const parent = temporaryFolder();
    const [folder, log] = [join(parent, 'x'), join(parent, 'log')];
    const placers = [1, 2, 3].map(() => startPlacer(folder, log, 1500));
    await Promise.all(placers.map(({ ended }) => ended));
    expect(lines(log).sort()).toEqual(['false', 'false', 'filling', 'true', 'waiting', 'waiting']);
    expect(isWhole(folder)).toBe(true);
    expect(readdirSync(parent).sort()).toEqual(['log', 'x']);
  });

  it('passes on when its holder is killed, and nothing half-done stays', async () => {
    const parent = temporaryFolder();
    const [folder, log] = [join(parent, 'x'), join(parent, 'log')];
    const first = startPlacer(folder, log, 60_000);
    await until(() => lines(log).includes('filling'));
    const second = startPlacer(folder, log, 0);
    await until(() => lines(log).includes('waiting'));
    expect(isWhole(folder)).toBe(false);
    first.child.kill('SIGKILL');
    await Promise.all([first.ended, second.ended]);
    expect(lines(log)).toEqual(['filling', 'waiting', 'filling', 'true']);
    expect(isWhole(folder)).toBe(true);
    expect(readdirSync(parent).sort()).toEqual(['log', 'x']);
  });

  it('is free again after a failure', async () => {
    const path = join(temporaryFolder(), 'a.lock');
    await expect(withProcessLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(existsSync(path)).toBe(false);
    expect(await withProcessLock(path, async () => 7)).toBe(7);
  });

  it('of another host is broken when it was not touched for a minute, and not before', async () => {
    const path = join(temporaryFolder(), 'a.lock');
    writeFileSync(path, JSON.stringify({ pid: 1, host: `not-${hostname()}`, token: 'x' }));
    let waited = 0;
    const result = withProcessLock(path, async () => 'mine', { onWait: () => waited++ });
    await until(() => waited === 1);
    const longAgo = new Date(Date.now() - 61_000);
    utimesSync(path, longAgo, longAgo);
    expect(await result).toBe('mine');
    expect(waited).toBe(1);
  });

  it('can be refused at once instead of waited for, with its owner named', async () => {
    const path = join(temporaryFolder(), 'a.lock');
    expect(await lockOwner(path)).toBeUndefined();
    await withProcessLock(path, async () => {
      expect(await lockOwner(path)).toMatchObject({ pid: process.pid, host: hostname() });
      const refuse = ({ pid }: LockOwner) => new Error(`held by ${pid}`);
      const second = withProcessLock(path, async () => 'never', { refuse });
      await expect(second).rejects.toThrow(`held by ${process.pid}`);
    });
    expect(await lockOwner(path)).toBeUndefined();
  });
});
