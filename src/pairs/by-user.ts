/** Conversations with their classified messages, user by user. */
import type { SplitConversation } from '../data/conversation.js';
import { DataError } from '../errors.js';
import type { ClassifiedMessage } from './rows.js';

/** A conversation with the types of its user messages. */
export interface ClassifiedConversation {
  conversation: SplitConversation;
  /** In the order of the turns. */
  messages: ClassifiedMessage[];
}

/** All that one user has said. */
export interface UserHistory {
  user: string;
  /** In the order in which they come; see {@link inTime}. */
  conversations: ClassifiedConversation[];
}

/**
 * Joins conversations with their classification, user by user. Both must be in the order in which filters and
 * classification write them: all conversations of a user one after another, and messages in the order of the
 * conversations. So memory holds one user at a time (and the names of those before).
 *
 * @throws DataError where a user comes back after another one, or where messages and conversations do not belong
 *   together: a file of one run was put beside that of another
 */
export async function* byUser(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  classified: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>,
): AsyncGenerator<UserHistory> {
  const messages = readOn(classified);
  const finished = new Set<string>();
  let history: UserHistory | undefined;
  try {
    let next = await messages.next();
    for await (const conversation of conversations) {
      if (history !== undefined && history.user !== conversation.user) {
        yield history;
        finished.add(history.user);
        history = undefined;
      }
      if (finished.has(conversation.user)) throw comesBack(conversation);
      const own: ClassifiedMessage[] = [];
      while (next.done !== true && follows(next.value, conversation, own.length)) {
        own.push(next.value);
        next = await messages.next();
      }
      checkMessages(conversation, own, next.done === true ? undefined : next.value);
      history ??= { user: conversation.user, conversations: [] };
      history.conversations.push({ conversation, messages: own });
    }
    if (next.done !== true) throw unknownConversation(next.value);
    if (history !== undefined) yield history;
  } finally {
    await messages.return?.(undefined);
  }
}

/** A user's conversations from the oldest to the newest; as they come where one of them has no time. */
export function inTime(conversations: readonly ClassifiedConversation[]): ClassifiedConversation[] {
  const time = ({ conversation }: ClassifiedConversation) => conversation.time;
  if (conversations.some((each) => time(each) === undefined)) return [...conversations];
  return [...conversations].sort((a, b) => compare(time(a) ?? '', time(b) ?? ''));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function* readOn<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, undefined> {
  yield* items;
  return undefined;
}

/** Whether a message is the next one of the conversation, of which `count` are there. */
function follows(
  { conversation, number }: ClassifiedMessage,
  { id }: SplitConversation,
  count: number,
): boolean {
  return conversation === id && number === count + 1;
}

function checkMessages(
  { id, user, turns }: SplitConversation,
  messages: readonly ClassifiedMessage[],
  next: ClassifiedMessage | undefined,
): void {
  const expected = turns.filter(({ role }) => role === 'user').length;
  const fits = messages.every(
    (message, index) =>
      message.user === user && message.number === index + 1 && turns[message.turn]?.role === 'user',
  );
  if (fits && messages.length === expected) return;
  const after = next === undefined ? 'no further row' : `a row of conversation ${next.conversation}`;
  throw new DataError(
    `conversation ${id} of user ${user} has ${expected} user messages, but its classification has ` +
      `${messages.length}${fits ? '' : ' of other turns'}, followed by ${after}: ` +
      'expected the classification of these very conversations, in their order. Classify them again.',
    { details: { conversation: id, user } },
  );
}

function comesBack({ id, user }: SplitConversation): DataError {
  return new DataError(
    `conversation ${id} of user ${user} comes after those of another user: expected all conversations of a user one after another`,
    { details: { conversation: id, user } },
  );
}

function unknownConversation({ conversation, turn }: ClassifiedMessage): DataError {
  return new DataError(
    `message ${conversation}:${turn} is classified, but its conversation is not among the conversations, or comes earlier: ` +
      'expected the classification of these very conversations, in their order. Classify them again.',
    { details: { conversation, turn } },
  );
}
