import { basename, dirname, extname, join } from 'node:path';
import { writeFileAtomic } from '../data/atomic-write.js';
import { comparisonDrawing, curveDrawing } from './curve-plot.js';
import { type Panel, panelsOf } from './curves.js';
import { embedData } from './embed-data.js';
import { comparedIntervalDrawings, type EvaluationOf, intervalDrawing } from './interval-plot.js';
import { pageHtml } from './page-html.js';
import { type Drawing, drawPlot, writePlot } from './plot.js';
import type { ReportData, ReportRun } from './report-data.js';
import { rewardDrawing } from './reward-plot.js';

export interface WrittenReport {
  /** The page. */
  html: string;
  /** The folder of its drawings. */
  plotsFolder: string;
  /** Each drawing as SVG and PNG. */
  plots: string[];
}

/** Folder of the drawings of a report: `report-plots` beside `report.html`. */
export function plotsFolderOf(html: string): string {
  return join(dirname(html), `${basename(html, extname(html))}-plots`);
}

/**
 * Writes the report as one page that needs nothing else, and its drawings as SVG and PNG in a folder beside it.
 *
 * @param html The file of the page
 * @param onPlot Told of each drawing: done and in all
 */
export async function writeReport(
  data: ReportData,
  html: string,
  { onPlot = () => undefined }: { onPlot?: (done: number, total: number) => void } = {},
): Promise<WrittenReport> {
  const drawings = drawingsOf(data);
  const plotsFolder = plotsFolderOf(html);
  const plots = [];
  const files: string[] = [];
  for (const [i, drawing] of drawings.entries()) {
    const plot = await drawPlot(drawing);
    plots.push(plot);
    files.push(...(await writePlot(plot, plotsFolder)));
    onPlot(i + 1, drawings.length);
  }
  await writeFileAtomic(html, pageHtml(embedData(data), plots));
  return { html, plotsFolder, plots: files };
}

/** Everything of a report that is drawn, in the order in which it is shown. */
export function drawingsOf({ runs }: ReportData): Drawing[] {
  const comparisons = runs.length > 1 ? [...comparedCurves(runs), ...comparedEvaluations(runs)] : [];
  return [...comparisons, ...runs.flatMap(drawingsOfRun)];
}

function drawingsOfRun({ trainings, pairs, evaluations, name }: ReportRun, run: number): Drawing[] {
  const alone = trainings.length === 1;
  return [
    ...trainings.flatMap((training) =>
      panelsOf(training).map((panel) => curveDrawing(panel, { run, stage: training.stage, alone })),
    ),
    ...[rewardDrawing(pairs, run)].filter((drawing) => drawing !== undefined),
    ...evaluations.flatMap((evaluation) =>
      evaluation.tables.flatMap((_, index) => intervalDrawing({ run: name, evaluation }, index, run)),
    ),
  ];
}

/** The panels that at least two runs have, of the last training of each. */
function comparedCurves(runs: readonly ReportRun[]): Drawing[] {
  const panels = new Map<string, { run: string; panel: Panel }[]>();
  for (const { name, trainings } of runs) {
    const training = trainings.at(-1);
    if (training === undefined) continue;
    for (const panel of panelsOf(training)) {
      if (panel.main) panels.set(panel.name, [...(panels.get(panel.name) ?? []), { run: name, panel }]);
    }
  }
  return [...panels.values()].flatMap((each) => comparisonDrawing(each) ?? []);
}

function comparedEvaluations(runs: readonly ReportRun[]): Drawing[] {
  const byName = new Map<string, EvaluationOf[]>();
  for (const { name, evaluations } of runs) {
    for (const evaluation of evaluations) {
      byName.set(evaluation.name, [...(byName.get(evaluation.name) ?? []), { run: name, evaluation }]);
    }
  }
  return [...byName.values()]
    .filter((evaluations) => evaluations.length > 1)
    .flatMap((evaluations) =>
      (evaluations[0]?.evaluation.tables ?? []).flatMap((_, index) =>
        comparedIntervalDrawings(evaluations, index),
      ),
    );
}
