import { mkdir, open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf } from './file-reading.js';
import { hubError } from './hub-http.js';

const POLL_MS = 200;
/** The holder touches its lock this often; one that has not been touched for much longer has no holder any more. */
const TOUCH_MS = 5_000;
const ABANDONED_MS = 60_000;

/**
 * Runs `work` while no other process of this package does for the same lock file; waits for one that does.
 * A lock is taken over when its process on this machine is gone, or when it has not been touched for a minute.
 */
export async function withFileLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  await acquire(path, signal);
  const touching = setInterval(() => {
    const now = new Date();
    // the folder may be deleted under us; what is written there then fails with its own error
    utimes(path, now, now).catch(() => {});
  }, TOUCH_MS);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    await rm(path, { force: true });
  }
}

async function acquire(path: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (cause) {
    throw hubError('no-space', `${dirname(path)} cannot be made: ${reasonOf(cause)}.`, { cause });
  }
  for (;;) {
    if (signal?.aborted) throw hubError('aborted', 'The download was stopped while waiting for another one.');
    try {
      const file = await open(path, 'wx');
      await file.writeFile(`${process.pid} ${hostname()}`);
      await file.close();
      return;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw hubError('no-space', `${path} cannot be written: ${reasonOf(cause)}.`, { cause });
      }
    }
    if (await isAbandoned(path)) await rm(path, { force: true });
    else await sleep(POLL_MS);
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    if (Date.now() - (await stat(path)).mtimeMs > ABANDONED_MS) return true;
    const [pid, host] = (await readFile(path, 'utf8')).split(' ');
    return host === hostname() && !isRunning(Number(pid));
  } catch {
    // gone in the meantime
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
