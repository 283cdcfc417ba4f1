/** What identifies a model's weights, wherever its files lie: a hash that anything computed from them is kept under. */

import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { writeFileAtomically } from './atomic-file.js';
import { reasonOf } from './file-reading.js';
import { readJsonFile } from './json-file.js';
import type { LoraAdapter } from './lora-adapter.js';
import type { ModelConfig } from './model-config.js';
import { readWeightMap, SINGLE_WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from './safetensors.js';

/** A file of weights as it was when they were read. */
export interface WeightFile {
  path: string;
  size: number;
  /** Nanoseconds, in decimal: more digits than a number holds. */
  modified: string;
}

export interface FingerprintOptions {
  /**
   * Folder where hashes are remembered by path, size and time of change, so that large files are hashed once.
   * Default: nowhere.
   */
  cacheDir?: string | null;
}

const CACHE_FILE = 'weight-hashes.json';
/** A remembered hash takes some 200 bytes: more than this is something else. */
const MAX_CACHE_BYTES = 50_000_000;
const READ_BYTES = 4 * 2 ** 20;

/** The files that hold the weights of the model at `path`: a Hugging Face folder or a GGUF file. */
export function weightFilesOf(path: string): WeightFile[] {
  if (!statSync(path).isDirectory()) return [weightFile(path)];
  try {
    return [weightFile(join(path, SINGLE_WEIGHTS_FILE))];
  } catch {
    const shards = new Set(readWeightMap(join(path, WEIGHTS_INDEX_FILE)).values());
    return [...shards].sort().map((shard) => weightFile(join(path, shard)));
  }
}

/** A file as it is now. */
export function weightFile(path: string): WeightFile {
  const { size, mtimeNs } = statSync(path, { bigint: true });
  return { path, size: Number(size), modified: String(mtimeNs) };
}

/**
 * SHA-256 in hex over the configuration and the bytes of every file of weights: the same for the same model in
 * another folder, another one when a byte of it has changed.
 *
 * @throws CheckpointError when a file has changed since it was listed
 */
export async function modelFingerprint(
  files: readonly WeightFile[],
  config: ModelConfig,
  options: FingerprintOptions = {},
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(config));
  for (const file of files) hash.update(await fileHash(file, options));
  return hash.digest('hex');
}

/** SHA-256 in hex over an adapter's scale and factors as they are now in memory. */
export function adapterFingerprint(adapter: LoraAdapter): string {
  const { modules, scale } = adapter.shape(false);
  const hash = createHash('sha256').update(JSON.stringify({ modules, scale }));
  for (const [id, factor] of adapter.entries()) {
    const { buffer, byteOffset, byteLength } = factor.data();
    hash.update(id).update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}

/**
 * SHA-256 in hex of a file's bytes.
 *
 * @throws CheckpointError when the file has changed since it was listed
 */
export async function fileHash(
  file: WeightFile,
  { cacheDir = null }: FingerprintOptions = {},
): Promise<string> {
  const now = weightFile(file.path);
  if (now.size !== file.size || now.modified !== file.modified) {
    throw new CheckpointError(`${file.path} has changed since its weights were read; load the model again.`, {
      details: { path: file.path },
    });
  }
  const remembered = cacheDir === null ? undefined : readCache(cacheDir)[file.path];
  if (remembered?.size === file.size && remembered.modified === file.modified) return remembered.sha256;
  const sha256 = await hashContent(file.path);
  if (cacheDir !== null) remember(cacheDir, file, sha256);
  return sha256;
}

async function hashContent(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) hash.update(chunk);
  } catch (cause) {
    throw new CheckpointError(`${path} cannot be read: ${reasonOf(cause)}.`, { details: { path }, cause });
  }
  return hash.digest('hex');
}

interface RememberedHash {
  size: number;
  modified: string;
  sha256: string;
}

function readCache(cacheDir: string): Record<string, RememberedHash> {
  try {
    const content = readJsonFile(join(cacheDir, CACHE_FILE), { maxBytes: MAX_CACHE_BYTES });
    return Object.fromEntries(
      Object.entries(content as Record<string, RememberedHash | null>).filter(
        (entry): entry is [string, RememberedHash] => /^[0-9a-f]{64}$/.test(String(entry[1]?.sha256)),
      ),
    );
  } catch {
    // Nothing remembered yet, or nothing that can be read: the files are hashed again.
    return {};
  }
}

/** Two processes that write at once may lose one of the entries, which costs hashing that file again. */
function remember(cacheDir: string, { path, size, modified }: WeightFile, sha256: string): void {
  mkdirSync(cacheDir, { recursive: true });
  const content = { ...readCache(cacheDir), [path]: { size, modified, sha256 } };
  writeFileAtomically(join(cacheDir, CACHE_FILE), `${JSON.stringify(content, null, 1)}\n`);
}
