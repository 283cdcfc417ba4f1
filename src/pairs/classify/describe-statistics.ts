/** Statistics of a classification as tables for people. */
import type { UserMessageType } from '../rows.js';
import {
  type ClassificationStatistics,
  type CountAndShare,
  type Distribution,
  USER_MESSAGE_TYPES,
} from './statistics.js';

/** A title and rows of cells, the first of them the heads of the columns. */
export interface DescribedTable {
  title: string;
  rows: string[][];
}

/** What types of messages are called in tables. */
export const TYPE_NAMES: Readonly<Record<UserMessageType, string>> = {
  'initial-request': 'initial requests',
  'new-request': 'new requests',
  're-attempt-with-feedback': 're-attempts with feedback',
  're-attempt-without-feedback': 're-attempts without feedback',
  'positive-feedback': 'positive feedback',
  unclassified: 'unclassified',
};

/** What {@link ClassificationStatistics} say, apart from the users one by one. */
export function describeClassification(statistics: ClassificationStatistics): DescribedTable[] {
  const { types, lengths, turnsPerConversation, lateMessages, perUser } = statistics;
  return [
    {
      title: `${statistics.messages} user messages in ${statistics.conversations} conversations of ${statistics.users} users`,
      rows: [
        ['type', 'messages', 'share'],
        ...USER_MESSAGE_TYPES.map((type) => [TYPE_NAMES[type], ...countCells(types[type])]),
      ],
    },
    {
      title: `After the fifth message of their conversation: ${lateMessages.count} user messages`,
      rows: [
        ['type', 'messages', 'share'],
        ['re-attempts with feedback', ...countCells(lateMessages.reAttemptsWithFeedback)],
      ],
    },
    {
      title: 'Lengths and numbers',
      rows: [
        ['what', 'count', 'mean', 'median', 'most'],
        ['characters of initial requests', ...distributionCells(lengths.initialRequests)],
        ['characters of follow-ups', ...distributionCells(lengths.followUps)],
        ['characters of re-attempts with feedback', ...distributionCells(lengths.reAttemptsWithFeedback)],
        ['user messages of a conversation', ...distributionCells(turnsPerConversation)],
        ['conversations of a user', ...distributionCells(perUser.conversations)],
        ['messages of a user', ...distributionCells(perUser.messages)],
        ['re-attempts with feedback of a user', ...distributionCells(perUser.reAttemptsWithFeedback)],
      ],
    },
    {
      title: 'Users',
      rows: [
        ['what', 'users', 'share'],
        ['with a re-attempt with feedback', ...countCells(perUser.withFeedback)],
      ],
    },
  ];
}

/** The users with the most re-attempts with feedback, at most `limit`. */
export function describeUsers({ byUser }: ClassificationStatistics, limit = 20): DescribedTable {
  const feedback = (each: (typeof byUser)[number]) => each.types['re-attempt-with-feedback'];
  const ranked = [...byUser].sort((a, b) => feedback(b) - feedback(a) || b.messages - a.messages);
  return {
    title: `Users with the most feedback, ${Math.min(limit, byUser.length)} of ${byUser.length}`,
    rows: [
      ['user', 'conversations', 'messages', ...USER_MESSAGE_TYPES.map((type) => TYPE_NAMES[type])],
      ...ranked
        .slice(0, limit)
        .map((each) => [
          each.user,
          String(each.conversations),
          String(each.messages),
          ...USER_MESSAGE_TYPES.map((type) => String(each.types[type])),
        ]),
    ],
  };
}

function countCells({ count, share }: CountAndShare): [string, string] {
  return [String(count), share === null ? '-' : `${(100 * share).toFixed(2)}%`];
}

function distributionCells({ count, mean, median, max }: Distribution): string[] {
  const cell = (value: number | null) => (value === null ? '-' : String(Number(value.toFixed(2))));
  return [String(count), cell(mean), cell(median), cell(max)];
}
