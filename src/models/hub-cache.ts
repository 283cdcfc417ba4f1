/** The folder of one repository in the Hub's cache, in the layout of Python's huggingface_hub. */
import { existsSync, readFileSync } from 'node:fs';
import { lstat, mkdir, rename, rm, statfs, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { writeFileAtomically } from './atomic-file.js';
import { reasonOf } from './file-reading.js';
import { hubError } from './hub-http.js';
import { readWeightMap, SINGLE_WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from './safetensors.js';

/** A model's id on the Hub and the revision that is wanted: branch, tag or commit. */
export interface HubId {
  repository: string;
  revision: string;
}

/** A full commit hash; anything else is a branch or tag. */
export const COMMIT = /^[0-9a-f]{40}$/;

export interface RepositoryCache {
  readonly root: string;
  readonly id: HubId;
  /** `snapshots/COMMIT`: the files of a commit under their names, links to blobs. */
  snapshotPath(commit: string): string;
  /** `blobs/ETAG`: a file's content under its hash. */
  blobPath(etag: string): string;
  /** Of this package; huggingface_hub's own locks (flock) are out of Node's reach. */
  lockPath(etag: string): string;
  /** Notes which commit the revision stands for (`refs/REVISION`). */
  writeRef(commit: string): Promise<void>;
  /** Puts a blob in a snapshot under its name, by a relative link. */
  link(blob: string, commit: string, name: string): Promise<void>;
  /** The snapshot of the revision, if all that is needed to load the model is there. */
  completeSnapshot(): { path: string; commit: string } | undefined;
  /** Finds a full disk or an unwritable folder before the download, not in its middle. */
  requireSpace(bytes: number): Promise<void>;
}

export function repositoryCache(root: string, id: HubId): RepositoryCache {
  const folder = `models--${id.repository.replace('/', '--')}`;
  const refPath = join(root, folder, 'refs', id.revision);
  const snapshotPath = (commit: string) => join(root, folder, 'snapshots', commit);
  return {
    root,
    id,
    snapshotPath,
    blobPath: (etag) => join(root, folder, 'blobs', etag),
    lockPath: (etag) => join(root, '.locks', folder, `${etag}.persona-dpo.lock`),
    async writeRef(commit) {
      if (readRef(refPath) === commit) return;
      await mkdir(dirname(refPath), { recursive: true });
      writeFileAtomically(refPath, commit);
    },
    link: (blob, commit, name) => linkBlob(blob, join(snapshotPath(commit), name)),
    completeSnapshot() {
      const commit = COMMIT.test(id.revision) ? id.revision : readRef(refPath);
      if (commit === undefined) return undefined;
      const path = snapshotPath(commit);
      return isComplete(path) ? { path, commit } : undefined;
    },
    async requireSpace(bytes) {
      try {
        await mkdir(join(root, folder), { recursive: true });
      } catch (cause) {
        throw hubError('no-space', `The cache folder ${root} cannot be made: ${reasonOf(cause)}.`, { cause });
      }
      const { bavail, bsize } = await statfs(root);
      if (bytes <= bavail * bsize) return;
      throw hubError(
        'no-space',
        `${id.repository} takes ${bytes} bytes, the disk of the cache ${root} has ${bavail * bsize} free.`,
      );
    },
  };
}

async function linkBlob(blob: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (existsSync(path)) return;
  // a link to a blob that somebody has deleted
  if (await lstat(path).catch(() => undefined)) await rm(path);
  try {
    await symlink(relative(dirname(path), blob), path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST' && existsSync(path)) return;
    if (code !== 'EPERM' && code !== 'ENOSYS' && code !== 'ENOTSUP') {
      throw hubError('no-space', `${path} cannot be written: ${reasonOf(cause)}.`, { cause });
    }
    // no links on this file system: huggingface_hub moves the file itself
    await rename(blob, path);
  }
}

function readRef(path: string): string | undefined {
  try {
    const commit = readFileSync(path, 'utf8').trim();
    return COMMIT.test(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

function isComplete(folder: string): boolean {
  if (!existsSync(join(folder, 'config.json'))) return false;
  if (existsSync(join(folder, SINGLE_WEIGHTS_FILE))) return true;
  const index = join(folder, WEIGHTS_INDEX_FILE);
  if (!existsSync(index)) return false;
  return [...readWeightMap(index).values()].every((shard) => existsSync(join(folder, shard)));
}

/** `owner/name` or `owner/name@revision` (default: main); undefined for what is no Hub id. */
export function parseHubId(text: string): HubId | undefined {
  const match = /^([\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95})(?:@([\w-][\w./-]{0,254}))?$/.exec(text);
  if (match === null || text.includes('..')) return undefined;
  return { repository: match[1]!, revision: match[2] ?? 'main' };
}
