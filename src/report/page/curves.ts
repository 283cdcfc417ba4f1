/** How training went. */

import { empty, folded, h, section } from './dom.js';
import { figures } from './figure.js';
import { plotsOf, type ShownRun } from './state.js';

export function curves({ index }: ShownRun): HTMLElement {
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
  );
}
