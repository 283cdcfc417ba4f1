/** What the page knows: its data, and which run is looked at. */

import type { PageData, PageRun } from '../embed-data.js';
import type { PagePlot } from '../page-html.js';
import { readJson } from './unpack.js';

export const data: PageData = readJson<PageData>('report-data');
const plots = readJson<PagePlot[]>('report-plots');

export interface ShownRun extends PageRun {
  index: number;
}

export function runAt(index: number): ShownRun {
  return { ...(data.runs[index] as PageRun), index };
}

/** Drawings of a run, or of all runs (null), in one section. */
export function plotsOf(run: number | null, section: PagePlot['section']): PagePlot[] {
  return plots.filter((plot) => plot.run === run && plot.section === section);
}

export function plotsOfTable(run: number | null, evaluation: string, index: number): PagePlot[] {
  return plotsOf(run, 'evaluation').filter(
    ({ table }) => table?.evaluation === evaluation && table.index === index,
  );
}
