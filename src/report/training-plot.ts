import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { DataError } from '../errors.js';
import type { MetricsRow } from './metrics-file.js';

export interface TrainingPlotOptions {
  /** Default `'Training'`. */
  title?: string;
  /** A line under the title. Default none. */
  subtitle?: string;
  /** The loss of a policy that equals its reference, drawn as a dashed line: ln 2 for `sigmoid`. Default none. */
  untrainedLoss?: number;
}

const TRAINING = 'training pairs';
const HELD_OUT = 'held-out pairs';
const INK = '#1f2933';
const COLORS = { [TRAINING]: '#3b6fb6', [HELD_OUT]: '#d9622b' };

interface Panel {
  title: string;
  yTitle: string;
  metric: string;
  /** What the value is before anything is learnt, drawn as a dashed line. */
  start: { value: number; label: string } | null;
}

/**
 * Loss and reward margin over the steps of a run, of the training pairs and, where the run evaluated, of the
 * held-out ones, as SVG text. Dashed lines show where a policy that equals its reference stands.
 *
 * @throws DataError when there is no row with a loss
 */
export async function trainingPlotSvg(
  rows: readonly MetricsRow[],
  options: TrainingPlotOptions = {},
): Promise<string> {
  if (!rows.some((row) => 'loss' in row || 'eval_loss' in row)) {
    throw new DataError('expected at least one row of metrics with a loss to plot, found none');
  }
  const { spec } = compile(plotSpec(rows, options));
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** Writes the plot as `BASE.svg` and `BASE.png` (twice the size, for sharp screens). */
export async function writeTrainingPlot(
  rows: readonly MetricsRow[],
  base: string,
  options: TrainingPlotOptions = {},
): Promise<{ svg: string; png: string }> {
  const drawing = await trainingPlotSvg(rows, options);
  const paths = { svg: `${base}.svg`, png: `${base}.png` };
  await writeFile(paths.svg, drawing);
  await sharp(Buffer.from(drawing), { density: 144 })
    .flatten({ background: 'white' })
    .png()
    .toFile(paths.png);
  return paths;
}

function plotSpec(rows: readonly MetricsRow[], options: TrainingPlotOptions): TopLevelSpec {
  const { title = 'Training', subtitle, untrainedLoss } = options;
  const panels: Panel[] = [
    {
      title: 'Loss',
      yTitle: 'mean loss of a pair',
      metric: 'loss',
      start: untrainedLoss === undefined ? null : { value: untrainedLoss, label: 'untrained' },
    },
    {
      title: 'Reward margin',
      yTitle: 'chosen minus rejected reward',
      metric: 'rewards/margins',
      start: { value: 0, label: 'untrained' },
    },
  ];
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    padding: 20,
    title: { text: title, ...(subtitle === undefined ? {} : { subtitle }), anchor: 'start', offset: 18 },
    hconcat: panels.map((panel) => panelSpec(panel, rows)),
    spacing: 48,
    resolve: { scale: { color: 'shared' } },
    config: {
      font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
      title: { fontSize: 17, subtitleFontSize: 12, color: INK, subtitleColor: '#52606d', subtitlePadding: 5 },
      axis: {
        labelFontSize: 11,
        titleFontSize: 12,
        titleFontWeight: 'normal',
        labelColor: INK,
        titleColor: INK,
        gridColor: '#e4e7eb',
        domainColor: '#9aa5b1',
        tickColor: '#9aa5b1',
      },
      legend: {
        labelFontSize: 12,
        symbolSize: 90,
        orient: 'bottom',
        direction: 'horizontal',
        offset: 14,
        title: null,
        labelLimit: 260,
      },
      view: { stroke: null },
    },
  };
}

function panelSpec(panel: Panel, rows: readonly MetricsRow[]) {
  const points = pointsOf(panel.metric, rows);
  const lastStep = Math.max(1, ...points.map(({ step }) => step));
  const series = [TRAINING, HELD_OUT].filter((name) => points.some((point) => point.series === name));
  const color = {
    field: 'series',
    type: 'nominal' as const,
    scale: { domain: series, range: series.map((name) => COLORS[name as keyof typeof COLORS]) },
  };
  const x = {
    field: 'step',
    type: 'quantitative' as const,
    title: 'optimizer step',
    scale: { domain: [0, lastStep], nice: false },
    axis: { tickMinStep: 1, tickCount: 6, format: 'd', grid: false },
  };
  const y = {
    field: 'value',
    type: 'quantitative' as const,
    title: panel.yTitle,
    scale: { zero: false, padding: 8 },
    axis: { tickCount: 6 },
  };
  const rule = panel.start === null ? [] : startLine(panel.start, lastStep, y);
  return {
    width: 400,
    height: 260,
    title: { text: panel.title, anchor: 'start' as const, frame: 'group' as const, fontSize: 14, offset: 8 },
    layer: [
      ...rule,
      {
        data: { values: points },
        mark: { type: 'line' as const, strokeWidth: 2, interpolate: 'linear' as const },
        encoding: { x, y, color },
      },
      {
        data: { values: points.filter((point) => point.series === HELD_OUT || points.length <= 2) },
        mark: { type: 'point' as const, filled: true, size: 55, opacity: 1 },
        encoding: { x, y, color },
      },
    ],
  };
}

function startLine<Y>(start: { value: number; label: string }, lastStep: number, y: Y) {
  const values = [{ value: start.value, step: lastStep, label: start.label }];
  return [
    {
      data: { values },
      mark: { type: 'rule' as const, strokeDash: [4, 4], color: '#9aa5b1' },
      encoding: { y },
    },
    {
      data: { values },
      mark: { type: 'text' as const, align: 'right' as const, dy: -6, fontSize: 11, color: '#7b8794' },
      encoding: { x: { field: 'step', type: 'quantitative' as const }, y, text: { field: 'label' } },
    },
  ];
}

function pointsOf(metric: string, rows: readonly MetricsRow[]) {
  return rows.flatMap((row) =>
    (
      [
        [TRAINING, row[metric]],
        [HELD_OUT, row[`eval_${metric}`]],
      ] as const
    ).flatMap(([series, value]) =>
      value !== undefined && Number.isFinite(value) ? [{ step: row.step, series, value }] : [],
    ),
  );
}
