import type { PagePlot } from '../page-html.js';
import { h } from './dom.js';

/** A drawing in the colours of the page. */
export function figure({ title, description, width, height, light, dark }: PagePlot): HTMLElement {
  return h(
    'figure',
    {},
    h('figcaption', {}, title),
    h(
      'picture',
      {},
      h('source', { media: 'screen and (prefers-color-scheme: dark)', srcset: dark }),
      h('img', {
        src: light,
        alt: description,
        width: Math.round(width),
        height: Math.round(height),
        decoding: 'async',
      }),
    ),
  );
}

export function figures(plots: readonly PagePlot[]): HTMLElement {
  return h('div', { class: 'figures' }, ...plots.map(figure));
}
