/** Runs side by side: figures, what they were set to, curves, evaluations. */

import type { EvaluationColumn, EvaluationResult, EvaluationTable } from '../../eval/results.js';
import { empty, folded, framedTable, h, section } from './dom.js';
import { columnHead, valueCell } from './evaluation.js';
import { figures } from './figure.js';
import { keyFigures } from './overview.js';
import { plotsOf, plotsOfTable, type ShownRun } from './state.js';
import { count, name } from './text.js';

export function comparison(runs: readonly ShownRun[]): HTMLElement {
  return section(
    'comparison',
    'Comparison',
    figuresTable(runs),
    settingsTable(runs),
    figures(plotsOf(null, 'curves')),
    evaluations(runs),
  );
}

function heads(runs: readonly ShownRun[], first: string, kind: string): HTMLElement {
  return h(
    'thead',
    {},
    h(
      'tr',
      {},
      h('th', { scope: 'col' }, first),
      ...runs.map((run) => h('th', { scope: 'col', class: kind }, name(run.name))),
    ),
  );
}

function figuresTable(runs: readonly ShownRun[]): HTMLElement {
  const figuresOf = runs.map(keyFigures);
  const titles = [...new Set(figuresOf.flatMap((own) => own.map(({ title }) => title)))];
  return framedTable(
    'Figures of the runs',
    null,
    heads(runs, '', 'number'),
    h(
      'tbody',
      {},
      ...titles.map((title) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, title),
          ...figuresOf.map((own) => {
            const found = own.find((figure) => figure.title === title);
            return h(
              'td',
              { class: 'number' },
              h('span', { class: 'value' }, found?.value ?? '–'),
              found !== undefined && found.note !== '' && h('span', { class: 'interval' }, found.note),
            );
          }),
        ),
      ),
    ),
  );
}

/** Settings in which the runs differ. */
function settingsTable(runs: readonly ShownRun[]): HTMLElement {
  const names = [...new Set(runs.flatMap(({ settings }) => Object.keys(settings)))].sort();
  const settingOf = ({ settings }: ShownRun, setting: string) =>
    Object.hasOwn(settings, setting) ? settings[setting] : undefined;
  const differing = names.filter((setting) => new Set(runs.map((run) => settingOf(run, setting))).size > 1);
  if (differing.length === 0) return empty('The runs have the same settings.');
  return folded(
    `Settings in which they differ (${count(differing.length)})`,
    () =>
      framedTable(
        'Settings in which the runs differ',
        null,
        heads(runs, 'Setting', ''),
        h(
          'tbody',
          {},
          ...differing.map((setting) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, h('code', {}, setting)),
              ...runs.map((run) => h('td', { class: 'text' }, h('code', {}, settingOf(run, setting) ?? '–'))),
            ),
          ),
        ),
      ),
    { open: differing.length <= 12 },
  );
}

function evaluations(runs: readonly ShownRun[]): HTMLElement[] {
  const names = [...new Set(runs.flatMap((run) => run.evaluations.map((each) => each.name)))];
  return names.flatMap((each) => {
    const having = runs.flatMap((run) => {
      const result = run.evaluations.find((evaluation) => evaluation.name === each);
      return result === undefined ? [] : [{ run, result }];
    });
    const [first] = having;
    if (first === undefined || having.length < 2) return [];
    return [
      h(
        'article',
        { class: 'evaluation' },
        h('h3', {}, first.result.title),
        first.result.tables.map((table, index) => {
          return [comparedTable(table, having), figures(plotsOfTable(null, each, index))];
        }),
      ),
    ];
  });
}

type Having = readonly { run: ShownRun; result: EvaluationResult }[];

/** The rows of a table, with the values of each run under each of its columns of numbers. */
function comparedTable(table: EvaluationTable, having: Having): HTMLElement {
  const columns = table.columns.filter(({ unit }) => unit !== 'text');
  const others = having.map(({ run, result }) => ({
    run,
    table: result.tables.find(({ title }) => title === table.title),
  }));
  const keys = [...new Set(others.flatMap((other) => other.table?.rows.map(rowKey) ?? []))];
  const cellOf = (other: EvaluationTable | undefined, key: string, column: EvaluationColumn) => {
    const at = other?.columns.findIndex(({ title }) => title === column.title) ?? -1;
    return other?.rows.find((row) => rowKey(row) === key)?.cells[at] ?? { value: null };
  };
  return framedTable(
    table.title,
    h('strong', {}, table.title),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, table.rowTitle),
        h('th', { scope: 'col' }, 'Run'),
        columns.map(columnHead),
      ),
    ),
    h(
      'tbody',
      {},
      ...keys.flatMap((key) =>
        others.map((other, i) =>
          h(
            'tr',
            { class: i === 0 ? 'begins' : '' },
            i === 0 && h('th', { scope: 'rowgroup', rowspan: others.length }, key),
            h('td', { class: 'text' }, name(other.run.name)),
            columns.map((column) => valueCell(cellOf(other.table, key, column), column)),
          ),
        ),
      ),
    ),
  );
}

function rowKey({ label, group }: EvaluationTable['rows'][number]): string {
  return group === undefined ? label : `${group}: ${label}`;
}
