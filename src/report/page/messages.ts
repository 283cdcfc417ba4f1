import type { Message } from '../../data/pairs.js';
import { h } from './dom.js';
import { words } from './text.js';

/**
 * A conversation, message by message.
 *
 * @param marked Index of the message that is pointed out, and as what
 */
export function messages(turns: readonly Message[], marked?: { turn: number; as: string }): HTMLElement {
  return h(
    'ol',
    { class: 'messages' },
    ...turns.map(({ role, content }, i) => {
      const isMarked = i === marked?.turn;
      return h(
        'li',
        { class: isMarked ? `${roleClass(role)} marked` : roleClass(role) },
        h('p', { class: 'role' }, role, isMarked && h('strong', {}, ` · ${marked.as}`)),
        words(content),
      );
    }),
  );
}

/** Roles are among four where rows were checked; a class must not come from anywhere else. */
function roleClass(role: string): string {
  return role === 'user' ? 'from-user' : role === 'assistant' ? 'from-assistant' : 'from-others';
}
