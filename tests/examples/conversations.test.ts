/** The example's conversations: their form, and that they hold what the example's README says. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { preferencePairSchema } from '../../src/data/pairs.js';

const folder = join(import.meta.dirname, '..', '..', 'examples', 'quickstart');
const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
const jsonLines = (name: string): unknown[] =>
  text(name)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const hashedIp = z.string().regex(/^[0-9a-f]{64}$/);
const header = z.strictObject({ 'accept-language': z.string().min(1), 'user-agent': z.string().min(1) });
const time = z.iso.datetime();
const place = { state: z.string().nullable(), country: z.string().nullable() };
const about = { language: z.string().min(1), toxic: z.boolean(), redacted: z.boolean() };
const messageSchema = z.strictObject({
  content: z.string().min(1),
  role: z.enum(['user', 'assistant']),
  timestamp: time.nullable(),
  turn_identifier: z.int(),
  hashed_ip: hashedIp.nullable(),
  header: header.nullable(),
  ...place,
  ...about,
});
const conversationSchema = z.strictObject({
  conversation_hash: z.string().regex(/^[0-9a-f]{32}$/),
  model: z.string().min(1),
  timestamp: time,
  conversation: z.array(messageSchema).min(2),
  turn: z.int().min(1),
  hashed_ip: hashedIp,
  header,
  ...place,
  ...about,
});
const wishSchema = z.strictObject({
  user: z.string().regex(/^user-\d\d$/),
  hashed_ip: hashedIp,
  header,
  wish: z.string().min(1).nullable(),
  note: z.string().min(1).optional(),
});

const conversations = jsonLines('conversations.jsonl').map((row) => conversationSchema.parse(row));
const wishes = jsonLines('wishes.jsonl').map((row) => wishSchema.parse(row));
const heldOut = jsonLines('held-out.jsonl').map((row) => preferencePairSchema.parse(row));

type Identified = Pick<z.infer<typeof conversationSchema>, 'hashed_ip' | 'header'>;
const identity = ({ hashed_ip, header }: Identified): string =>
  [hashed_ip, header['accept-language'], header['user-agent']].join('\n');
const normalized = (request: string): string =>
  request
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();

const userOf = new Map(wishes.map((wish) => [identity(wish), wish.user]));
const userNames = conversations.map((conversation) => userOf.get(identity(conversation)) ?? 'unknown');
const conversationsOf = (user: string) => conversations.filter((_, index) => userNames[index] === user);
const learners = wishes.filter(({ wish }) => wish !== null).map(({ user }) => user);
const distinct = new Map(conversations.map((conversation) => [conversation.conversation_hash, conversation]));
const messages = [...distinct.values()].flatMap(({ conversation }) => conversation);

describe('the form of a conversation', () => {
  it('is an exchange of user and assistant that begins with the one and ends with the other', () => {
    for (const { conversation, turn } of conversations) {
      expect(conversation.map(({ role }) => role)).toEqual(
        conversation.map((_, index) => (index % 2 === 0 ? 'user' : 'assistant')),
      );
      expect(conversation).toHaveLength(2 * turn);
    }
  });

  it('says of user messages who wrote them, and of answers when they were given', () => {
    for (const { conversation, timestamp, ...row } of conversations) {
      for (const message of conversation) {
        const asked = message.role === 'user';
        expect(message.hashed_ip).toBe(asked ? row.hashed_ip : null);
        expect(message.header).toEqual(asked ? row.header : null);
        expect(message.timestamp === null).toBe(asked);
      }
      const times = conversation.flatMap((message) => message.timestamp ?? []);
      expect(times).toEqual([...times].sort());
      expect(times.at(-1)).toBe(timestamp);
    }
  });

  it('carries flags that its messages bear out', () => {
    for (const { conversation, toxic, redacted } of conversations) {
      expect(conversation.some((message) => message.toxic)).toBe(toxic);
      expect(conversation.some((message) => message.redacted)).toBe(redacted);
    }
  });
});

describe('the users', () => {
  it('are all known, each with a name of its own', () => {
    expect([...new Set(userNames)].sort()).toEqual(wishes.map(({ user }) => user).sort());
    expect(userOf.size).toBe(wishes.length);
  });

  it('are enough, with enough conversations, as many as the README says', () => {
    expect(text('README.md')).toContain(`${conversations.length} conversations of ${wishes.length} users`);
    expect(conversations.length).toBeGreaterThanOrEqual(120);
    expect(learners.length).toBeGreaterThanOrEqual(25);
  });

  it.each(learners)('%s has conversations to learn from, and follow-ups in them', (user) => {
    const own = conversationsOf(user).filter(({ language }) => language === 'English');
    expect(own.length).toBeGreaterThanOrEqual(3);
    expect(own.reduce((sum, { turn }) => sum + turn - 1, 0)).toBeGreaterThanOrEqual(3);
  });

  it('need the header to be told apart: two of them share an address', () => {
    expect(new Set(wishes.map((wish) => wish.hashed_ip)).size).toBe(wishes.length - 1);
  });

  it('with a wish have one that no other user words alike', () => {
    const worded = wishes.flatMap(({ wish }) => wish ?? []);
    expect(new Set(worded).size).toBe(worded.length);
    expect(wishes.filter(({ wish, note }) => (wish === null) !== (note !== undefined))).toEqual([]);
  });
});

describe('each filter finds something', () => {
  const count = (test: (conversation: (typeof conversations)[number]) => boolean): number =>
    conversations.filter(test).length;

  it('conversations in other languages', () => {
    expect(new Set(conversations.map(({ language }) => language))).toEqual(
      new Set(['English', 'French', 'German', 'Spanish']),
    );
  });

  it('image prompts, users with too few conversations, two with many', () => {
    expect(count(({ conversation }) => /midjourney/i.test(conversation[0]?.content ?? ''))).toBe(2);
    const sizes = wishes.map(({ user }) => conversationsOf(user).length);
    expect(sizes.filter((size) => size < 3).length).toBeGreaterThanOrEqual(2);
    expect(sizes.filter((size) => size >= 10)).toHaveLength(2);
  });

  it('one conversation that is too long, one toxic, one redacted, one twice', () => {
    expect(count(({ turn }) => turn > 10)).toBe(1);
    expect(count(({ turn }) => turn > 5)).toBe(1);
    expect(count(({ toxic }) => toxic)).toBe(1);
    expect(count(({ redacted }) => redacted)).toBe(1);
    expect(conversations.length - distinct.size).toBe(1);
  });

  it('an answer longer than the paper asks a rejected one to be', () => {
    expect(
      messages.filter(({ role, content }) => role === 'assistant' && content.length >= 1878),
    ).toHaveLength(1);
  });
});

describe('the held-out pairs stay unseen', () => {
  it('no conversation has one of their requests or answers', () => {
    const unseen = new Set(
      heldOut.flatMap(({ prompt, chosen, rejected }) =>
        [...prompt, ...chosen, ...rejected].map(({ content }) => normalized(content)),
      ),
    );
    expect(messages.filter(({ content }) => unseen.has(normalized(content)))).toEqual([]);
  });

  it('six of their users have no conversations, and the others want there what they want here', () => {
    const wishOf = new Map(wishes.map(({ user, wish }) => [user, wish]));
    const strangers = new Set(heldOut.flatMap(({ user = '' }) => (wishOf.has(user) ? [] : user)));
    expect(strangers.size).toBe(6);
    for (const { user = '', persona } of heldOut) {
      if (!strangers.has(user)) expect(wishOf.get(user)).toBe(persona);
    }
  });
});

describe('the texts', () => {
  it('are not repeated from one conversation to another', () => {
    const answers = messages.filter(({ role, content }) => role === 'assistant' && content.length > 60);
    const seen = new Set(answers.map(({ content }) => normalized(content)));
    expect(seen.size).toBe(answers.length);
  });

  it.each([
    ['an e-mail address', /[\w.+-]+@[\w-]+\.\w/],
    ['a telephone number', /\+?\d[\d ()/-]{8,}\d/],
    ['a link', /https?:|www\./],
    ['a path of a machine', /\/(home|Users|root|tmp|work)\//],
  ])('hold no %s', (_name, pattern) => {
    const contents = messages.map(({ content }) => content.replace(/^\|[-|]+\|$/gm, ''));
    expect(contents.filter((content) => pattern.test(content))).toEqual([]);
  });
});
