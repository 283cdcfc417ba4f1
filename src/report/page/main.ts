/** The page: its head, the way through it, and the sections of the run that is looked at. */

import { answers } from './answers.js';
import { comparison } from './comparison.js';
import { costs } from './costs.js';
import { curves } from './curves.js';
import { fill, h } from './dom.js';
import { evaluation } from './evaluation.js';
import { funnel } from './funnel.js';
import { overview } from './overview.js';
import { pairs, targetOf } from './pairs.js';
import { personas } from './personas.js';
import { data, runAt } from './state.js';
import { moment, name } from './text.js';

const several = data.runs.length > 1;
const SECTIONS = [
  ...(several ? [['comparison', 'Comparison'] as const] : []),
  ['overview', 'What was run'],
  ['funnel', 'From logs to pairs'],
  ['training', 'Training'],
  ['evaluation', 'Evaluation'],
  ['answers', 'Before and after'],
  ['pairs', 'Pairs'],
  ['personas', 'Personas'],
  ['costs', 'Time and cost'],
] as const;

const ofRun = h('div', { id: 'run' });
let current = 0;

function showRun(index: number, pair: number | null = null): void {
  current = index;
  const run = runAt(index);
  fill(
    ofRun,
    several && h('h2', { class: 'run-name' }, 'Run ', name(run.name)),
    overview(run),
    funnel(run),
    curves(run),
    evaluation(run),
    answers(run),
    pairs(run, pair),
    personas(run),
    costs(run),
  );
  for (const [i, button] of [...document.querySelectorAll('.runs button')].entries()) {
    button.setAttribute('aria-pressed', String(i === index));
  }
  watchSections();
}

function head(): HTMLElement {
  return h(
    'header',
    { class: 'top' },
    h('p', { class: 'eyebrow' }, 'persona-dpo report'),
    h('h1', {}, data.title),
    h('p', { class: 'muted' }, `Written ${moment(data.writtenAt)}`),
  );
}

function runButtons(): HTMLElement {
  return h(
    'div',
    { class: 'runs', role: 'group', 'aria-label': 'Run' },
    ...data.runs.map((run, i) =>
      h('button', { type: 'button', 'aria-pressed': 'false', click: () => showRun(i) }, name(run.name)),
    ),
  );
}

function navigation(): HTMLElement {
  return h(
    'nav',
    { class: 'sections', 'aria-label': 'Sections' },
    h('ul', {}, ...SECTIONS.map(([id, title]) => h('li', {}, h('a', { href: `#${id}` }, title)))),
  );
}

let observer: IntersectionObserver | undefined;

/** Marks the section that is read in the list of sections. */
function watchSections(): void {
  observer?.disconnect();
  observer = new IntersectionObserver(
    (entries) => {
      const seen = entries.find(({ isIntersecting }) => isIntersecting);
      if (seen === undefined) return;
      for (const link of document.querySelectorAll('nav.sections a')) {
        if (link.getAttribute('href') === `#${seen.target.id}`) {
          link.setAttribute('aria-current', 'true');
        } else link.removeAttribute('aria-current');
      }
    },
    { rootMargin: '-20% 0px -70% 0px' },
  );
  for (const each of document.querySelectorAll('main section')) observer.observe(each);
}

/** Follows an address that leads to one pair. */
function follow(): void {
  const target = targetOf(location.hash);
  if (target === null || target.run < 0 || target.run >= data.runs.length) return;
  const there = document.getElementById(location.hash.slice(1));
  if (there !== null && target.run === current) return;
  showRun(target.run, target.pair);
}

function start(): void {
  const page = document.getElementById('page');
  if (page === null) return;
  const runs = data.runs.map((_, i) => runAt(i));
  fill(
    page,
    head(),
    navigation(),
    h('main', { id: 'content', tabindex: -1 }, several && comparison(runs), several && runButtons(), ofRun),
    h(
      'footer',
      {},
      h(
        'p',
        { class: 'muted' },
        'Made by ',
        data.writtenBy,
        '. This file holds everything that it shows, words of users among it, and loads nothing.',
      ),
    ),
  );
  const target = targetOf(location.hash);
  const known = target !== null && target.run >= 0 && target.run < data.runs.length ? target : null;
  showRun(known?.run ?? 0, known?.pair ?? null);
  window.addEventListener('hashchange', follow);
}

start();
