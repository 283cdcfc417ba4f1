/** The example's conversations on their way through the filters and the split. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../src/data/conversation.js';
import { readConversations } from '../../src/data/conversations/conversation-file.js';
import { type IngestResult, ingestConversations } from '../../src/data/conversations/ingest.js';
import { readPairs } from '../../src/data/read-pairs.js';

const example = join(import.meta.dirname, '..', '..', 'examples', 'quickstart');
const output = mkdtempSync(join(tmpdir(), 'example-'));
afterAll(() => rmSync(output, { recursive: true, force: true }));

const input = join(example, 'conversations.jsonl');
let byDefault: IngestResult;
const kept: SplitConversation[] = [];
beforeAll(async () => {
  byDefault = await ingestConversations({ input, output });
  for await (const conversation of readConversations(byDefault.paths.conversations)) kept.push(conversation);
});

const droppedBy = ({ funnel }: IngestResult): Record<string, number> =>
  Object.assign({}, ...funnel.map(({ counts }) => counts.dropped));

/** The id that the reader gives each user of `wishes.jsonl`, found through a conversation of theirs. */
function namesOfUsers(): Map<string, string> {
  const rows = readFileSync(input, 'utf8').trimEnd().split('\n');
  const wishes = readFileSync(join(example, 'wishes.jsonl'), 'utf8').trimEnd().split('\n');
  const key = ({ hashed_ip, header }: Record<string, unknown>) => JSON.stringify([hashed_ip, header]);
  const nameOf = new Map(wishes.map((line) => JSON.parse(line)).map((wish) => [key(wish), wish.user]));
  const userOf = new Map(kept.map(({ id, user }) => [id, user]));
  return new Map(
    rows
      .map((line) => JSON.parse(line))
      .map((row): [string, string] => [userOf.get(row.conversation_hash) ?? '', nameOf.get(key(row)) ?? '']),
  );
}

describe('the filters', () => {
  it('each drop something of what is on by default', () => {
    expect(droppedBy(byDefault)).toEqual({
      'duplicate-id': 1,
      'other-language': 9,
      midjourney: 2,
      'too-few-conversations': 4,
      'too-many-turns': 1,
    });
  });

  it('each drop something of what is off by default', async () => {
    const strict = { dropToxic: true, dropRedacted: true, dropDuplicates: true, dropNearDuplicates: true };
    expect(droppedBy(await ingestConversations({ input, output, ...strict }))).toMatchObject({
      toxic: 1,
      redacted: 1,
      duplicate: 1,
      'near-duplicate': 1,
    });
  });
});

describe('the users', () => {
  it('are set apart by their browser where they share an address', async () => {
    const { users } = await ingestConversations({ input, output, userFields: ['hashed_ip'] });
    expect(users.train + users.test).toBe(byDefault.users.train + byDefault.users.test - 1);
  });

  it('of the held-out pairs are on the training side, or have no conversations', async () => {
    const names = namesOfUsers();
    const trained = new Set(
      kept.filter(({ side }) => side === 'train').map(({ user }) => names.get(user) ?? ''),
    );
    const known = new Set(names.values());
    const { pairs } = await readPairs(join(example, 'held-out.jsonl'));
    for (const { user = '' } of pairs) {
      expect(trained.has(user)).toBe(known.has(user));
    }
    expect(byDefault.users.train).toBeGreaterThanOrEqual(20);
  });

  it('of the test side are there, one of them with a history and held-out conversations', () => {
    expect(byDefault.users.test).toBeGreaterThanOrEqual(3);
    expect(byDefault.users.evaluation).toBe(1);
    expect(kept.filter(({ heldOut }) => heldOut)).toHaveLength(5);
  });
});
