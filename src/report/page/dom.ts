/** Making elements. Texts only ever become text: nothing in here, or in the page, makes markup out of a string. */

import { codeOf, UNSEEN, withoutUnseen } from '../unseen.js';

export type Child = Node | string | number | null | undefined | false | readonly Child[];

interface Attributes {
  [name: string]: string | number | boolean | undefined | ((event: Event) => void);
}

/**
 * An element. Attributes that are functions listen (`click`, `input`); `true` stands without a value, `false` and
 * undefined are left out.
 */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

export function append(parent: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (child instanceof Node) parent.appendChild(child);
    else if (typeof child === 'object') append(parent, child);
    else appendText(parent, String(child));
  }
}

/** A text, in which characters that turn or hide others are seen. */
function appendText(parent: Node, text: string): void {
  if (parent instanceof HTMLOptionElement) {
    parent.appendChild(document.createTextNode(withoutUnseen(text)));
    return;
  }
  let from = 0;
  for (const { 0: character, index } of text.matchAll(UNSEEN)) {
    parent.appendChild(document.createTextNode(text.slice(from, index)));
    parent.appendChild(h('span', { class: 'unseen' }, codeOf(character)));
    from = index + 1;
  }
  parent.appendChild(document.createTextNode(text.slice(from)));
}

/** Puts children in the place of those that are there. */
export function fill(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** `details` whose content is made when it is first opened. */
export function folded(
  summary: Child,
  content: () => Child | Promise<Child>,
  attributes: Attributes = {},
): HTMLDetailsElement {
  const body = h('div', { class: 'folded-body' });
  const details = h('details', attributes, h('summary', {}, summary), body);
  let made = false;
  details.addEventListener('toggle', () => {
    if (!details.open || made) return;
    made = true;
    void Promise.resolve(content()).then((child) => fill(body, child));
  });
  return details;
}

/**
 * A table under its title, in a frame that scrolls sideways and can be reached by keyboard to do so.
 *
 * @param title What it is called; read out, and shown where there is a caption
 * @param caption What stands above it; none where the heading of its section says it all
 */
export function framedTable(title: string, caption: Child, ...parts: readonly Child[]): HTMLElement {
  return h(
    'div',
    { class: 'framed' },
    caption !== null && h('p', { class: 'caption' }, caption),
    h(
      'div',
      { class: 'scroll', role: 'region', 'aria-label': title, tabindex: 0 },
      h('table', { 'aria-label': title }, ...parts),
    ),
  );
}

export function section(id: string, title: string, ...children: readonly Child[]): HTMLElement {
  return h(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    h('h2', { id: `${id}-title` }, title),
    ...children,
  );
}

/** What stands where there is nothing to show, and why. */
export function empty(...children: readonly Child[]): HTMLElement {
  return h('p', { class: 'empty' }, ...children);
}

/** Terms with what they are. */
export function definitions(entries: readonly (readonly [Child, Child])[], kind = 'facts'): HTMLElement {
  return h(
    'dl',
    { class: kind },
    ...entries.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))),
  );
}
