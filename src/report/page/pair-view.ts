/** One pair: both answers with what differs marked, and everything that led to it. */

import type { ReportConversation, ReportPair } from '../report-data.js';
import { type Child, definitions, folded, h } from './dom.js';
import { messages } from './messages.js';
import type { ShownRun } from './state.js';
import { count, name, number, percent, spelled, words } from './text.js';
import { type DiffPart, diffWords } from './word-diff.js';

/** Words that two answers must share for the marks to say anything: below it nearly everything is marked. */
const LEAST_LIKENESS = 0.15;

/** @param listed The request as the list shows it, which may be only its beginning */
export function pairView(
  pair: ReportPair,
  conversation: ReportConversation | undefined,
  run: ShownRun,
  listed: string,
): Child[] {
  const { prompt, persona, followUp, id } = pair;
  const before = prompt.slice(0, -1);
  const request = prompt.at(-1)?.content ?? '';
  return [
    ...(request.trim() === listed ? [] : [h('h4', {}, 'The request'), words(request, 'request')]),
    ...(before.length > 0
      ? [folded(`The conversation before it (${count(before.length)})`, () => messages(before))]
      : []),
    answersOf(pair),
    ...(followUp === undefined ? [] : [said(followUp)]),
    ...(persona === undefined || persona === ''
      ? []
      : [folded('The persona that goes with it', () => words(persona, 'quiet'), { open: false })]),
    origin(pair, conversation),
    h(
      'p',
      { class: 'muted command' },
      'In a terminal: ',
      h('code', {}, 'persona-dpo inspect ', shellWord(run.folder), ' ', shellWord(id)),
    ),
  ];
}

function answersOf({ chosen, rejected, scores }: ReportPair): HTMLElement {
  const diff = diffWords(rejected, chosen);
  const marked = diff.likeness >= LEAST_LIKENESS && diff.likeness < 1;
  const remark =
    diff.likeness === 1
      ? 'Both answers have the same words.'
      : marked
        ? `${percent(diff.likeness, 0)} of the words are shared; what is not is marked.`
        : 'The answers have so little in common that nothing is marked.';
  return h(
    'div',
    { class: 'answers' },
    h('p', { class: 'muted' }, remark),
    h(
      'div',
      { class: 'side-by-side' },
      answer('Rejected', 'rejected', rejected, marked ? diff.before : null, scores?.rejected),
      answer('Chosen', 'chosen', chosen, marked ? diff.after : null, scores?.chosen),
    ),
  );
}

function answer(
  title: string,
  kind: 'chosen' | 'rejected',
  text: string,
  parts: readonly DiffPart[] | null,
  score: number | undefined,
): HTMLElement {
  const mark = kind === 'chosen' ? 'ins' : 'del';
  return h(
    'div',
    { class: `answer ${kind}` },
    h('h4', {}, title, score !== undefined && h('span', { class: 'muted' }, ` · reward ${number(score)}`)),
    parts === null || text.trim() === ''
      ? words(text)
      : h(
          'div',
          { class: 'words', dir: 'auto' },
          ...parts.map(({ text: part, shared }) => (shared ? part : h(mark, {}, part))),
        ),
  );
}

function said({ text, type, reply, logprobs, problem }: NonNullable<ReportPair['followUp']>): HTMLElement {
  const facts: [Child, Child][] = [];
  if (reply !== undefined) facts.push(['The model said', words(reply, 'quiet')]);
  if (problem !== undefined) facts.push(['No verdict', problem]);
  const kinds = Object.entries(logprobs ?? {}).sort(([, a], [, b]) => b - a);
  return h(
    'div',
    { class: 'follow-up' },
    h('h4', {}, 'What the user said to the first answer'),
    words(text),
    type !== undefined &&
      (facts.length + kinds.length === 0
        ? h('p', { class: 'muted' }, `Classified as ${spelled(type)}.`)
        : folded(`Classified as ${spelled(type)}`, () => [
            facts.length > 0 && definitions(facts),
            kinds.length > 0 && likelihoods(kinds),
          ])),
  );
}

function likelihoods(kinds: readonly (readonly [string, number])[]): HTMLElement {
  return h(
    'table',
    { class: 'small' },
    h(
      'thead',
      {},
      h('tr', {}, h('th', { scope: 'col' }, 'Kind'), h('th', { scope: 'col', class: 'number' }, 'log p')),
    ),
    h(
      'tbody',
      {},
      ...kinds.map(([kind, value]) =>
        h('tr', {}, h('th', { scope: 'row' }, spelled(kind)), h('td', { class: 'number' }, number(value))),
      ),
    ),
  );
}

function origin(pair: ReportPair, conversation: ReportConversation | undefined): Child {
  const { made, turn, turnIs = 'follow-up', records, conversation: id } = pair;
  return [
    conversation !== undefined &&
      folded(['The way back: conversation ', name(id ?? '')], () => [
        h(
          'p',
          { class: 'muted' },
          [conversation.time, conversation.model]
            .filter((fact) => fact !== undefined)
            .map((fact, i) => [i > 0 && ' · ', fact]),
        ),
        messages(conversation.turns, { turn: turn ?? -1, as: `the ${turnIs}` }),
      ]),
    made !== undefined &&
      (made.request.length === 0
        ? h('p', { class: 'muted' }, 'The better answer is the log’s own: ', made.model, '.')
        : folded(['How the better answer was made, by ', name(made.model)], () => messages(made.request))),
    ...records.map(({ stage, fields }) => folded(`What the stage ${stage} keeps of it`, () => value(fields))),
  ];
}

/** A value of JSON, in no form that the page knows. */
function value(given: unknown): HTMLElement {
  if (typeof given === 'string') return words(given);
  if (typeof given === 'number') return h('span', {}, number(given));
  if (typeof given !== 'object' || given === null) return h('span', {}, String(given));
  if (Array.isArray(given))
    return h('ol', { class: 'values' }, ...given.map((item) => h('li', {}, value(item))));
  return definitions(
    Object.entries(given).map(([field, item]) => [name(field), value(item)] as const),
    'facts values',
  );
}

/** A text as one word of a command line that can be pasted. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
