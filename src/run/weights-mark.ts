/** What tells weights from others under the same name: when it changes, what was made with them is made anew. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parseHubId, repositoryCache } from '../models/hub-cache.js';
import { defaultHubCacheDir, type HubOptions } from '../models/hub-options.js';
import { weightFilesOf } from '../models/model-fingerprint.js';

/** Digits of a hash that are shown. */
const DIGITS = 12;

/**
 * A name with its mark: of files on the disk, a hash of their sizes and times; of an id on the Hub, the commit that its
 * revision stands for, where the cache knows it. Nothing is read from the network, so before the first download there
 * is no mark.
 */
export function markedWeights(name: string, hub: HubOptions): string {
  const mark = existsSync(name) ? fileMark(name) : revisionMark(name, hub);
  return mark === undefined ? name : `${name} (${mark})`;
}

function fileMark(path: string): string | undefined {
  try {
    return hashOf(weightFilesOf(path));
  } catch {
    return undefined; // What is wrong with it is said when it is opened.
  }
}

function hashOf(files: readonly { size: number; modified: string }[]): string {
  const facts = files.map(({ size, modified }) => `${size} ${modified}`);
  return createHash('sha256').update(facts.join()).digest('hex').slice(0, DIGITS);
}

function revisionMark(name: string, { cacheDir = defaultHubCacheDir() }: HubOptions): string | undefined {
  const id = parseHubId(name);
  const snapshot = id === undefined ? undefined : repositoryCache(cacheDir, id).completeSnapshot();
  return snapshot === undefined ? undefined : `revision ${snapshot.commit.slice(0, DIGITS)}`;
}

const REVISION = / \(revision [0-9a-f]+\)/g;

/**
 * Whether two descriptions are of the same model, as far as is known: one that was made before the model was first
 * fetched has no revision, and says nothing against any.
 */
export function isSameModel(before: string | null, now: string | null): boolean {
  if (before === now) return true;
  if (before === null || now === null) return false;
  const [bareBefore, bareNow] = [before.replace(REVISION, ''), now.replace(REVISION, '')];
  return bareBefore === bareNow && (bareBefore === before || bareNow === now);
}
