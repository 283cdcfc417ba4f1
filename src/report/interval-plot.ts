/** Values of an evaluation with their intervals, one row each. */

import type { EvaluationColumn, EvaluationResult, EvaluationTable } from '../eval/results.js';
import { type Drawing, legendFor, type Palette } from './plot.js';

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

/** Series beyond which a drawing says less than the table. */
const MOST_SERIES = 6;

/** Columns of a run's table that have intervals, and the unit of the first of them, side by side. */
export function intervalDrawing(of: EvaluationOf, index: number, run: number): Drawing[] {
  const table = of.evaluation.tables[index];
  const columns = table === undefined ? [] : drawnColumns(table);
  const [first] = columns;
  if (table === undefined || first === undefined) return [];
  const intervals = columns.flatMap(({ title }) => intervalsOf(table, title, title));
  const isMany = columns.length > 1;
  const title = isMany ? table.title : `${table.title}: ${first.title}`;
  return [
    {
      ...place(of, index, run),
      title,
      description: describe(title, intervals),
      spec: (palette) => intervalSpec(intervals, isMany ? { ...first, title: '' } : first, palette),
    },
  ];
}

/** The same table of several runs: a drawing of each column that has intervals. */
export function comparedIntervalDrawings(evaluations: readonly EvaluationOf[], index: number): Drawing[] {
  const [first] = evaluations;
  const table = first?.evaluation.tables[index];
  if (first === undefined || table === undefined) return [];
  return drawnColumns(table).map((column, at) => {
    const { name, ...where } = place(first, index, null);
    const title = `${table.title}: ${column.title}`;
    const intervals = evaluations.flatMap((each) =>
      intervalsOf(sameTable(each, table), column.title, each.run),
    );
    return {
      ...where,
      name: `${name}-${at + 1}`,
      title,
      description: describe(title, intervals),
      spec: (palette) => intervalSpec(intervals, column, palette),
    };
  });
}

function place({ evaluation: { name } }: EvaluationOf, index: number, run: number | null) {
  return {
    name: `${run === null ? 'comparison' : `run-${run + 1}`}-${name}-${index + 1}`,
    run,
    section: 'evaluation' as const,
    table: { evaluation: name, index },
  };
}

function drawnColumns({ columns, rows }: EvaluationTable): EvaluationColumn[] {
  const withIntervals = columns.filter(
    ({ unit }, at) => unit !== 'text' && rows.some(({ cells }) => cells[at]?.low !== undefined),
  );
  return withIntervals.filter(({ unit }) => unit === withIntervals[0]?.unit).slice(0, MOST_SERIES);
}

function sameTable({ evaluation }: EvaluationOf, { title }: EvaluationTable): EvaluationTable | undefined {
  return evaluation.tables.find((table) => table.title === title);
}

function intervalsOf(table: EvaluationTable | undefined, title: string, series: string): Interval[] {
  if (table === undefined) return [];
  const { columns, rows } = table;
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
    legend: isMany ? legendFor(series) : null,
  };
  const x = (field: 'value' | 'low') => ({
    field,
    type: 'quantitative' as const,
    title: axisTitle(title, isPercent),
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

function axisTitle(title: string, isPercent: boolean): string {
  if (!isPercent || /%|percent/i.test(title)) return title;
  return title === '' ? '%' : `${title}, %`;
}

function describe(title: string, intervals: readonly Interval[]): string {
  const round = (value: number) => Number(value.toPrecision(4));
  const isMany = new Set(intervals.map(({ series }) => series)).size > 1;
  const parts = intervals.map(({ label, series, value, low, high }) => {
    const name = isMany ? `${label}, ${series}` : label;
    const range = low === high ? '' : ` (${round(low)} to ${round(high)})`;
    return `${name}: ${round(value)}${range}.`;
  });
  return [`${title}.`, ...parts].join(' ');
}
