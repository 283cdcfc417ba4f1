import { statSync } from 'node:fs';
import { FileHashes } from './file-hashes.js';
import type { OutputFile } from './manifest.js';

/** What a manifest says of a file that somebody else wrote. */
export async function fileOutput(path: string, rows: number | null): Promise<OutputFile> {
  return { sha256: await new FileHashes(null).sha256(path), bytes: statSync(path).size, rows };
}
