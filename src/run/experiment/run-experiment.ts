/** Does an experiment: every cell a run of its own, what they have in common done once. */

import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { PersonaDpoError } from '../../errors.js';
import { type EvaluationResultInput, writeEvaluation } from '../../eval/results.js';
import { outputFiles } from '../../train/output-folder.js';
import { type RunHooks, type RunSummary, runPipeline, withRunLock } from '../pipeline.js';
import { RunFolder } from '../run-folder.js';
import { cellFigures } from './cell-figures.js';
import type { Experiment, ExperimentCell } from './experiment-config.js';
import { type CellOutcome, experimentResult } from './experiment-table.js';

export type ExperimentEvent =
  | { type: 'cell'; cell: string; index: number; total: number }
  | { type: 'cell-failed'; cell: string; error: string };

/** A cell whose run is done, to be evaluated. */
export interface EvaluatedCell {
  cell: ExperimentCell;
  folder: string;
  /** The trained adapter or model; null where none was trained: the base model is evaluated. */
  weights: { kind: 'adapter' | 'model'; path: string } | null;
}

export interface ExperimentHooks extends Omit<RunHooks, 'donors'> {
  onExperimentEvent?: (event: ExperimentEvent) => void;
  /** Evaluates a cell into its folder. Default: nothing is evaluated. */
  evaluate?: (cell: EvaluatedCell, signal: AbortSignal | undefined) => Promise<void>;
}

export interface ExperimentSummary {
  outcome: 'finished' | 'interrupted';
  outcomes: CellOutcome[];
  result: EvaluationResultInput;
  /** Where the result lies. */
  file: string;
}

/** In an experiment's folder: how each cell ended. */
const OUTCOMES_FILE = 'cells.json';

/**
 * Does the runs of an experiment one after the other. Stages that several cells have in common are done once, replies
 * of models are shared, and what is done stays done: the same call again goes on, and tries again what failed. A cell
 * that fails is noted and does not take the others with it.
 *
 * @throws PersonaDpoError (`RUN_LOCKED`) when another process works in the folder
 */
export async function runExperiment(
  { folder, cells }: Experiment,
  { onExperimentEvent = () => undefined, evaluate, ...hooks }: ExperimentHooks = {},
): Promise<ExperimentSummary> {
  const main = new RunFolder(folder);
  const started = performance.now();
  return withRunLock(main, async () => {
    const outcomes = new Map<string, CellOutcome>(cells.map((cell) => [cell.name, untouched(cell)]));
    let interrupted = false;
    for (const [index, cell] of cells.entries()) {
      onExperimentEvent({ type: 'cell', cell: cell.name, index, total: cells.length });
      // Cells before it; after a stop those behind it may be done as well.
      const donors = cells.filter((other) => other !== cell).map((other) => other.config.outputDir);
      try {
        shareReplies(main, cell);
        const summary = await runPipeline(cell.config, { ...hooks, donors });
        interrupted = summary.outcome === 'interrupted';
        if (interrupted) break;
        await evaluate?.(evaluated(cell, summary), hooks.signal);
        outcomes.set(cell.name, { ...untouched(cell), state: 'done' });
      } catch (error) {
        interrupted = hooks.signal?.aborted === true;
        if (interrupted) break;
        const message = messageOf(error);
        outcomes.set(cell.name, { ...untouched(cell), state: 'failed', error: message });
        onExperimentEvent({ type: 'cell-failed', cell: cell.name, error: message });
      }
    }
    const found = [...outcomes.values()].map((outcome) => withFigures(outcome, cells));
    const result = experimentResult(found, (performance.now() - started) / 1000);
    await writeFileAtomic(join(folder, OUTCOMES_FILE), `${JSON.stringify(found.map(asRow), null, 2)}\n`);
    const file = await writeEvaluation(folder, result);
    return { outcome: interrupted ? 'interrupted' : 'finished', outcomes: found, result, file };
  });
}

function untouched({ name, variant, values, seed }: ExperimentCell): CellOutcome {
  return { cell: { name, variant, values, seed }, state: 'not-done', figures: new Map() };
}

/** What is kept of a failure: the package's own errors in words, others with where they happened. */
function messageOf(error: unknown): string {
  if (error instanceof PersonaDpoError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function withFigures(outcome: CellOutcome, cells: readonly ExperimentCell[]): CellOutcome {
  if (outcome.state !== 'done') return outcome;
  const cell = cells.find(({ name }) => name === outcome.cell.name) as ExperimentCell;
  return { ...outcome, figures: cellFigures(cell.config.outputDir) };
}

function asRow({ cell, state, error, figures }: CellOutcome) {
  const values = Object.fromEntries([...figures].map(([name, { value }]) => [name, value]));
  return { ...cell, state, ...(error === undefined ? {} : { error }), figures: values };
}

/** A cell's replies are those of the experiment. */
function shareReplies(main: RunFolder, { config }: ExperimentCell): void {
  const shared = main.file('replies');
  const own = new RunFolder(config.outputDir).file('replies');
  mkdirSync(shared, { recursive: true });
  mkdirSync(config.outputDir, { recursive: true });
  if (!existsSync(own)) symlinkSync(relative(config.outputDir, shared), own, 'dir');
}

function evaluated(cell: ExperimentCell, { folder, weights }: RunSummary): EvaluatedCell {
  if (weights === null) return { cell, folder, weights: null };
  const kind = weights.endsWith(outputFiles.adapter) ? 'adapter' : 'model';
  return { cell, folder, weights: { kind, path: weights } };
}
