/** What a conversation's user messages are compared with. */
import { type Conversation, userTurns } from '../../data/conversation.js';

/** One user message, with the one before it where there is one. */
export interface UserMessage {
  /** Index among the conversation's turns. */
  turn: number;
  /** User messages of the conversation up to and with this one. */
  number: number;
  content: string;
  /** The last message of the user before this one that says something; absent for the first such. */
  previous?: string;
}

/**
 * The user messages of a conversation, in order. Whether an answer stands between two of them does not matter here: a
 * user who writes twice in a row has not been answered, but has said something to what was asked before.
 */
export function userMessages(conversation: Pick<Conversation, 'turns'>): UserMessage[] {
  let previous: string | undefined;
  return userTurns(conversation).map((turn, index) => {
    const content = conversation.turns[turn]?.content ?? '';
    const message = {
      ...{ turn, number: index + 1, content },
      ...(previous === undefined ? {} : { previous }),
    };
    if (!isBlank(content)) previous = content;
    return message;
  });
}

export function isBlank(text: string): boolean {
  return text.trim() === '';
}

/** Whether a message repeats the one before it word for word, see {@link wording}. */
export function isExactRepeat(previous: string, current: string): boolean {
  return wording(previous) === wording(current);
}

/**
 * What two messages that say the same word for word have in common. Case, white space, and marks at the end do not
 * count; what else there is may matter (`x + 5`, `x - 5`).
 */
export function wording(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\s.!?…。！？]+$/u, '');
}
