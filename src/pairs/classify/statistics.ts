/** Section 2.2's statistics of classified user messages. */
import { type ClassifiedMessage, FOLLOW_UP_TYPES, type UserMessageType } from '../rows.js';

/** All types in the order in which they are shown. */
export const USER_MESSAGE_TYPES = [
  'initial-request',
  ...FOLLOW_UP_TYPES,
  'unclassified',
] as const satisfies readonly UserMessageType[];

/** Messages behind so many of their conversation count as late (section 2.2: "after the fifth turn"). */
export const LATE_AFTER = 5;

export interface CountAndShare {
  count: number;
  /** 0 to 1; null of nothing. */
  share: number | null;
}

/** Of some numbers; null of none. */
export interface Distribution {
  count: number;
  mean: number | null;
  median: number | null;
  max: number | null;
}

export interface UserStatistics {
  user: string;
  conversations: number;
  messages: number;
  types: Record<UserMessageType, number>;
}

export interface ClassificationStatistics {
  messages: number;
  conversations: number;
  users: number;
  /** Share of all user messages. */
  types: Record<UserMessageType, CountAndShare>;
  /** Characters of messages. */
  lengths: {
    initialRequests: Distribution;
    /** All that is no initial request. */
    followUps: Distribution;
    reAttemptsWithFeedback: Distribution;
  };
  /** User messages of a conversation. */
  turnsPerConversation: Distribution;
  /** User messages after the fifth of their conversation. */
  lateMessages: {
    count: number;
    reAttemptsWithFeedback: CountAndShare;
  };
  perUser: {
    conversations: Distribution;
    messages: Distribution;
    reAttemptsWithFeedback: Distribution;
    /** Users with at least one re-attempt with feedback. */
    withFeedback: CountAndShare;
  };
  /** In the order in which users come. */
  byUser: UserStatistics[];
}

/** What is gathered of a user while rows come. */
interface UserRecord {
  conversations: Set<string>;
  types: Record<UserMessageType, number>;
}

/**
 * The statistics of a classification, from its rows in any order. Memory grows with users and conversations, not with
 * the messages' texts, which rows do not hold.
 */
export async function classificationStatistics(
  rows: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>,
): Promise<ClassificationStatistics> {
  const users = new Map<string, UserRecord>();
  const turns = new Map<string, number>();
  const types = noTypes();
  const initial: number[] = [];
  const followUps: number[] = [];
  const feedback: number[] = [];
  let late = 0;
  let lateFeedback = 0;
  for await (const { user, conversation, type, characters, number } of rows) {
    const record = users.get(user) ?? { conversations: new Set(), types: noTypes() };
    users.set(user, record);
    record.conversations.add(conversation);
    record.types[type]++;
    types[type]++;
    turns.set(conversation, (turns.get(conversation) ?? 0) + 1);
    if (type === 'initial-request') initial.push(characters);
    else followUps.push(characters);
    const isFeedback = type === 're-attempt-with-feedback';
    if (isFeedback) feedback.push(characters);
    if (number > LATE_AFTER) {
      late++;
      if (isFeedback) lateFeedback++;
    }
  }
  const byUser = [...users].map(([user, record]) => userStatistics(user, record));
  const messages = initial.length + followUps.length;
  const withFeedback = byUser.filter((each) => each.types['re-attempt-with-feedback'] > 0).length;
  return {
    messages,
    conversations: turns.size,
    users: users.size,
    types: mapTypes((type) => countAndShare(types[type], messages)),
    lengths: {
      initialRequests: distribution(initial),
      followUps: distribution(followUps),
      reAttemptsWithFeedback: distribution(feedback),
    },
    turnsPerConversation: distribution([...turns.values()]),
    lateMessages: { count: late, reAttemptsWithFeedback: countAndShare(lateFeedback, late) },
    perUser: {
      conversations: distribution(byUser.map((each) => each.conversations)),
      messages: distribution(byUser.map((each) => each.messages)),
      reAttemptsWithFeedback: distribution(byUser.map((each) => each.types['re-attempt-with-feedback'])),
      withFeedback: countAndShare(withFeedback, users.size),
    },
    byUser,
  };
}

function userStatistics(user: string, { conversations, types }: UserRecord): UserStatistics {
  const messages = Object.values(types).reduce((sum, count) => sum + count, 0);
  return { user, conversations: conversations.size, messages, types };
}

function mapTypes<Value>(make: (type: UserMessageType) => Value): Record<UserMessageType, Value> {
  return Object.fromEntries(USER_MESSAGE_TYPES.map((type) => [type, make(type)])) as Record<
    UserMessageType,
    Value
  >;
}

function noTypes(): Record<UserMessageType, number> {
  return mapTypes(() => 0);
}

function countAndShare(count: number, of: number): CountAndShare {
  return { count, share: of === 0 ? null : count / of };
}

function distribution(values: readonly number[]): Distribution {
  const count = values.length;
  if (count === 0) return { count, mean: null, median: null, max: null };
  const sorted = Float64Array.from(values).sort();
  const middle = count >> 1;
  const upper = sorted[middle] as number;
  return {
    count,
    mean: sorted.reduce((sum, value) => sum + value, 0) / count,
    median: count % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2,
    max: sorted[count - 1] as number,
  };
}
