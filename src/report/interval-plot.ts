/** Values of an evaluation with their intervals, one row each. */

import type { EvaluationColumn, EvaluationResult, EvaluationTable } from '../eval/results.js';
import type { Drawing, Palette } from './plot.js';

const WIDTH = 260;
const ROW_HEIGHT = 26;

interface Interval {
  label: string;
  series: string;
  value: number;
  low: number;
  high: number;
}

/** Names of runs beside the same evaluation of each. */
export interface EvaluationOf {
  run: string;
  evaluation: EvaluationResult;
}

/**
 * The first column of a table that has intervals, of one run or of several.
 *
 * @param run Index of the run; null for a comparison
 */
export function intervalDrawing(
  evaluations: readonly EvaluationOf[],
  index: number,
  run: number | null,
): Drawing | undefined {
  const table = evaluations[0]?.evaluation.tables[index];
  const column = table?.columns.findIndex(
    ({ unit }, at) => unit !== 'text' && table.rows.some(({ cells }) => cells[at]?.low !== undefined),
  );
  if (table === undefined || column === undefined || column === -1) return undefined;
  const title = table.columns[column]?.title ?? '';
  const intervals = evaluations.flatMap((each) => {
    const other = each.evaluation.tables.find((candidate) => candidate.title === table.title);
    return other === undefined ? [] : intervalsOf(other, title, each.run);
  });
  const { evaluation } = evaluations[0] as EvaluationOf;
  return {
    name: `${run === null ? 'comparison' : `run-${run + 1}`}-${evaluation.name}-${index + 1}`,
    run,
    section: 'evaluation',
    table: { evaluation: evaluation.name, index },
    title: `${table.title}: ${title}`,
    description: describe(`${table.title}, ${title}`, intervals, evaluations.length > 1),
    spec: (palette) => intervalSpec(intervals, table.columns[column] as EvaluationColumn, palette),
  };
}

function intervalsOf({ columns, rows }: EvaluationTable, title: string, series: string): Interval[] {
  const at = columns.findIndex((column) => column.title === title);
  const scale = columns[at]?.unit === 'share' ? 100 : 1;
  return rows.flatMap(({ label, group, cells }) => {
    const { value, low, high } = cells[at] ?? {};
    if (typeof value !== 'number') return [];
    const name = group === undefined ? label : `${group}: ${label}`;
    return [
      {
        label: name,
        series,
        value: value * scale,
        low: (low ?? value) * scale,
        high: (high ?? value) * scale,
      },
    ];
  });
}

function intervalSpec(
  values: readonly Interval[],
  { unit, reference, title }: EvaluationColumn,
  palette: Palette,
): ReturnType<Drawing['spec']> {
  const series = [...new Set(values.map((value) => value.series))];
  const labels = [...new Set(values.map(({ label }) => label))];
  const isMany = series.length > 1;
  const isPercent = unit === 'share' || unit === 'percent';
  const y = {
    field: 'label',
    type: 'nominal' as const,
    sort: labels,
    title: null,
    axis: { labelColor: palette.ink, ticks: false, domain: false, labelPadding: 8 },
  };
  const offset = isMany ? { yOffset: { field: 'series', type: 'nominal' as const, sort: series } } : {};
  const color = {
    field: 'series',
    type: 'nominal' as const,
    scale: {
      domain: series,
      range: series.map((_, i) => palette.series[i % palette.series.length] as string),
    },
    ...(isMany ? {} : { legend: null }),
  };
  const x = (field: 'value' | 'low') => ({
    field,
    type: 'quantitative' as const,
    title: isPercent && !/%|percent/i.test(title) ? `${title}, %` : title,
    scale: { zero: false, padding: 12 },
    axis: { tickCount: 6 },
  });
  const line = reference === undefined ? [] : [reference * (unit === 'share' ? 100 : 1)];
  return {
    width: WIDTH,
    height: { step: isMany ? Math.max(14, ROW_HEIGHT / 1.5) : ROW_HEIGHT },
    data: { values: [...values] },
    layer: [
      ...line.map((value) => ({
        data: { values: [{ value }] },
        mark: { type: 'rule' as const, strokeDash: [4, 4], color: palette.muted },
        encoding: { x: x('value') },
      })),
      {
        mark: { type: 'rule', strokeWidth: 2.5, strokeCap: 'round', opacity: 0.55 },
        encoding: { x: x('low'), x2: { field: 'high' }, y, color, ...offset },
      },
      {
        mark: { type: 'point', filled: true, size: 64, opacity: 1 },
        encoding: { x: x('value'), y, color, ...offset },
      },
    ],
  };
}

function describe(title: string, intervals: readonly Interval[], isMany: boolean): string {
  const round = (value: number) => Number(value.toPrecision(4));
  const parts = intervals.map(({ label, series, value, low, high }) => {
    const name = isMany ? `${label}, ${series}` : label;
    const range = low === high ? '' : ` (${round(low)} to ${round(high)})`;
    return `${name}: ${round(value)}${range}.`;
  });
  return [`${title}.`, ...parts].join(' ');
}
