/** What is to be done for a user's persona: keep the one there is, bring it up to date, or build it anew. */
import type { PersonaRow } from '../rows.js';
import { type HistoryConversation, messageCount } from './history.js';

export type PersonaPlan =
  /** Nothing has changed. */
  | { kind: 'keep'; row: PersonaRow }
  /** `added` is new. */
  | { kind: 'update'; row: PersonaRow; added: HistoryConversation[] }
  /** There is none yet, or the one there is rests on what is no longer so. */
  | { kind: 'build'; reason: 'new' | 'conversations-removed' | 'messages-changed' | 'other-model' };

/**
 * What a previous persona is still worth. It is built anew where it rests on a conversation that is gone or held out
 * by now, where its conversations have more or fewer messages than then, and where another model made it.
 */
export function planPersona(
  history: readonly HistoryConversation[],
  previous: PersonaRow | undefined,
  model: string,
): PersonaPlan {
  if (previous === undefined) return { kind: 'build', reason: 'new' };
  if (previous.model !== model) return { kind: 'build', reason: 'other-model' };
  const covered = new Set(previous.conversations);
  const known = history.filter(({ id }) => covered.has(id));
  if (known.length < covered.size) return { kind: 'build', reason: 'conversations-removed' };
  if (messageCount(known) !== previous.messagesShown + previous.messagesLeftOut) {
    return { kind: 'build', reason: 'messages-changed' };
  }
  const added = history.filter(({ id }) => !covered.has(id));
  return added.length === 0 ? { kind: 'keep', row: previous } : { kind: 'update', row: previous, added };
}
