/** Answers to the same request side by side: before and after training, of several models. */

import type { EvaluationAnswers } from '../../eval/results.js';
import { empty, folded, h, section } from './dom.js';
import { messages } from './messages.js';
import type { ShownRun } from './state.js';
import { count, name, words } from './text.js';

/** Answers that are shown before the rest is asked for. */
const SHOWN = 6;

export function answers({ evaluations }: ShownRun): HTMLElement {
  const all = evaluations.flatMap(({ title, answers: own }) => own.map((each) => ({ title, ...each })));
  const severalKinds = new Set(all.map(({ title }) => title)).size > 1;
  const card = (each: (typeof all)[number]) => answerCard(each, severalKinds ? each.title : null);
  return section(
    'answers',
    'Before and after',
    all.length === 0
      ? empty('No answers to look at: evaluations leave some here.')
      : [
          ...all.slice(0, SHOWN).map(card),
          all.length > SHOWN && folded(`${count(all.length - SHOWN)} more`, () => all.slice(SHOWN).map(card)),
        ],
  );
}

export function answerCard(
  { user, persona, prompt, answers: given }: EvaluationAnswers,
  title: string | null,
): HTMLElement {
  const context = prompt.slice(0, -1);
  return h(
    'article',
    { class: 'card' },
    h(
      'header',
      {},
      (title !== null || user !== undefined) &&
        h(
          'p',
          { class: 'eyebrow' },
          title,
          title !== null && user !== undefined && ' · ',
          user !== undefined && ['asked by ', name(user)],
        ),
      words(prompt.at(-1)?.content ?? '', 'request'),
      persona !== undefined &&
        persona !== '' &&
        folded('What is known of the user', () => words(persona, 'quiet')),
      context.length > 0 &&
        folded(`The conversation before (${count(context.length)})`, () => messages(context)),
    ),
    h(
      'div',
      { class: 'side-by-side' },
      ...given.map(({ label, text, note }) =>
        h(
          'div',
          { class: 'answer' },
          h('h4', {}, label),
          words(text),
          note !== undefined && h('p', { class: 'muted' }, note),
        ),
      ),
    ),
  );
}
