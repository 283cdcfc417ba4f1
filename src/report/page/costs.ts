/** What each stage took: time, requests, tokens, money. */

import type { ReportUsage } from '../report-data.js';
import { empty, framedTable, h, section } from './dom.js';
import { bar } from './funnel.js';
import type { ShownRun } from './state.js';
import { count, duration, number } from './text.js';

interface Line {
  title: string;
  seconds: number | null;
  usage: ReportUsage | null;
}

export function costs({ stages, evaluations }: ShownRun): HTMLElement {
  const lines: Line[] = [
    ...stages.filter(({ done }) => done).map(({ name, seconds, usage }) => ({ title: name, seconds, usage })),
    ...evaluations
      .filter(({ seconds, usage }) => seconds !== undefined || usage !== undefined)
      .map(({ title, seconds = null, usage = null }) => ({ title, seconds, usage })),
  ];
  return section(
    'costs',
    'Time and cost',
    lines.length === 0 ? empty('No stage is done yet.') : table(lines),
  );
}

function table(lines: readonly Line[]): HTMLElement {
  const total = totalOf(lines);
  const asks = total.usage !== null;
  const costly = total.usage?.cost !== null && asks;
  const heads = [
    'Stage',
    'Time',
    '',
    ...(asks ? ['Requests', 'From the cache', 'Failed', 'Tokens in', 'Tokens out'] : []),
  ];
  const row = ({ title, seconds, usage }: Line) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, title),
      h('td', { class: 'number' }, seconds === null ? '–' : duration(seconds)),
      h('td', { class: 'bar-cell' }, bar(total.seconds ? (seconds ?? 0) / total.seconds : 0)),
      asks &&
        [usage?.requests, usage?.cached, usage?.failed, usage?.promptTokens, usage?.completionTokens].map(
          (value) => h('td', { class: 'number' }, value === undefined ? '–' : count(value)),
        ),
      costly && h('td', { class: 'number' }, number(usage?.cost)),
    );
  return framedTable(
    'Time and cost by stage',
    'Time is that of the call that finished a stage; a reply from the cache costs nothing.',
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ...[...heads, ...(costly ? ['Cost'] : [])].map((head, i) =>
          h(
            head === '' ? 'td' : 'th',
            { ...(head === '' ? {} : { scope: 'col' }), class: i === 0 ? '' : 'number' },
            head,
          ),
        ),
      ),
    ),
    h('tbody', {}, ...lines.map(row)),
    h('tfoot', {}, row(total)),
  );
}

function totalOf(lines: readonly Line[]): Line {
  const used = lines.flatMap(({ usage }) => usage ?? []);
  const sum = (of: (usage: ReportUsage) => number) => used.reduce((total, usage) => total + of(usage), 0);
  const priced = used.some(({ cost }) => cost !== null);
  return {
    title: 'All together',
    seconds: lines.reduce((total, { seconds }) => total + (seconds ?? 0), 0),
    usage:
      used.length === 0
        ? null
        : {
            requests: sum(({ requests }) => requests),
            cached: sum(({ cached }) => cached),
            failed: sum(({ failed }) => failed),
            promptTokens: sum(({ promptTokens }) => promptTokens),
            completionTokens: sum(({ completionTokens }) => completionTokens),
            cost: priced ? sum(({ cost }) => cost ?? 0) : null,
          },
  };
}
