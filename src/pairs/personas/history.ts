/** What a persona may be built from: a user's own words, in conversations that are not held out. */

import { type ClassifiedConversation, inTime, type UserHistory } from '../by-user.js';
import { isBlank } from '../classify/follow-ups.js';
import type { UserMessageType } from '../rows.js';

/** One message of a user. */
export interface HistoryMessage {
  conversation: string;
  text: string;
  type: UserMessageType;
}

/** The messages of one conversation, in order. */
export interface HistoryConversation {
  id: string;
  messages: HistoryMessage[];
}

/**
 * A user's conversations that are not held out and in which there is anything to read, from the oldest to the newest,
 * with the user's messages and nothing else.
 */
export function readableHistory({
  conversations,
}: Pick<UserHistory, 'conversations'>): HistoryConversation[] {
  return inTime(conversations.filter(({ conversation }) => !conversation.heldOut))
    .map(readableConversation)
    .filter(({ messages }) => messages.length > 0);
}

function readableConversation({ conversation, messages }: ClassifiedConversation): HistoryConversation {
  const { id, turns } = conversation;
  return {
    id,
    messages: messages.flatMap(({ turn, type }) => {
      const text = turns[turn]?.content ?? '';
      return isBlank(text) ? [] : [{ conversation: id, text, type }];
    }),
  };
}

export function messageCount(conversations: readonly HistoryConversation[]): number {
  return conversations.reduce((sum, { messages }) => sum + messages.length, 0);
}
