/** What is known of a cell when it is done: figures of training and of evaluations. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type EvaluationColumn, type EvaluationResult, readEvaluations } from '../../eval/results.js';
import { RunFolder } from '../run-folder.js';

export interface Figure {
  value: number;
  /** The evaluation's own interval, where it gave one. */
  low?: number;
  high?: number;
  column: EvaluationColumn;
}

/** Training's last evaluation, by TRL's names, in the order in which they are shown. */
const TRAINING: readonly {
  name: string;
  title: string;
  unit: 'share' | 'number';
  better?: 'higher' | 'lower';
}[] = [
  { name: 'eval_rewards/accuracies', title: 'Held-out accuracy', unit: 'share', better: 'higher' },
  { name: 'eval_rewards/margins', title: 'Held-out margin', unit: 'number', better: 'higher' },
  { name: 'eval_loss', title: 'Held-out loss', unit: 'number', better: 'lower' },
];

/** All figures of a run, by title. */
export function cellFigures(folder: string): Map<string, Figure> {
  const run = new RunFolder(folder);
  const facts = run.manifest('train')?.facts ?? {};
  const pairs = run.manifest('pairs')?.facts.pairs;
  const figures = new Map<string, Figure>();
  if (pairs !== undefined) figures.set('Pairs', { value: pairs, column: { title: 'Pairs', unit: 'count' } });
  for (const { name, ...column } of TRAINING) {
    const value = facts[name];
    if (value !== undefined && Number.isFinite(value)) figures.set(column.title, { value, column });
  }
  const evaluations = existsSync(join(folder)) ? readEvaluations(folder) : [];
  for (const evaluation of evaluations) addEvaluation(figures, evaluation);
  return figures;
}

/** The first column of each table of an evaluation is what it is about; the rest is detail. */
function addEvaluation(figures: Map<string, Figure>, { title, tables }: EvaluationResult): void {
  for (const table of tables.slice(0, 1)) {
    const [column] = table.columns;
    if (column === undefined || column.unit === 'text') continue;
    for (const { label, cells } of table.rows) {
      const [cell] = cells;
      if (typeof cell?.value !== 'number') continue;
      const name = `${title}: ${label}`;
      const ends =
        cell.low === undefined || cell.high === undefined ? {} : { low: cell.low, high: cell.high };
      figures.set(name, { value: cell.value, ...ends, column: { ...column, title: name } });
    }
  }
}
