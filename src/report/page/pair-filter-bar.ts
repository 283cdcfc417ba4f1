/** The fields by which pairs are narrowed down. */

import type { ListedPair } from '../embed-data.js';
import { h } from './dom.js';
import { EVERYTHING, gapOf, type Order, type Wanted } from './pair-filter.js';

/** Pause after the last key before words are looked for. */
const PAUSE_MS = 200;
/** Users that are offered in a list; beyond it their names are typed. */
const MOST_OFFERED = 1000;

export function filterBar(list: readonly ListedPair[], onWanted: (wanted: Wanted) => void): HTMLElement {
  const users = [...new Set(list.map(([, user]) => user))].filter((user) => user !== '').sort();
  const sources = [...new Set(list.map(([, , source]) => source))].filter((source) => source !== '').sort();
  const hasRewards = list.some((pair) => gapOf(pair) !== null);
  let wanted = EVERYTHING;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const change = (part: Partial<Wanted>, pause = 0) => {
    wanted = { ...wanted, ...part };
    clearTimeout(timer);
    timer = setTimeout(() => onWanted(wanted), pause);
  };
  const form = h(
    'form',
    { class: 'filters', role: 'search', 'aria-label': 'Pairs' },
    field(
      'Search',
      h('input', {
        type: 'search',
        name: 'text',
        placeholder: 'words, id, user',
        autocomplete: 'off',
        input: (event) => change({ text: textIn(event) }, PAUSE_MS),
      }),
    ),
    users.length > 1 &&
      users.length <= MOST_OFFERED &&
      field(
        'User',
        choice([['', 'all users'], ...users.map((user) => [user, user] as const)], (user) =>
          change({ user }),
        ),
      ),
    users.length > MOST_OFFERED &&
      field(
        'User',
        h('input', {
          type: 'search',
          placeholder: 'whole name',
          autocomplete: 'off',
          input: (event) => change({ user: textIn(event).trim() }, PAUSE_MS),
        }),
      ),
    sources.length > 1 &&
      field(
        'Source',
        choice([['', 'all sources'], ...sources.map((source) => [source, source] as const)], (source) =>
          change({ source }),
        ),
      ),
    hasRewards &&
      field(
        'Reward gap from',
        h('input', {
          type: 'number',
          step: 'any',
          placeholder: 'any',
          input: (event) => change({ leastGap: numberIn(textIn(event)) }, PAUSE_MS),
        }),
      ),
    hasRewards &&
      field(
        'Order',
        choice(
          [
            ['run', 'as in the run'],
            ['largest-gap', 'largest gap first'],
            ['smallest-gap', 'smallest gap first'],
          ],
          (order) => change({ order: order as Order }),
        ),
      ),
  );
  // There is nothing to send: without this, Enter would load the page anew.
  form.addEventListener('submit', (event) => event.preventDefault());
  return form;
}

function field(title: string, control: HTMLElement): HTMLElement {
  return h('label', {}, h('span', {}, title), control);
}

function choice(
  options: readonly (readonly [string, string])[],
  onChoice: (value: string) => void,
): HTMLElement {
  return h(
    'select',
    { change: (event) => onChoice(textIn(event)) },
    ...options.map(([value, title]) => h('option', { value }, title)),
  );
}

function textIn(event: Event): string {
  return (event.target as HTMLInputElement | HTMLSelectElement).value;
}

function numberIn(text: string): number | null {
  return text.trim() === '' || !Number.isFinite(Number(text)) ? null : Number(text);
}
