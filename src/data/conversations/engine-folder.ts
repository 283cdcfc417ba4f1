/** The folder in which an engine puts what memory has no room for, and what killed processes have left of theirs. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DataError } from '../../errors.js';

/** `persona-dpo.HOST.PID.XXXXXX`: whose it is can be told after a process was killed that could not remove it. */
const NAME = /^persona-dpo\.(.+)\.(\d+)\.[A-Za-z0-9]{6}$/;

/** Folders that were looked through already: what a process finds there once does not become more. */
const cleaned = new Set<string>();

/**
 * Makes a folder of its own in `parent`. Those of processes of this machine that are gone are removed first; a process
 * that lives, or is of another machine, keeps its own.
 *
 * @throws DataError where none can be made
 */
export async function engineFolder(parent: string): Promise<string> {
  if (!cleaned.has(parent)) {
    cleaned.add(parent);
    await removeStale(parent);
  }
  try {
    return await mkdtemp(join(parent, `persona-dpo.${hostname()}.${process.pid}.`));
  } catch (cause) {
    throw new DataError(`No temporary folder can be made in it (${(cause as Error).message}).`, {
      file: parent,
      cause,
    });
  }
}

/** Removes the folders of processes that are gone; returns how many there were. */
export async function removeStale(parent: string): Promise<number> {
  // That it can't be read is said when a folder is made in it.
  const names = await readdir(parent).catch(() => []);
  const stale = names.filter((name) => {
    const [, host, pid] = NAME.exec(name) ?? [];
    return host === hostname() && !isAlive(Number(pid));
  });
  // Another user's can't be removed, which is no reason to stop.
  const remove = (name: string) => rm(join(parent, name), { recursive: true, force: true });
  const removed = await Promise.allSettled(stale.map(remove));
  return removed.filter(({ status }) => status === 'fulfilled').length;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // One that may not be asked is there all the same.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
