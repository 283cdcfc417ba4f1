/** The pairs of a run: looked through, narrowed down, opened one by one. */

import type { ListedPair, PairBlock } from '../embed-data.js';
import { type Child, empty, fill, folded, h, section } from './dom.js';
import { figures } from './figure.js';
import { EVERYTHING, findPairs, gapOf, type Wanted } from './pair-filter.js';
import { filterBar } from './pair-filter-bar.js';
import { pairView } from './pair-view.js';
import { plotsOf, type ShownRun } from './state.js';
import { count, name, percent } from './text.js';
import { unpack } from './unpack.js';

const PAGE = 25;
/** Hash of the page that leads to one pair. */
const HASH = /^#run-(\d+)-pair-(\d+)$/;

export interface PairTarget {
  run: number;
  /** Index among the pairs of the report. */
  pair: number;
}

/** The pair that an address leads to; null for none. */
export function targetOf(hash: string): PairTarget | null {
  const [, run, pair] = HASH.exec(hash) ?? [];
  return run === undefined || pair === undefined ? null : { run: Number(run) - 1, pair: Number(pair) - 1 };
}

/** @param target Index of a pair that is opened at once */
export function pairs(run: ShownRun, target: number | null): HTMLElement {
  const body = h('div', {});
  if (run.pairsShown === 0) {
    fill(
      body,
      empty(
        run.pairsInAll === 0
          ? 'This run has no pairs: the funnel shows why, or that the stage is still to be done.'
          : 'This report was written without pairs.',
      ),
    );
  } else void unpack<ListedPair[]>(run.list).then((list) => new PairList(run, list, body).start(target));
  return section(
    'pairs',
    'Pairs',
    h(
      'p',
      { class: 'lead' },
      'The rejected answer beside the chosen one, and the way back to what was said.',
    ),
    figures(plotsOf(run.index, 'pairs')),
    body,
  );
}

class PairList {
  readonly #run: ShownRun;
  readonly #list: readonly ListedPair[];
  readonly #body: HTMLElement;
  readonly #items = h('ol', { class: 'pairs' });
  readonly #status = h('p', { class: 'muted', role: 'status' });
  readonly #pager = h('nav', { class: 'pager', 'aria-label': 'Pages of pairs' });
  #wanted: Wanted = EVERYTHING;
  #found: number[] = [];
  #page = 0;

  constructor(run: ShownRun, list: readonly ListedPair[], body: HTMLElement) {
    this.#run = run;
    this.#list = list;
    this.#body = body;
  }

  start(target: number | null): void {
    fill(
      this.#body,
      filterBar(this.#list, (wanted) => void this.#find(wanted)),
      this.#status,
      this.#items,
      this.#pager,
    );
    this.#found = this.#list.map((_, i) => i);
    if (target !== null && target < this.#list.length) this.#page = Math.floor(target / PAGE);
    this.#show();
    if (target !== null) this.#open(target);
  }

  async #find(wanted: Wanted): Promise<void> {
    this.#wanted = wanted;
    const found = await findPairs(this.#run, this.#list, wanted, {
      isStale: () => this.#wanted !== wanted,
      onProgress: (some, share) => {
        this.#status.textContent = `Looking … ${percent(share, 0)}, ${count(some)} so far`;
      },
    });
    if (found === null || this.#wanted !== wanted) return;
    this.#found = found;
    this.#page = 0;
    this.#show();
  }

  #show(): void {
    const { pairsInAll } = this.#run;
    const [shown, all] = [this.#found.length, this.#list.length];
    const of =
      all < pairsInAll ? `the first ${count(all)} pairs of ${count(pairsInAll)}` : `${count(all)} pairs`;
    this.#status.textContent =
      shown === all ? `${of[0]?.toUpperCase()}${of.slice(1)}` : `${count(shown)} of ${of}`;
    const visiblePairs = this.#found.slice(this.#page * PAGE, (this.#page + 1) * PAGE);
    fill(this.#items, ...visiblePairs.map((index) => this.#item(index)));
    if (visiblePairs.length === 0) fill(this.#items, h('li', {}, empty('No pair is like that.')));
    this.#showPager();
  }

  #item(index: number): HTMLElement {
    const pair = this.#list[index] as ListedPair;
    const [id, user, source, , , request] = pair;
    const gap = gapOf(pair);
    const facts: Child = [
      h('span', { class: 'badge' }, source === '' ? 'pair' : source),
      user !== '' && h('span', {}, name(user)),
      gap !== null && h('span', { class: 'number' }, `gap ${gap > 0 ? '+' : ''}${gap.toFixed(2)}`),
      h('span', { class: 'pair-id' }, name(id)),
    ];
    const anchor = `run-${this.#run.index + 1}-pair-${index + 1}`;
    const details = folded(
      [
        h('span', { class: 'pair-request', dir: 'auto' }, request === '' ? '(nothing was asked)' : request),
        h('span', { class: 'pair-facts' }, facts),
      ],
      () => this.#content(index, anchor),
      { id: anchor, class: 'pair' },
    );
    return h('li', {}, details);
  }

  async #content(index: number, anchor: string): Promise<Child> {
    const { blocks, pairsInBlock } = this.#run;
    const block = await unpack<PairBlock>(blocks[Math.floor(index / pairsInBlock)] as string);
    const pair = block.pairs[index % pairsInBlock];
    if (pair === undefined) return empty('The page does not hold this pair.');
    const { conversation } = pair;
    const from =
      conversation !== undefined && Object.hasOwn(block.conversations, conversation)
        ? block.conversations[conversation]
        : undefined;
    return [
      ...pairView(pair, from, this.#run, this.#list[index]?.[5] ?? ''),
      h('p', { class: 'muted' }, h('a', { href: `#${anchor}` }, 'Link to this pair')),
    ];
  }

  #open(index: number): void {
    const details = document.getElementById(`run-${this.#run.index + 1}-pair-${index + 1}`);
    if (!(details instanceof HTMLDetailsElement)) return;
    details.open = true;
    details.scrollIntoView({ block: 'start' });
    details.querySelector('summary')?.focus({ preventScroll: true });
  }

  #showPager(): void {
    const pages = Math.ceil(this.#found.length / PAGE);
    if (pages <= 1) {
      fill(this.#pager);
      return;
    }
    const to = (page: number) => () => {
      this.#page = page;
      this.#show();
      this.#body.scrollIntoView({ block: 'start' });
      this.#status.focus();
    };
    const button = (title: string, page: number) =>
      h(
        'button',
        { type: 'button', disabled: page < 0 || page >= pages || page === this.#page, click: to(page) },
        title,
      );
    fill(
      this.#pager,
      button('First', 0),
      button('Previous', this.#page - 1),
      h('span', {}, `Page ${count(this.#page + 1)} of ${count(pages)}`),
      button('Next', this.#page + 1),
      button('Last', pages - 1),
    );
  }
}
