import { describe, expect, it } from 'vitest';
import { describeClassification, describeUsers } from '../../../src/pairs/classify/describe-statistics.js';
import { classificationStatistics } from '../../../src/pairs/classify/statistics.js';
import type { UserMessageType } from '../../../src/pairs/rows.js';

function row(user: string, conversation: string, number: number, type: UserMessageType, characters: number) {
  return { user, conversation, number, type, characters, turn: 2 * (number - 1) };
}

const ROWS = [
  row('ada', 'a1', 1, 'initial-request', 100),
  row('ada', 'a1', 2, 're-attempt-with-feedback', 20),
  row('ada', 'a1', 3, 'positive-feedback', 6),
  row('bo', 'b1', 1, 'initial-request', 300),
  row('bo', 'b1', 2, 'new-request', 50),
  row('bo', 'b1', 3, 're-attempt-without-feedback', 50),
  row('bo', 'b1', 4, 'unclassified', 0),
  row('bo', 'b1', 5, 'new-request', 10),
  row('bo', 'b1', 6, 're-attempt-with-feedback', 30),
  row('bo', 'b1', 7, 'new-request', 14),
  row('bo', 'b2', 1, 'initial-request', 20),
];

describe('classificationStatistics', () => {
  it('counts types, lengths, turns and users', async () => {
    const statistics = await classificationStatistics(ROWS);
    expect(statistics).toMatchObject({ messages: 11, conversations: 3, users: 2 });
    expect(statistics.types['initial-request']).toEqual({ count: 3, share: 3 / 11 });
    expect(statistics.types.unclassified).toEqual({ count: 1, share: 1 / 11 });
    expect(statistics.lengths.initialRequests).toEqual({ count: 3, mean: 140, median: 100, max: 300 });
    expect(statistics.lengths.followUps).toEqual({ count: 8, mean: 22.5, median: 17, max: 50 });
    expect(statistics.lengths.reAttemptsWithFeedback).toEqual({ count: 2, mean: 25, median: 25, max: 30 });
    expect(statistics.turnsPerConversation).toEqual({ count: 3, mean: 11 / 3, median: 3, max: 7 });
    expect(statistics.lateMessages).toEqual({
      count: 2,
      reAttemptsWithFeedback: { count: 1, share: 0.5 },
    });
    expect(statistics.perUser.messages).toEqual({ count: 2, mean: 5.5, median: 5.5, max: 8 });
    expect(statistics.perUser.withFeedback).toEqual({ count: 2, share: 1 });
    expect(
      statistics.byUser.map(({ user, conversations, messages }) => [user, conversations, messages]),
    ).toEqual([
      ['ada', 1, 3],
      ['bo', 2, 8],
    ]);
    expect(statistics.byUser[1]?.types['new-request']).toBe(3);
  });

  it('adds up: types to messages, users to both', async () => {
    const { messages, types, byUser } = await classificationStatistics(ROWS);
    const counts = Object.values(types);
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(messages);
    expect(counts.reduce((sum, { share }) => sum + (share ?? 0), 0)).toBeCloseTo(1, 12);
    for (const [type, { count }] of Object.entries(types)) {
      expect(byUser.reduce((sum, user) => sum + user.types[type as UserMessageType], 0)).toBe(count);
    }
  });

  it('does not depend on the order of the rows', async () => {
    const { byUser: _, ...forward } = await classificationStatistics(ROWS);
    const { byUser: __, ...backward } = await classificationStatistics([...ROWS].reverse());
    expect(backward).toEqual(forward);
  });

  it('of nothing has no shares and no means', async () => {
    const statistics = await classificationStatistics([]);
    expect(statistics.types['new-request']).toEqual({ count: 0, share: null });
    expect(statistics.turnsPerConversation).toEqual({ count: 0, mean: null, median: null, max: null });
    expect(JSON.parse(JSON.stringify(statistics))).toEqual(statistics);
    expect(describeClassification(statistics)[0]?.rows[1]).toEqual(['initial requests', '0', '-']);
  });
});

describe('the tables', () => {
  it('say the same in cells', async () => {
    const [types, late, lengths, users] = describeClassification(await classificationStatistics(ROWS));
    expect(types?.title).toBe('11 user messages in 3 conversations of 2 users');
    expect(types?.rows).toContainEqual(['re-attempts with feedback', '2', '18.18%']);
    expect(late?.rows).toContainEqual(['re-attempts with feedback', '1', '50.00%']);
    expect(lengths?.rows).toContainEqual(['characters of initial requests', '3', '140', '100', '300']);
    expect(lengths?.rows).toContainEqual(['user messages of a conversation', '3', '3.67', '3', '7']);
    expect(users?.rows).toContainEqual(['with a re-attempt with feedback', '2', '100.00%']);
  });

  it('have as many cells in each row', async () => {
    const statistics = await classificationStatistics(ROWS);
    for (const { rows } of [...describeClassification(statistics), describeUsers(statistics)]) {
      expect(new Set(rows.map((cells) => cells.length)).size).toBe(1);
    }
  });

  it('show the users with the most feedback first', async () => {
    const more = [...ROWS, row('cy', 'c1', 1, 'initial-request', 5)];
    const { title, rows } = describeUsers(await classificationStatistics(more), 2);
    expect(title).toBe('Users with the most feedback, 2 of 3');
    expect(rows.slice(1).map(([user]) => user)).toEqual(['bo', 'ada']);
  });
});
