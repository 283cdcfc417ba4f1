/** Metrics over the steps of one training, or of several that are compared. */

import type { Panel } from './curves.js';
import { type Drawing, legendFor, type Palette } from './plot.js';
import type { ReportPlot } from './report-data.js';

const WIDTH = 300;
const HEIGHT = 180;

interface Line {
  series: string;
  /** Lines of one hue have one colour. */
  hue: string;
  /** Whether held-out lines are told apart by dashes. */
  dashed: boolean;
  heldOut: boolean;
  points: { step: number; value: number }[];
}

/** A panel of one training. */
export function curveDrawing(panel: Panel, where: { run: number; stage: string; alone: boolean }): Drawing {
  const hasBoth = panel.curves.some(({ heldOut }) => heldOut);
  const single = new Set(panel.curves.map(({ label }) => label)).size === 1;
  const lines = panel.curves.map(({ label, heldOut, points }) => ({
    series: single ? (heldOut ? 'held-out pairs' : 'training pairs') : heldOut ? `${label}, held-out` : label,
    hue: single ? String(heldOut) : label,
    dashed: !single,
    heldOut,
    points,
  }));
  return {
    name: [`run-${where.run + 1}`, ...(where.alone ? [] : [where.stage]), panel.name].join('-'),
    run: where.run,
    section: panel.main ? 'curves' : 'more-curves',
    title: where.alone ? panel.title : `${panel.title} (${where.stage})`,
    description: describeLines(panel, lines),
    spec: (palette) => lineSpec(panel, lines, palette, !single || hasBoth),
  };
}

/** The same panel of several runs. Held-out curves where all have them, else training curves. */
export function comparisonDrawing(panels: readonly { run: string; panel: Panel }[]): Drawing | undefined {
  const [first] = panels;
  if (first === undefined || panels.length < 2) return undefined;
  const heldOut = panels.every(({ panel }) => panel.curves.some((curve) => curve.heldOut));
  const labels = new Set(panels.flatMap(({ panel }) => panel.curves.map(({ label }) => label)));
  const lines = panels.flatMap(({ run, panel }) =>
    panel.curves
      .filter((curve) => curve.heldOut === heldOut)
      .map(({ label, points }) => ({
        series: labels.size === 1 ? run : `${run}: ${label}`,
        hue: `${run}: ${label}`,
        dashed: false,
        heldOut,
        points,
      })),
  );
  const title = `${first.panel.title}, ${heldOut ? 'held-out' : 'training'} pairs`;
  return {
    name: `comparison-${first.panel.name}`,
    run: null,
    section: first.panel.main ? 'curves' : 'more-curves',
    title,
    description: describeLines({ ...first.panel, title }, lines),
    spec: (palette) => lineSpec(first.panel, lines, palette, true),
  };
}

function lineSpec(
  panel: Pick<Panel, 'unit' | 'untrained'>,
  lines: readonly Line[],
  palette: Palette,
  hasLegend: boolean,
): ReturnType<Drawing['spec']> {
  const series = [...new Set(lines.map((line) => line.series))];
  const values = lines.flatMap((line) =>
    line.points.map((point) => ({ ...point, series: line.series, heldOut: line.heldOut })),
  );
  const isSparse = (line: Line) => line.heldOut || line.points.length <= 3;
  const dots = lines
    .filter(isSparse)
    .flatMap((line) => line.points.slice(0, 60).map((point) => ({ ...point, series: line.series })));
  const lastStep = values.reduce((last, { step }) => Math.max(last, step), 1);
  const x = {
    field: 'step',
    type: 'quantitative' as const,
    title: 'optimizer step',
    scale: { domain: [0, lastStep], nice: false },
    axis: { tickMinStep: 1, tickCount: 5, format: '~s', grid: false },
  };
  const y = {
    field: 'value',
    type: 'quantitative' as const,
    title: panel.unit,
    scale: { zero: false, nice: false, padding: 10 },
    axis: { tickCount: 5 },
  };
  const style = stylesOf(lines, palette);
  const form = { symbolType: 'stroke', symbolSize: 260, ...legendFor(series) };
  const legend = { legend: hasLegend ? form : null };
  const color = {
    field: 'series',
    type: 'nominal' as const,
    scale: { domain: series, range: series.map((name) => style(name).color) },
    ...legend,
  };
  const strokeDash = {
    field: 'series',
    type: 'nominal' as const,
    scale: { domain: series, range: series.map((name) => style(name).dash) },
    ...legend,
  };
  return {
    width: WIDTH,
    height: HEIGHT,
    layer: [
      ...untrainedLine(panel.untrained, lastStep, y, palette),
      {
        data: { values },
        mark: { type: 'line', strokeWidth: 2, strokeJoin: 'round' },
        encoding: { x, y, color, strokeDash },
      },
      {
        data: { values: dots },
        mark: { type: 'point', filled: true, size: 42, opacity: 1 },
        encoding: { x, y, color },
      },
    ],
  };
}

/**
 * A colour for each series. Where a held-out curve stands beside the training's of the same metric and there are
 * several metrics, the two share the colour, and the held-out one is dashed.
 */
function stylesOf(lines: readonly Line[], { series: colors, chosen, rejected }: Palette) {
  const known: Readonly<Record<string, string>> = { chosen, rejected };
  const hues = [...new Set(lines.map(({ hue }) => hue))];
  const of = new Map(
    lines.map(({ series, hue, heldOut, dashed }) => [
      series,
      {
        color: known[hue] ?? (colors[hues.indexOf(hue) % colors.length] as string),
        dash: dashed && heldOut ? [5, 4] : [1, 0],
      },
    ]),
  );
  return (name: string) => of.get(name) ?? { color: colors[0] as string, dash: [1, 0] };
}

function untrainedLine<Y>(value: number | null, lastStep: number, y: Y, { muted }: Palette) {
  if (value === null) return [];
  const data = { values: [{ value, step: lastStep, label: 'untrained' }] };
  return [
    { data, mark: { type: 'rule' as const, strokeDash: [4, 4], color: muted }, encoding: { y } },
    {
      data,
      mark: { type: 'text' as const, align: 'right' as const, dy: -7, fontSize: 11, color: muted },
      encoding: {
        x: { field: 'step', type: 'quantitative' as const },
        y,
        text: { field: 'label', type: 'nominal' as const },
      },
    },
  ];
}

/** `Loss. training pairs: from 0.6931 at step 1 to 0.2115 at step 60.` */
function describeLines({ title }: Pick<Panel, 'title'>, lines: readonly Line[]): ReportPlot['description'] {
  const parts = lines.flatMap(({ series, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined) return [];
    const at = ({ step, value }: { step: number; value: number }) =>
      `${Number(value.toPrecision(4))} at step ${Math.round(step)}`;
    return points.length === 1
      ? [`${series}: ${at(first)}.`]
      : [`${series}: from ${at(first)} to ${at(last)}.`];
  });
  return [`${title}.`, ...parts].join(' ');
}
