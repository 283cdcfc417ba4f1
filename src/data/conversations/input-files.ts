/** Which files are meant by files, folders and globs, and what each is. */
import { open, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DataError } from '../../errors.js';
import { type Engine, sqlText } from './engine.js';

/** What a folder is searched for. */
const LOG_FILE = /\.(parquet|(jsonl|ndjson|json)(\.(gz|zst|zstd))?)$/i;
const GLOB = /[*?[\]]/;

export interface InputFile {
  path: string;
  kind: 'parquet' | 'json';
  compression: 'none' | 'gzip' | 'zstd';
}

/**
 * The files that `inputs` name, each once, in the order of the inputs and by name within a folder or glob. What a
 * file is, is told by its first bytes, not by its name.
 *
 * @throws DataError for what is not there, and for a folder or glob without any logs
 */
export async function findInputFiles(engine: Engine, inputs: readonly string[]): Promise<InputFile[]> {
  const files = new Map<string, InputFile>();
  for (const input of inputs) {
    for (const path of await filesOf(engine, input)) {
      if (!files.has(resolve(path))) files.set(resolve(path), await describeFile(path));
    }
  }
  return [...files.values()];
}

async function filesOf(engine: Engine, input: string): Promise<string[]> {
  const found = await stat(input).catch(() => undefined);
  if (found?.isDirectory()) {
    const entries = await readdir(input, { recursive: true, withFileTypes: true });
    const logs = entries
      .filter((entry) => entry.isFile() && LOG_FILE.test(entry.name) && !entry.name.startsWith('.'))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    if (logs.length > 0) return logs;
    throw new DataError(
      'The folder holds no logs: expected .parquet, .jsonl, .ndjson or .json files (or .gz, .zst).',
      { file: input },
    );
  }
  if (found !== undefined) return [input];
  if (!GLOB.test(input)) throw new DataError('There is no such file or folder.', { file: input });
  const matches = await engine.all<{ file: string }>(
    `SELECT file FROM glob(${sqlText(input)}) ORDER BY file`,
  );
  if (matches.length === 0) throw new DataError('No file matches.', { file: input });
  return matches.map(({ file }) => file);
}

async function describeFile(path: string): Promise<InputFile> {
  const magic = await firstBytes(path);
  if (magic.toString('latin1') === 'PAR1') return { path, kind: 'parquet', compression: 'none' };
  if (magic[0] === 0x1f && magic[1] === 0x8b) return { path, kind: 'json', compression: 'gzip' };
  if (magic.length === 4 && magic.readUInt32BE(0) === 0x28b52ffd)
    return { path, kind: 'json', compression: 'zstd' };
  return { path, kind: 'json', compression: 'none' };
}

async function firstBytes(path: string): Promise<Buffer> {
  try {
    const handle = await open(path);
    try {
      const magic = Buffer.alloc(4);
      const { bytesRead } = await handle.read(magic, 0, 4, 0);
      return magic.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new DataError(`It cannot be read (${(cause as Error).message}).`, { file: path, cause });
  }
}
