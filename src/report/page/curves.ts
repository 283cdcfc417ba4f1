/** How training went. */

import type { PageTraining } from '../embed-data.js';
import { answerCard } from './answers.js';
import { type Child, empty, folded, h, section } from './dom.js';
import { figures } from './figure.js';
import { plotsOf, type ShownRun } from './state.js';
import { count } from './text.js';

export function curves({ index, trainings }: ShownRun): HTMLElement {
  const main = plotsOf(index, 'curves');
  const more = plotsOf(index, 'more-curves');
  return section(
    'training',
    'Training',
    main.length + more.length === 0
      ? empty('Nothing has been trained in this run yet.')
      : h(
          'p',
          { class: 'lead' },
          'Metrics by their names in TRL. Dots are evaluations; a dashed line is where a policy that equals its reference stands.',
        ),
    figures(main),
    more.length > 0 && folded(`${more.length} more metrics`, () => figures(more)),
    trainings.map(samples),
  );
}

/** What the policy said while it was trained, and what that was worth. */
function samples({ samples: groups, samplesInAll }: PageTraining): Child {
  if (groups.length === 0) return null;
  const of =
    groups.length < samplesInAll
      ? `${count(groups.length)} groups of ${count(samplesInAll)}`
      : `${count(groups.length)} groups`;
  return folded(`Samples of the policy with their rewards (${of})`, () =>
    groups.map(({ step, heldOut, group }) =>
      answerCard(group, `step ${count(step)}${heldOut ? ', held-out' : ''}`),
    ),
  );
}
