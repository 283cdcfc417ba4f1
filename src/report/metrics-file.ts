import { readFileSync } from 'node:fs';
import { DataError } from '../errors.js';

/** A row of `metrics.jsonl`: `step` and metrics by TRL's names (`loss`, `rewards/margins`, `eval_loss`, ...). */
export type MetricsRow = Readonly<Record<string, number>> & { readonly step: number };

/**
 * Reads the metrics of a run. A last line that was cut off (the run is still writing, or was killed) is left out;
 * where a step appears twice because a run went on from an older checkpoint, the later row counts.
 *
 * @throws DataError for a file that can't be read, or a line that holds no metrics
 */
export function readMetrics(file: string): MetricsRow[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new DataError(`cannot be read: ${(cause as Error).message}`, { file, cause });
  }
  const lines = text.split('\n');
  const whole = lines.slice(0, -1);
  const rows = new Map<string, MetricsRow>();
  whole.forEach((line, i) => {
    if (line.trim() === '') return;
    const row = parseRow(line, file, i + 1);
    // A training row and an evaluation row may share a step.
    rows.set(`${row.step} ${'eval_loss' in row ? 'eval' : 'train'}`, row);
  });
  return [...rows.values()].sort((a, b) => a.step - b.step);
}

function parseRow(line: string, file: string, row: number): MetricsRow {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new DataError('expected a JSON object of metrics', { file, row, cause });
  }
  const step = (value as { step?: unknown } | null)?.step;
  if (typeof step !== 'number') throw new DataError('expected a row of metrics with its step', { file, row });
  const numbers = Object.entries(value as object).filter((entry) => typeof entry[1] === 'number');
  return Object.fromEntries(numbers) as MetricsRow;
}
