/** What came into each stage, what went out, and why the rest did not. */

import type { ReportStage } from '../report-data.js';
import { type Child, empty, folded, h, section } from './dom.js';
import type { ShownRun } from './state.js';
import { count, name, percent, spelled } from './text.js';

export function funnel({ stages }: ShownRun): HTMLElement {
  const shown = stages.filter(({ counts }) => counts.length > 0);
  return section(
    'funnel',
    'From logs to pairs',
    h(
      'p',
      { class: 'lead' },
      'Each stage keeps books: what came in is what went out plus what was left out, by reason.',
    ),
    shown.length === 0
      ? empty('No stage is done yet.')
      : h('ol', { class: 'funnel' }, ...shown.flatMap((stage) => stageItems(stage))),
  );
}

function stageItems(stage: ReportStage): HTMLElement[] {
  return stage.counts.map((counts, i) => {
    const { unit, in: entered, out, dropped, noted = {} } = counts;
    const reasons = Object.entries(dropped).sort(([, a], [, b]) => b - a);
    const share = entered === 0 ? 0 : out / entered;
    return h(
      'li',
      {},
      h(
        'div',
        { class: 'funnel-head' },
        h('h3', {}, stage.name),
        h('p', { class: 'muted' }, i === 0 ? stage.title : unit),
        h(
          'p',
          { class: 'funnel-count' },
          h('strong', {}, count(out)),
          ` of ${count(entered)} ${unit}`,
          entered > 0 && h('span', { class: 'muted' }, ` · ${percent(share, share < 0.1 ? 1 : 0)}`),
        ),
      ),
      bar(share),
      reasons.length > 0 && reasonList(reasons, entered, stage.examples),
      Object.keys(noted).length > 0 && h('p', { class: 'noted' }, 'Noted: ', notes(noted), '.'),
    );
  });
}

/** A bar that is full to a share. */
export function bar(share: number, kind = ''): HTMLElement {
  const filled = h('span', {});
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return h('div', { class: `bar ${kind}`.trim(), 'aria-hidden': 'true' }, filled);
}

function notes(noted: Readonly<Record<string, number>>): string {
  return Object.entries(noted)
    .sort(([, a], [, b]) => b - a)
    .map(([what, number]) => `${count(number)} ${spelled(what)}`)
    .join(', ');
}

function reasonList(
  reasons: readonly (readonly [string, number])[],
  entered: number,
  examples: ReportStage['examples'],
): HTMLElement {
  return h(
    'ul',
    { class: 'reasons' },
    ...reasons.map(([reason, number]) => {
      const own = examples.filter((example) => example.reason === reason);
      const line: Child = [
        h('span', { class: 'reason' }, spelled(reason)),
        h('span', { class: 'number' }, count(number)),
        bar(entered === 0 ? 0 : number / entered, 'left-out'),
      ];
      return h(
        'li',
        {},
        own.length === 0
          ? h('div', { class: 'reason-line' }, line)
          : folded(h('span', { class: 'reason-line' }, line), () => exampleList(own, number)),
      );
    }),
  );
}

function exampleList(examples: ReportStage['examples'], number: number): HTMLElement[] {
  const rest = number - examples.length;
  return [
    h(
      'ul',
      { class: 'examples' },
      ...examples.map(({ id, detail }) =>
        h(
          'li',
          {},
          h('code', {}, name(id)),
          detail !== undefined && [' ', h('span', { dir: 'auto' }, detail)],
        ),
      ),
    ),
    ...(rest > 0 ? [h('p', { class: 'muted' }, `and ${count(rest)} more in the stage's dropped.jsonl`)] : []),
  ];
}
