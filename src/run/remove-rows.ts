/** Takes rows out of JSONL files, and what they stood for out of the books. */

import { existsSync } from 'node:fs';
import { openAtomic } from '../data/atomic-write.js';
import { streamRows } from '../data/row-stream.js';
import type { Counts } from '../data/tally.js';

export type Row = Readonly<Record<string, unknown>>;

/** What was taken out of a stage: rows that had gone out, and rows dropped by reason. */
export interface Removed {
  out: number;
  dropped: Record<string, number>;
}

const MAX_ROW_BYTES = 256 * 1024 * 1024;

/** Rewrites the file, atomically, without the rows that are meant; returns those. A file that is not there has none. */
export async function removeRows(path: string, isMeant: (row: Row) => boolean): Promise<Row[]> {
  if (!existsSync(path)) return [];
  const removed: Row[] = [];
  const file = await openAtomic(path);
  try {
    for await (const { bytes } of streamRows(path, MAX_ROW_BYTES)) {
      const row = rowOf(bytes);
      if (row !== undefined && isMeant(row)) removed.push(row);
      else await file.write(Buffer.concat([bytes, NEWLINE]));
    }
    if (removed.length > 0) await file.commit();
  } finally {
    await file.abort();
  }
  return removed;
}

const NEWLINE = Buffer.from('\n');

function rowOf(bytes: Buffer): Row | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Row) : undefined;
  } catch {
    return undefined;
  }
}

/** Rows of a stage's file of dropped things, by reason. */
export function byReason(rows: readonly Row[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { reason } of rows) {
    if (typeof reason === 'string') counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

/**
 * The books as if what was taken out had never come in. What was noted of those that went out is not known one by one,
 * and goes.
 */
export function countsWithout({ noted, ...counts }: Counts, { out, dropped }: Removed): Counts {
  const left: Record<string, number> = {};
  let removed = out;
  for (const [reason, count] of Object.entries(counts.dropped)) {
    const less = Math.min(count, dropped[reason] ?? 0);
    removed += less;
    if (count > less) left[reason] = count - less;
  }
  if (removed === 0) return noted === undefined ? counts : { ...counts, noted };
  return { ...counts, in: counts.in - removed, out: counts.out - out, dropped: left };
}
