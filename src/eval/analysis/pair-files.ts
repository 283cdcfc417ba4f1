/** Telling files of preference pairs from logs. */

import { streamRows } from '../../data/row-stream.js';
import { DataError } from '../../errors.js';

/** More than this is not looked at to tell what a file is. */
const MAX_ROW_BYTES = 16 * 1024 * 1024;

/** Whether the first row of a file is a pair, by its keys; files that are not JSON are not. */
export async function isPairsFile(file: string): Promise<boolean> {
  if (!/\.(json|jsonl|ndjson)(\.gz)?$/.test(file)) return false;
  try {
    for await (const { bytes, tooLong } of streamRows(file, MAX_ROW_BYTES)) {
      if (tooLong) return false;
      const row: unknown = JSON.parse(bytes.toString('utf8'));
      return typeof row === 'object' && row !== null && ('chosen' in row || 'chosen_ids' in row);
    }
  } catch (error) {
    if (error instanceof DataError || error instanceof SyntaxError) return false;
    throw error;
  }
  return false;
}
