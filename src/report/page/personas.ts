/** What is known of each user. */

import type { ReportPersona } from '../report-data.js';
import { empty, fill, h, section } from './dom.js';
import type { ShownRun } from './state.js';
import { count, name, words } from './text.js';
import { unpack } from './unpack.js';

const PAGE = 12;

export function personas(run: ShownRun): HTMLElement {
  const body = h('div', {});
  if (run.personasInAll === 0) fill(body, empty('This run has no personas.'));
  else void unpack<ReportPersona[]>(run.personas).then((all) => fill(body, personaList(all, run)));
  return section(
    'personas',
    'Personas',
    h('p', { class: 'lead' }, 'How each user wants to be answered, from what they said.'),
    body,
  );
}

function personaList(all: readonly ReportPersona[], run: ShownRun): HTMLElement {
  const grid = h('ul', { class: 'personas' });
  const status = h('p', { class: 'muted', role: 'status' });
  const more = h('button', { type: 'button', click: () => show(shown + 4 * PAGE) }, 'Show more');
  let found = all;
  let shown = PAGE;
  const show = (number: number) => {
    shown = number;
    fill(grid, ...found.slice(0, shown).map(card));
    const of =
      all.length < run.personasInAll
        ? `the first ${count(all.length)} of ${count(run.personasInAll)}`
        : count(all.length);
    status.textContent =
      found.length === all.length ? `${of} personas` : `${count(found.length)} of ${of} personas`;
    more.hidden = shown >= found.length;
  };
  const search = (event: Event) => {
    const text = (event.target as HTMLInputElement).value.trim().toLowerCase();
    found = all.filter(({ user, persona }) => `${user}\n${persona}`.toLowerCase().includes(text));
    show(PAGE);
  };
  show(PAGE);
  const form = h(
    'form',
    { class: 'filters', role: 'search', 'aria-label': 'Personas' },
    h(
      'label',
      {},
      h('span', {}, 'Search'),
      h('input', { type: 'search', placeholder: 'user or words', autocomplete: 'off', input: search }),
    ),
  );
  form.addEventListener('submit', (event) => event.preventDefault());
  return h('div', {}, all.length > PAGE && form, status, grid, more);
}

function card({
  user,
  persona,
  conversations,
  messagesShown,
  messagesLeftOut,
  model,
  pairs,
}: ReportPersona): HTMLElement {
  const facts = [
    `${count(conversations)} ${conversations === 1 ? 'conversation' : 'conversations'}`,
    ...(messagesShown === 0
      ? []
      : [
          `${count(messagesShown)} messages${messagesLeftOut > 0 ? ` (${count(messagesLeftOut)} left out)` : ''}`,
        ]),
    `${count(pairs)} ${pairs === 1 ? 'pair' : 'pairs'}`,
  ];
  return h(
    'li',
    { class: 'card' },
    h('h3', {}, name(user)),
    words(persona, 'quiet'),
    h('p', { class: 'muted' }, facts.join(' · '), ' · by ', model),
  );
}
