/** The one table of an experiment: a row for each variant and point of the grid, with intervals over seeds. */

import type { EvaluationCell, EvaluationColumn, EvaluationResultInput } from '../../eval/results.js';
import { groupBy } from '../../eval/statistics/group-by.js';
import { studentInterval } from '../../eval/statistics/student.js';
import type { Figure } from './cell-figures.js';
import type { ExperimentCell } from './experiment-config.js';

/** How a cell ended. */
export interface CellOutcome {
  cell: Pick<ExperimentCell, 'name' | 'variant' | 'values' | 'seed'>;
  state: 'done' | 'failed' | 'not-done';
  /** Of one that failed. */
  error?: string;
  figures: ReadonlyMap<string, Figure>;
}

/** In the form in which all evaluations are shown. */
export function experimentResult(outcomes: readonly CellOutcome[], seconds: number): EvaluationResultInput {
  const columns = columnsOf(outcomes);
  const rows = [...groupBy(outcomes, ({ cell }) => rowLabel(cell))];
  const failed = outcomes.filter(({ state }) => state === 'failed');
  return {
    kind: 'evaluation',
    format: 1,
    name: 'experiment',
    title: 'Experiment',
    about: `${outcomes.length} runs: ${count(outcomes, 'done')} done, ${failed.length} failed, ${count(outcomes, 'not-done')} not done.`,
    finishedAt: new Date().toISOString(),
    seconds,
    tables: [
      {
        title: 'Variants',
        note: "Of several seeds the mean, with Student's 95% interval; of one, the evaluation's own interval.",
        rowTitle: 'Variant',
        columns: [...columns, { title: 'Runs', unit: 'text' }],
        rows: rows.map(([label, cells]) => ({
          label,
          cells: [...columns.map(({ title }) => cellOf(title, cells)), { value: runsOf(cells) }],
        })),
      },
      ...(failed.length === 0 ? [] : [failures(failed)]),
    ],
  };
}

function count(outcomes: readonly CellOutcome[], state: CellOutcome['state']): number {
  return outcomes.filter((outcome) => outcome.state === state).length;
}

/** Columns in the order in which they first come. */
function columnsOf(outcomes: readonly CellOutcome[]): EvaluationColumn[] {
  const columns = new Map<string, EvaluationColumn>();
  for (const { figures } of outcomes) {
    for (const [title, { column }] of figures) if (!columns.has(title)) columns.set(title, column);
  }
  return [...columns.values()];
}

function rowLabel({ variant, values }: CellOutcome['cell']): string {
  const set = Object.entries(values).map(([option, value]) => `${option} ${String(value)}`);
  return [variant, ...set].join(', ');
}

function cellOf(title: string, outcomes: readonly CellOutcome[]): EvaluationCell {
  const found = outcomes.flatMap(({ figures }) => figures.get(title) ?? []);
  const [first] = found;
  if (first === undefined) return { value: null };
  if (found.length === 1) {
    const { value, low, high } = first;
    return low === undefined || high === undefined ? { value } : { value, low, high };
  }
  const { estimate, low, high } = studentInterval(found.map(({ value }) => value));
  return { value: estimate, low, high, count: found.length };
}

function runsOf(outcomes: readonly CellOutcome[]): string {
  const done = count(outcomes, 'done');
  return done === outcomes.length ? String(done) : `${done} of ${outcomes.length}`;
}

function failures(failed: readonly CellOutcome[]): EvaluationResultInput['tables'][number] {
  return {
    title: 'Failed',
    note: 'The same command tries them again.',
    rowTitle: 'Run',
    columns: [{ title: 'Why', unit: 'text' }],
    rows: failed.map(({ cell, error = '' }) => ({ label: cell.name, cells: [{ value: error }] })),
  };
}
