/** `metrics.jsonl`: one row of metrics a line, and on resuming cut back to the checkpoint's step. */

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { writeFileAtomic } from '../data/atomic-write.js';
import type { Metrics } from './events.js';

/** One row of `metrics.jsonl`. */
export interface MetricsRow extends Metrics {
  readonly step: number;
}

export interface MetricsLog {
  append(row: MetricsRow): void;
  /** Makes sure that what was appended is on disk. */
  sync(): void;
  close(): void;
}

/**
 * Opens the log at `path`. With `resumeAt`, rows of later steps are dropped, and a last line that a killed process
 * left half written.
 */
export async function openMetricsLog(path: string, resumeAt: number | null): Promise<MetricsLog> {
  if (resumeAt === null) await writeFileAtomic(path, '');
  else await writeFileAtomic(path, keptLines(path, resumeAt));
  const file = openSync(path, 'a');
  return {
    append: (row) => void writeSync(file, `${JSON.stringify(row)}\n`),
    sync: () => fsyncSync(file),
    close: () => closeSync(file),
  };
}

/** The rows of a log. Lines that are no JSON are left out. */
export function readMetrics(path: string): MetricsRow[] {
  return parsedLines(path).map(({ row }) => row);
}

function keptLines(path: string, lastStep: number): string[] {
  return parsedLines(path)
    .filter(({ row }) => row.step <= lastStep)
    .map(({ line }) => `${line}\n`);
}

function parsedLines(path: string): { line: string; row: MetricsRow }[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        const row: unknown = JSON.parse(line);
        return isRow(row) ? [{ line, row }] : [];
      } catch {
        return [];
      }
    });
}

function isRow(row: unknown): row is MetricsRow {
  return typeof row === 'object' && row !== null && typeof (row as { step?: unknown }).step === 'number';
}
