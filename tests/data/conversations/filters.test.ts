import { describe, expect, it } from 'vitest';
import { ingest, messages, NO_FILTERS, step, temporaryFolder, writeLines } from './support.js';

const folder = temporaryFolder();
const DEFAULTS = { threads: 2 };
let number = 0;

interface Log {
  id?: string;
  user?: string | null;
  texts?: string[];
  language?: string;
  [more: string]: unknown;
}

function log({ texts, ...more }: Log = {}) {
  number++;
  return {
    id: `c${number}`,
    user: 'ann',
    messages: messages(...(texts ?? [`Question ${number}?`, 'Answer.'])),
    ...more,
  };
}

const logs = (count: number, more: Log = {}) => Array.from({ length: count }, () => log(more));

const read = (rows: readonly unknown[], more: object = NO_FILTERS) =>
  ingest({ input: writeLines(folder.path('in.jsonl'), rows), output: folder.path('out'), ...more });

/** Which of the rows are left, by their index. */
async function left(rows: readonly { id: string }[], more: object) {
  const { conversations } = await read(rows, { ...NO_FILTERS, ...more });
  const ids = new Set(conversations.map(({ id }) => id));
  return rows.flatMap(({ id }, index) => (ids.has(id) ? [index] : []));
}

describe('filters on what a conversation holds', () => {
  it('language: by its annotation, tags with a region too; without one it is kept and noted', async () => {
    const rows = ['English', 'english', 'en-GB', 'en_US', 'French', 'fr', undefined].map((language) =>
      log(language === undefined ? {} : { language }),
    );
    const byMessage = { ...log(), messages: [{ role: 'user', content: 'Bonjour', language: 'French' }] };
    const options = { languages: ['English', 'en'] };
    expect(await left([...rows, byMessage], options)).toEqual([0, 1, 2, 3, 6]);
    const result = await read([...rows, byMessage], { ...NO_FILTERS, ...options });
    expect(step(result, 'other-language')).toEqual({
      ...{ unit: 'conversations', in: 8, out: 5 },
      dropped: { 'other-language': 3 },
      noted: { 'language-unknown': 1 },
    });
  });

  it('Midjourney: where the user names it, in any spelling and any message', async () => {
    const rows = [
      log({ texts: ['Write prompts for MidJourney about cats', 'No.'] }),
      log({ texts: ['Hi', 'Hi.', 'now for mid journey v5', 'Well.'] }),
      log({ texts: [' \nMIDJOURNEY: a cat', 'No.'] }),
      log({ texts: ['Which tools draw?', 'Midjourney does.'] }),
      log({ texts: ['I am in the middle of a journey', 'Good.'] }),
    ];
    expect(await left(rows, { dropMidjourney: true })).toEqual([3, 4]);
  });

  it('toxic and redacted: the conversation or one of its messages', async () => {
    const marked = (flag: string) => ({ ...log(), messages: [{ role: 'user', content: 'Q', [flag]: true }] });
    const rows = [
      log({ toxic: true }),
      marked('toxic'),
      log({ redacted: true }),
      marked('redacted'),
      log({ toxic: false }),
    ];
    expect(await left(rows, {})).toEqual([0, 1, 2, 3, 4]);
    expect(await left(rows, { dropToxic: true })).toEqual([2, 3, 4]);
    expect(await left(rows, { dropRedacted: true })).toEqual([0, 1, 4]);
    expect(await left(rows, { dropToxic: true, dropRedacted: true })).toEqual([4]);
  });

  it('turns: user messages with their answers, also where a conversation was mended', async () => {
    const turns = (count: number) => Array.from({ length: 2 * count }, (_, i) => `text ${i}`);
    const unanswered = [...turns(10), 'one more'];
    const rows = [
      log({ texts: turns(10) }),
      log({ texts: turns(11) }),
      log({ texts: unanswered }),
      log({ texts: [' Q', ...turns(10).slice(1)] }),
    ];
    expect(await left(rows, { maxTurns: 10 })).toEqual([0, 3]);
  });
});

describe('duplicates', () => {
  const story = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
  const rows = () => [
    log({ texts: [story, 'A'] }),
    log({ texts: [story, 'A'], user: 'bob' }),
    log({ texts: [`${story.toUpperCase()}!!`, 'another answer'] }),
    log({ texts: [story.replace('word30', 'term'), 'A'] }),
    log({ texts: ['an entirely different question about gardens and how to keep them', 'A'] }),
    log({ texts: ['hi', 'A'] }),
    log({ texts: ['Hi!', 'B'] }),
  ];

  it('exact ones have the same messages, whoever wrote them; the first is kept', async () => {
    expect(await left(rows(), { dropDuplicates: true })).toEqual([0, 2, 3, 4, 5, 6]);
  });

  it('near ones have nearly the same words by the user', async () => {
    expect(await left(rows(), { dropNearDuplicates: true })).toEqual([0, 4, 5]);
    expect(await left(rows(), { dropNearDuplicates: true, nearDuplicateSimilarity: 1 })).toEqual([
      0, 3, 4, 5,
    ]);
  });

  it('the estimate is near the real similarity', async () => {
    // Of 300 words the last so many are replaced: Jaccard similarity of the word triples is (298 - n) / (298 + n).
    const words = Array.from({ length: 300 }, (_, i) => `w${i}`);
    const changed = (count: number) =>
      log({
        texts: [
          [...words.slice(0, 300 - count), ...Array.from({ length: count }, (_, i) => `x${i}`)].join(' '),
          'A',
        ],
      });
    const pair = (count: number) => [changed(0), changed(count)];
    expect(await left(pair(10), { dropNearDuplicates: true })).toEqual([0]);
    expect(await left(pair(80), { dropNearDuplicates: true })).toEqual([0, 1]);
  });
});

describe('filters on users', () => {
  it('keep those with 3 to 100 conversations, counted after the filters on contents and before that on turns', async () => {
    const rows = [
      ...logs(2, { user: 'few' }),
      ...logs(3, { user: 'enough' }),
      ...logs(100, { user: 'many' }),
      ...logs(101, { user: 'program' }),
      ...logs(2, { user: 'half-french' }),
      log({ user: 'half-french', language: 'French' }),
      ...logs(2, { user: 'long' }),
      log({ user: 'long', texts: Array.from({ length: 22 }, (_, i) => `t${i}`) }),
      ...logs(3, { user: null }),
      ...logs(3, { user: '' }),
    ];
    const result = await read(rows, DEFAULTS);
    const of = (user: string) => result.conversations.filter((each) => each.user === user).length;
    const nobodys = result.dropped.filter(({ reason }) => reason === 'no-user');
    expect(new Set(nobodys.map((row) => Object.keys(row).join()))).toEqual(new Set(['id,reason,file,row']));
    expect([of('enough'), of('long'), of('many'), result.conversations.length]).toEqual([3, 2, 100, 105]);
    expect(
      result.funnel.map(({ step: name, counts }) => [name, counts.in, counts.out, counts.dropped]),
    ).toEqual([
      ['read', 218, 218, {}],
      ['other-language', 218, 217, { 'other-language': 1 }],
      ['midjourney', 217, 217, {}],
      ['no-user', 217, 211, { 'no-user': 6 }],
      ['too-few-conversations', 211, 207, { 'too-few-conversations': 4 }],
      ['too-many-conversations', 207, 106, { 'too-many-conversations': 101 }],
      ['too-many-turns', 106, 105, { 'too-many-turns': 1 }],
      ['split', 105, 105, {}],
    ]);
  });

  it('conversations without a user can count as users of their own', async () => {
    const rows = logs(2, { user: null });
    const { conversations } = await read(rows, { ...DEFAULTS, missingUser: 'separate', minConversations: 1 });
    expect(conversations.map(({ user }) => user).sort()).toEqual(rows.map(({ id }) => id).sort());
  });
});

it('everything that came in went out, or stands in one of the two files with its reason', async () => {
  const rows = [
    ...logs(4),
    '{"bad',
    log({ language: 'French' }),
    log({ user: 'few' }),
    log({ texts: ['midjourney', 'A'] }),
    { ...log(), id: 'same' },
    { ...log(), id: 'same' },
  ];
  const { conversations, quarantine, dropped, funnel, paths } = await read(rows, DEFAULTS);
  expect(conversations.length + quarantine.length + dropped.length).toBe(rows.length);
  expect(quarantine.map(({ row, reason }) => [row, reason])).toEqual([
    [5, 'invalid-json'],
    [10, 'duplicate-id'],
  ]);
  expect(dropped.map(({ row, reason, user }) => [row, reason, user])).toEqual([
    [6, 'other-language', 'ann'],
    [7, 'too-few-conversations', 'few'],
    [8, 'midjourney', 'ann'],
  ]);
  for (const [i, { counts }] of funnel.entries()) {
    const sum = Object.values(counts.dropped).reduce((total, count) => total + count, 0);
    expect(counts.in).toBe(counts.out + sum);
    if (i > 0) expect(counts.in).toBe(funnel[i - 1]?.counts.out);
  }
  expect(Object.keys(paths)).toEqual(['conversations', 'evaluation', 'quarantine', 'dropped']);
});

it('where filters leave nothing, a notice says which took most', async () => {
  const { ingestConversations } = await import('../../../src/data/conversations/ingest.js');
  const notices: string[] = [];
  const result = await ingestConversations(
    { input: writeLines(folder.path('in.jsonl'), logs(2)), output: folder.path('out'), ...DEFAULTS },
    { onNotice: (message) => notices.push(message) },
  );
  expect(notices).toEqual(['No conversation is left: most (2) were dropped as too-few-conversations.']);
  expect(result.users).toEqual({ train: 0, test: 0, evaluation: 0 });
});
