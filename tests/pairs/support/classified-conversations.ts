import { type SplitConversation, userTurns } from '../../../src/data/conversation.js';
import type { ClassifiedMessage, UserMessageType } from '../../../src/pairs/rows.js';
import { conversation } from './conversations.js';

/** A conversation of user messages with an answer after each. */
export function said(
  id: string,
  texts: readonly string[],
  rest: Partial<SplitConversation> = {},
): SplitConversation {
  const lines = texts.flatMap((text) => [`u: ${text}`, `a: answered ${id}`]);
  return conversation(id, lines, { user: 'ada', ...rest });
}

/** What a classification says of a conversation's user messages: `types` behind the first, which is initial. */
export function classifiedAs(
  { id, user, turns }: SplitConversation,
  types: readonly UserMessageType[] = [],
): ClassifiedMessage[] {
  return userTurns({ turns }).map((turn, at) => ({
    ...{ conversation: id, user, turn, number: at + 1, characters: turns[turn]?.content.length ?? 0 },
    type: at === 0 ? 'initial-request' : (types[at - 1] ?? 'new-request'),
  }));
}
