/** The page on which people vote: one file, nothing from elsewhere. Texts come as JSON and are shown as text only. */
import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; --paper: #faf8f4; --card: #fff; --ink: #23282d; --muted: #5c646c; --line: #cbc5b8; --accent: #2c5f8a; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --card: #1c2024; --ink: #e4e6e8; --muted: #a2abb3; --line: #454d55; --accent: #8fbce6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 7rem; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font: 600 1.5rem/1.2 Georgia, serif; }
.muted { color: var(--muted); }
.words { white-space: pre-wrap; overflow-wrap: anywhere; }
.message, .answer, form { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem; margin: .75rem 0; }
.message h2, .answer h2 { margin: 0 0 .5rem; font-size: .85rem; color: var(--muted); text-transform: uppercase; letter-spacing: .05em; }
.answers { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.votes { position: fixed; inset: auto 0 0 0; padding: .75rem 1rem; background: var(--paper); border-top: 1px solid var(--line); display: flex; gap: .5rem; justify-content: center; flex-wrap: wrap; }
button, input { font: inherit; color: inherit; padding: .55rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
button { cursor: pointer; }
button:hover { border-color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 .35em; font-size: .85em; }
progress { width: 100%; accent-color: var(--accent); }
[role=alert] { color: #b3261e; }
`;

const SCRIPT = `
'use strict';
const main = document.querySelector('main');
const state = { name: localStorage.getItem('participant') || '', items: [], at: 0, since: 0 };

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function part(kind, title, text) {
  return make('section', { class: kind }, make('h2', {}, title), make('div', { class: 'words', dir: 'auto' }, text));
}

async function ask(path, body) {
  const response = await fetch(path, body === undefined ? {} : {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function showWelcome(problem) {
  const input = make('input', { id: 'name', required: '', maxlength: '60', autocomplete: 'off', value: state.name });
  const form = make('form', {}, make('label', { for: 'name' }, 'Your name '), input, ' ', make('button', {}, 'Begin'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    begin(input.value.trim());
  });
  main.replaceChildren(
    make('h1', {}, 'Which answer would this person rather have?'),
    make('p', {}, 'You will see conversations that end with a request, and two answers to it. Put yourself in the place of the person who asks, and take the answer that this person would rather have had.'),
    make('p', { class: 'muted' }, 'Which answer stands on which side is drawn by lot. You can stop at any time and go on later under the same name.'),
    form,
    ...(problem ? [make('p', { role: 'alert' }, problem)] : []),
  );
  input.focus();
}

async function begin(name) {
  try {
    const { items } = await ask('/api/items?participant=' + encodeURIComponent(name));
    localStorage.setItem('participant', name);
    state.name = name;
    state.items = items;
    const next = items.findIndex((item) => !item.voted);
    state.at = next === -1 ? items.length : next;
    show();
  } catch (error) {
    showWelcome(error.message);
  }
}

function show() {
  const { items, at } = state;
  const bar = make('progress', { max: items.length, value: at, 'aria-label': 'Turns done' });
  if (at >= items.length) {
    main.replaceChildren(bar, make('h1', {}, 'That was all. Thank you!'), make('p', {}, 'You can close this page.'), back());
    return;
  }
  const item = items[at];
  const earlier = item.prompt.map(({ role, content }, index) => part('message', index === item.prompt.length - 1 ? 'The request' : role, content));
  const known = item.persona === undefined ? [] : [part('message', 'What is known of the person', item.persona)];
  main.replaceChildren(
    bar,
    make('p', { class: 'muted' }, (at + 1) + ' of ' + items.length),
    ...known,
    ...earlier,
    make('div', { class: 'answers' }, part('answer', 'Left answer', item.left), part('answer', 'Right answer', item.right)),
    make('div', { class: 'votes' }, vote('left', 'Left', '1'), vote('tie', 'No difference', '2'), vote('right', 'Right', '3'), back()),
  );
  state.since = performance.now();
  scrollTo(0, 0);
}

function vote(side, title, key) {
  const button = make('button', { 'data-side': side }, title + ' ', make('kbd', {}, key));
  button.addEventListener('click', () => cast(side));
  return button;
}

function back() {
  const button = make('button', { 'data-side': 'back' }, 'Back ', make('kbd', {}, 'b'));
  button.disabled = state.at === 0;
  button.addEventListener('click', goBack);
  return button;
}

function goBack() {
  if (state.at === 0) return;
  state.at -= 1;
  show();
}

async function cast(side) {
  const item = state.items[state.at];
  if (item === undefined || state.sending) return;
  state.sending = true;
  const seconds = (performance.now() - state.since) / 1000;
  try {
    await ask('/api/votes', { participant: state.name, id: item.id, side, seconds });
    item.voted = true;
    state.at += 1;
    show();
  } catch (error) {
    document.querySelector('[role=alert]')?.remove();
    main.append(make('p', { role: 'alert' }, 'The vote was not kept: ' + error.message));
  } finally {
    state.sending = false;
  }
}

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
  const side = { 1: 'left', 2: 'tie', 3: 'right', ArrowLeft: 'left', ArrowDown: 'tie', ArrowRight: 'right' }[event.key];
  if (side !== undefined && document.querySelector('.votes')) {
    event.preventDefault();
    cast(side);
  } else if (event.key === 'b') goBack();
});

showWelcome();
`;

export const STUDY_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Human study</title>
<style>${STYLE}</style>
</head>
<body>
<main></main>
<script>${SCRIPT}</script>
</body>
</html>
`;

/** Nothing but what the page itself holds may run or be fetched. */
export const STUDY_PAGE_POLICY = [
  "default-src 'none'",
  `script-src '${hashOf(SCRIPT)}'`,
  `style-src '${hashOf(STYLE)}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
