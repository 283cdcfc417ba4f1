/** A lock between processes, as a file: whoever creates it has it, and the others wait. */

import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The owner touches its lock this often, ... */
const HEARTBEAT_MS = 5_000;
/** ... and one that was not touched for this long belongs to nobody (a process on another host that died). */
const STALE_MS = 60_000;
const POLL_MS = 100;

/** The process that has a lock, as far as the file tells. */
export interface LockOwner {
  pid?: number;
  host?: string;
}

export interface LockOptions {
  /** Called once when another process has the lock. */
  onWait?: (() => void) | undefined;
  /** Instead of waiting: the error to be thrown when another process has the lock. */
  refuse?: ((owner: LockOwner) => Error) | undefined;
}

/**
 * Runs `action` while holding the lock file `path`; waits as long as another process holds it, unless `refuse` says
 * what to throw then.
 */
export async function withProcessLock<T>(
  path: string,
  action: () => Promise<T>,
  { onWait, refuse }: LockOptions = {},
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), token: randomUUID() });
  let told = false;
  while (!(await create(path, mine))) {
    if (await breakStale(path)) continue;
    if (refuse !== undefined) throw refuse(parse((await content(path)) ?? ''));
    if (!told) onWait?.();
    told = true;
    await sleep(POLL_MS);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await action();
  } finally {
    clearInterval(heartbeat);
    if ((await content(path)) === mine) await rm(path, { force: true });
  }
}

/** The living process that has the lock `path`; undefined where nobody has it. */
export async function lockOwner(path: string): Promise<LockOwner | undefined> {
  const text = await content(path);
  return text === undefined || (await isStale(path, text)) ? undefined : parse(text);
}

async function create(path: string, text: string): Promise<boolean> {
  // Written under another name and then linked: nobody ever reads a lock that is still empty.
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx');
  await file.writeFile(text);
  await file.close();
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Takes away a lock whose owner is gone; false where it is alive. */
async function breakStale(path: string): Promise<boolean> {
  const text = await content(path);
  if (text === undefined) return true;
  if (!(await isStale(path, text))) return false;
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return true; // Someone else was faster.
  }
  // Between our look and the renaming another process may have broken the stale lock and taken a new one.
  if ((await content(aside)) !== text) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
  return true;
}

async function isStale(path: string, text: string): Promise<boolean> {
  const { pid, host } = parse(text);
  if (host === hostname() && pid !== undefined && !isAlive(pid)) return true;
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > STALE_MS;
}

function parse(text: string): LockOwner {
  try {
    return JSON.parse(text) as LockOwner;
  } catch {
    return {};
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function content(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
