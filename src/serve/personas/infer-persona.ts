/** One user's persona, from history or brought up to date, asked of the model as a run's stage asks it. */

import type { SplitConversation } from '../../data/conversation.js';
import { Tally } from '../../data/tally.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { unclassifiedMessages } from '../../pairs/classify/unclassified-messages.js';
import { inferPersonas, type PersonaSettings } from '../../pairs/personas/infer-personas.js';
import type { PersonaRow } from '../../pairs/rows.js';
import type { PendingMessage } from './user-record.js';

/** How personas are inferred; see `inferPersonas`. */
export type InferenceSettings = Omit<PersonaSettings, 'previous' | 'model'> & { model: ChatModel };

/** The persona, or why there is none. */
export type Inferred = { persona: string } | { problem: string };

/** The persona that a user's logged conversations show. */
export function inferFromHistory(
  user: string,
  conversations: readonly SplitConversation[],
  settings: InferenceSettings,
  signal: AbortSignal,
): Promise<Inferred> {
  return infer(user, conversations, undefined, settings, signal);
}

/** A persona brought up to date by what the user has said since; from these messages alone where there is none yet. */
export function updatePersona(
  user: string,
  persona: string | null,
  messages: readonly PendingMessage[],
  settings: InferenceSettings,
  signal: AbortSignal,
): Promise<Inferred> {
  const previous = persona === null ? undefined : rowOf(user, persona, settings.model.identity);
  return infer(user, conversationsOf(user, messages), previous, { ...settings, minMessages: 1 }, signal);
}

async function infer(
  user: string,
  conversations: readonly SplitConversation[],
  previous: PersonaRow | undefined,
  settings: InferenceSettings,
  signal: AbortSignal,
): Promise<Inferred> {
  let problem = 'there is nothing to read';
  const tally = new Tally('users', ({ reason, detail }) => {
    problem = detail === undefined ? reason : `${reason}: ${detail}`;
  });
  const known = new Map(previous === undefined ? [] : [[user, previous]]);
  const classified = conversations.flatMap(unclassifiedMessages);
  const rows = inferPersonas(conversations, classified, { ...settings, previous: known }, { tally, signal });
  for await (const { persona } of rows) return { persona };
  return { problem };
}

/** A persona that rests on conversations which are not there any more: what comes is new to it. */
function rowOf(user: string, persona: string, model: string): PersonaRow {
  const nothing = { conversations: [], messagesShown: 0, messagesLeftOut: 0, request: [], reply: '' };
  return { user, persona, model, ...nothing };
}

/** Messages in conversations: each message that began one, with those that follow. */
function conversationsOf(user: string, messages: readonly PendingMessage[]): SplitConversation[] {
  const conversations: SplitConversation[] = [];
  for (const { text, initial } of messages) {
    const turn = { role: 'user' as const, content: text };
    const last = conversations.at(-1);
    if (last !== undefined && !initial) last.turns.push(turn);
    else {
      const id = `talk ${conversations.length}`;
      conversations.push({ id, user, side: 'train', heldOut: false, turns: [turn] });
    }
  }
  return conversations;
}
