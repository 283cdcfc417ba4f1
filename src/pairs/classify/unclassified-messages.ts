/** User messages of conversations that nobody has classified. */
import type { SplitConversation } from '../../data/conversation.js';
import type { ClassifiedMessage } from '../rows.js';

/** A conversation's user messages as rows: the first is its initial request, the others are unclassified. */
export function unclassifiedMessages({ id, user, turns }: SplitConversation): ClassifiedMessage[] {
  const messages: ClassifiedMessage[] = [];
  for (const [turn, { role, content }] of turns.entries()) {
    if (role !== 'user') continue;
    const number = messages.length + 1;
    const type = number === 1 ? 'initial-request' : 'unclassified';
    messages.push({ conversation: id, user, turn, type, characters: content.length, number });
  }
  return messages;
}
