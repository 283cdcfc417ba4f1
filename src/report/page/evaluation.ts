/** Tables of evaluations: values with their intervals. */

import type {
  EvaluationCell,
  EvaluationColumn,
  EvaluationResult,
  EvaluationTable,
} from '../../eval/results.js';
import { definitions, empty, folded, framedTable, h, section } from './dom.js';
import { figures } from './figure.js';
import { plotsOfTable, type ShownRun } from './state.js';
import { count, duration, moment, number, percent } from './text.js';

export function evaluation(run: ShownRun): HTMLElement {
  return section(
    'evaluation',
    'Evaluation',
    run.evaluations.length === 0
      ? empty('No evaluation of this run yet: what evaluations write into its folder is shown here.')
      : run.evaluations.map((result) => evaluationPart(result, run)),
  );
}

function evaluationPart(result: EvaluationResult, { index: run }: ShownRun): HTMLElement {
  const { title, about, subject, finishedAt, settings } = result;
  const details: [string, string][] = [
    ...(subject === '' ? [] : [['Evaluated', subject] as [string, string]]),
    ...(finishedAt === undefined ? [] : [['Done', moment(finishedAt)] as [string, string]]),
    ...(result.seconds === undefined ? [] : [['Took', duration(result.seconds)] as [string, string]]),
    ...Object.entries(settings).map(([setting, value]) => [setting, String(value)] as [string, string]),
  ];
  return h(
    'article',
    { class: 'evaluation' },
    h('h3', {}, title),
    about !== '' && h('p', { class: 'lead' }, about),
    result.tables.map((table, index) => {
      return [evaluationTable(table), figures(plotsOfTable(run, result.name, index))];
    }),
    details.length > 0 &&
      folded('How it was measured', () =>
        definitions(details.map(([term, value]) => [term, value] as const)),
      ),
  );
}

export function evaluationTable(table: EvaluationTable): HTMLElement {
  const { title, note, rowTitle, columns, rows } = table;
  let group: string | undefined;
  return framedTable(
    title,
    [h('strong', {}, title), note !== undefined && [' ', note]],
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, rowTitle),
        columns.map((column) => columnHead(column)),
      ),
    ),
    h(
      'tbody',
      {},
      ...rows.flatMap((row) => {
        const begins = row.group !== undefined && row.group !== group;
        group = row.group;
        return [
          ...(begins
            ? [
                h(
                  'tr',
                  { class: 'group' },
                  h('th', { scope: 'rowgroup', colspan: columns.length + 1 }, row.group ?? ''),
                ),
              ]
            : []),
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, row.label),
            row.cells.map((cell, i) => valueCell(cell, columns[i] as EvaluationColumn)),
          ),
        ];
      }),
    ),
  );
}

export function columnHead({ title, unit, better }: EvaluationColumn): HTMLElement {
  return h(
    'th',
    { scope: 'col', class: unit === 'text' ? '' : 'number' },
    title,
    better !== undefined && [
      h('span', { class: `wish ${better}`, title: `${better} is better`, 'aria-hidden': 'true' }),
      h('span', { class: 'unseen-label' }, ` (${better} is better)`),
    ],
  );
}

/** A value with its interval beneath. */
export function valueCell(
  { value, low, high, count: of }: EvaluationCell,
  column: EvaluationColumn,
): HTMLElement {
  if (typeof value === 'string')
    return h('td', { class: column.unit === 'text' ? 'text' : 'number', dir: 'auto' }, value);
  const show = (each: number | null) => formatValue(each, column);
  return h(
    'td',
    { class: column.unit === 'text' ? 'text' : 'number' },
    h('span', { class: 'value' }, show(value)),
    low !== undefined &&
      high !== undefined &&
      h('span', { class: 'interval' }, `${show(low)} to ${show(high)}`),
    of !== undefined && h('span', { class: 'interval' }, `of ${count(of)}`),
  );
}

export function formatValue(value: number | null, { unit, digits }: EvaluationColumn): string {
  if (value === null) return '–';
  switch (unit) {
    case 'share':
      return percent(value, digits ?? 1);
    case 'percent':
      return percent(value / 100, digits ?? 1);
    case 'count':
      return count(value);
    case 'seconds':
      return duration(value);
    case 'number':
    case 'text':
      return digits === undefined
        ? number(value)
        : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  }
}
