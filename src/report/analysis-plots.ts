/** Figures of an analysis of data: message types, the map of contexts (Figure 5), what users want (Table 1). */

import type { DataAnalysis, MapPoint } from '../eval/analysis/analyze.js';
import { TYPE_NAMES } from '../pairs/classify/describe-statistics.js';
import { USER_MESSAGE_TYPES } from '../pairs/classify/statistics.js';
import { type Drawing, drawPlot, writePlot } from './plot.js';

/**
 * Writes the figures of what the analysis has found as SVG and PNG into `folder`.
 *
 * @returns the files
 */
export async function writeAnalysisPlots(analysis: DataAnalysis, folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const drawing of analysisDrawings(analysis)) {
    files.push(...(await writePlot(await drawPlot(drawing), folder)));
  }
  return files;
}

function analysisDrawings({ messages, contexts, dimensions }: DataAnalysis): Drawing[] {
  return [
    ...(messages === null || !messages.classified ? [] : [typesDrawing(messages)]),
    ...(contexts === null || contexts.map.length === 0 ? [] : [mapDrawing(contexts.map)]),
    ...(dimensions === null ? [] : [dimensionsDrawing(dimensions)]),
  ];
}

function typesDrawing({ types, messages }: NonNullable<DataAnalysis['messages']>): Drawing {
  const values = USER_MESSAGE_TYPES.filter((type) => types[type].count > 0).map((type) => ({
    type: TYPE_NAMES[type],
    share: types[type].share ?? 0,
  }));
  const shares = values.map(({ type, share }) => `${type} ${(100 * share).toFixed(1)} %`);
  return {
    ...{ name: 'message-types', run: null, section: 'evaluation', title: 'User messages by type' },
    description: `Of ${messages} user messages: ${shares.join(', ')}.`,
    spec: ({ series: [color] }) => ({
      width: 360,
      height: { step: 26 },
      data: { values },
      mark: { type: 'bar', color: color as string },
      encoding: {
        x: {
          field: 'share',
          type: 'quantitative',
          title: 'share of all user messages',
          axis: { format: '%', tickCount: 5 },
        },
        y: { field: 'type', type: 'nominal', title: null, sort: null },
      },
    }),
  };
}

function mapDrawing(points: readonly MapPoint[]): Drawing {
  const sets = [...new Set(points.map(({ set }) => set))];
  return {
    ...{ name: 'contexts', run: null, section: 'evaluation', title: 'Contexts by likeness' },
    description: `${points.length} contexts of ${sets.join(', ')} on a plane: what is alike lies together; directions have no meaning.`,
    spec: ({ series }) => ({
      width: 460,
      height: 400,
      data: { values: [...points] },
      mark: { type: 'point', filled: true, size: 22, opacity: 0.6 },
      encoding: {
        x: { field: 'x', type: 'quantitative', axis: null, scale: { zero: false } },
        y: { field: 'y', type: 'quantitative', axis: null, scale: { zero: false } },
        color: {
          field: 'set',
          type: 'nominal',
          scale: { domain: sets, range: sets.map((_, i) => series[i % series.length] as string) },
        },
        shape: { field: 'set', type: 'nominal', scale: { domain: sets } },
      },
    }),
  };
}

function dimensionsDrawing({ shares, personas, method }: NonNullable<DataAnalysis['dimensions']>): Drawing {
  const sides = ['preference 1', 'no clear preference', 'preference 2'];
  const values = shares.flatMap(({ dimension, shares: of }) => {
    const parts = [of.first, of.none, of.second].map(({ estimate }) =>
      Number.isFinite(estimate) ? estimate : 0,
    );
    const label = `${dimension.first} | ${dimension.second}`;
    return sides.map((side, order) => ({ label, side, order, share: parts[order] ?? 0 }));
  });
  const told = shares.map(({ dimension: { name, first, second }, shares: of }) => {
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    return `${name}: ${first} ${percent(of.first.estimate)}, ${second} ${percent(of.second.estimate)}`;
  });
  return {
    ...{ name: 'preferences', run: null, section: 'evaluation', title: 'What users want' },
    description: `Of ${personas} personas, ${method}: ${told.join('; ')}.`,
    spec: ({ series: [first, second], grid }) => ({
      width: 360,
      height: { step: 30 },
      data: { values },
      mark: { type: 'bar' },
      encoding: {
        x: {
          field: 'share',
          type: 'quantitative',
          title: 'share of users',
          stack: 'zero',
          scale: { domain: [0, 1] },
          axis: { format: '%', tickCount: 5 },
        },
        y: { field: 'label', type: 'nominal', title: null, sort: null, axis: { labelLimit: 240 } },
        order: { field: 'order', type: 'quantitative' },
        color: {
          field: 'side',
          type: 'nominal',
          scale: { domain: sides, range: [first as string, grid, second as string] },
        },
      },
    }),
  };
}
