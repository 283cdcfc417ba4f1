import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  ingest,
  ingestRows,
  messages,
  NO_FILTERS,
  readLines,
  runSql,
  step,
  temporaryFolder,
  writeLines,
} from './support.js';

const folder = temporaryFolder();
const GOOD = { id: 'good', messages: messages('Q', 'A') };
const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: unknown) => ({ role: 'assistant', content });
const system = (content: unknown) => ({ role: 'system', content });

const read = (rows: readonly unknown[], more = {}) => ingestRows(folder, rows, more);

/** What comes of one row beside a good one. */
async function outcome(row: unknown, more = {}) {
  const result = await read([GOOD, row], more);
  const { conversations, quarantine } = result;
  const [bad] = quarantine;
  return {
    turns: conversations.find(({ id }) => id !== 'good')?.turns,
    problem: bad === undefined ? undefined : `${bad.row} ${bad.reason}: ${bad.detail}`,
    counts: step(result, 'read'),
  };
}

describe('a row that cannot be used is quarantined with its line, reason and what was found', () => {
  it.each<[string, unknown, string]>([
    ['broken JSON', '{"id": "x", "messages": [', '2 invalid-json: it ends too early, or is no JSON'],
    ['no object', '"hello"', '2 not-an-object: expected a JSON object, got a string'],
    [
      'no messages',
      { id: 'x', text: 'Q' },
      '2 missing-columns: expected messages with the messages, got only id, text',
    ],
    [
      'messages that are no list',
      { id: 'x', messages: 'Q' },
      '2 missing-columns: expected a list of messages, got a string',
    ],
    [
      'an empty conversation',
      { id: 'x', messages: [] },
      '2 empty-conversation: it has no messages, or none with text',
    ],
    [
      'only blank messages',
      { id: 'x', messages: messages(' ', '\n') },
      '2 empty-conversation: it has no messages, or none with text',
    ],
    [
      'a message that is no object',
      { id: 'x', messages: ['Q'] },
      '2 unreadable-message: message 1: expected an object, got a string',
    ],
    [
      'a picture',
      { id: 'x', messages: [user([{ type: 'image_url' }])] },
      '2 unreadable-message: message 1: expected text, got a part of type "image_url"',
    ],
    [
      'an unknown role',
      { id: 'x', messages: [user('Q'), { role: 'tool', content: '4' }] },
      '2 unknown-role: message 2 is by "tool"',
    ],
    ['no role', { id: 'x', messages: [{ content: 'Q' }] }, '2 unknown-role: message 1 is by ""'],
    [
      'two assistant turns in a row',
      { id: 'x', messages: [user('Q'), assistant('A'), assistant('B')] },
      '2 two-assistant-turns: messages 2 and 3 are both by the assistant',
    ],
    [
      'an answer to nothing',
      { id: 'x', messages: [system('S'), assistant('Hello'), user('Q')] },
      '2 assistant-first: message 2 is an answer to nothing',
    ],
    ['no user message', { id: 'x', messages: [system('S')] }, '2 no-user-message: nobody asks anything'],
    [
      'a system message within',
      { id: 'x', messages: [user('Q'), system('S'), assistant('A')] },
      '2 system-message-within: message 2 is a system message; those stand at the beginning',
    ],
    [
      'a blank message within',
      { id: 'x', messages: messages('Q', '', 'R') },
      '2 empty-message: message 2 holds no text',
    ],
    [
      'a message without content',
      { id: 'x', messages: [user('Q'), assistant(null), user('R')] },
      '2 empty-message: message 2 holds no text',
    ],
    [
      'an id that was there before',
      { ...GOOD, messages: messages('R', 'A') },
      '2 duplicate-id: an earlier row has the same id',
    ],
  ])('%s', async (_what, row, problem) => {
    const result = await outcome(row);
    expect(result.problem).toBe(problem);
    expect(result.turns).toBeUndefined();
    expect(result.counts).toMatchObject({
      in: 2,
      out: 1,
      dropped: { [problem.slice(2).split(':')[0] ?? '']: 1 },
    });
  });

  it('text that is not UTF-8', async () => {
    const bytes = Buffer.concat([
      Buffer.from(`${JSON.stringify(GOOD)}\n{"id": "x", "messages": [{"role": "user", "content": "`),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}]}\n'),
    ]);
    writeFileSync(folder.path('in.jsonl'), bytes);
    const { conversations, quarantine } = await ingest({
      ...{ input: folder.path('in.jsonl'), output: folder.path('out') },
      ...NO_FILTERS,
    });
    expect(conversations).toHaveLength(1);
    expect(quarantine).toMatchObject([
      { reason: 'invalid-utf8', row: 2, id: `${folder.path('in.jsonl')}:2` },
    ]);
  });

  it('a message of 50 MB, while one of a megabyte is fine', async () => {
    const long = (bytes: number) => ({ id: 'x', messages: [user('a'.repeat(bytes)), assistant('A')] });
    expect((await outcome(long(50e6))).problem).toBe(
      '2 message-too-long: message 1 has 50000000 bytes, the limit is 1048576',
    );
    expect((await outcome(long(2 ** 20))).problem).toBeUndefined();
    expect((await outcome(long(10), { maxMessageBytes: 9 })).problem).toContain('message-too-long');
  });

  it('a row of more than 64 MiB is not even decoded', async () => {
    const row = `{"id": "x", "messages": "${'a'.repeat(65 * 2 ** 20)}"}`;
    expect((await outcome(row)).problem).toBe('2 row-too-long: the row has more than 67108864 bytes');
  });

  it('the same in Parquet, by number of the row', async () => {
    const path = folder.path('in.parquet');
    const turn = (role: string, content: string) => `{'role': '${role}', 'content': '${content}'}`;
    const rows = [
      ['good', `[${turn('user', 'Q')}, ${turn('assistant', 'A')}]`],
      ['a', `[${turn('user', 'Q')}, ${turn('tool', 'A')}]`],
      ['b', `[${turn('user', 'Q')}, ${turn('assistant', 'A')}, ${turn('assistant', 'B')}]`],
      ['c', '[]'],
      ['d', 'NULL'],
      ['e', `[NULL, ${turn('assistant', 'A')}]`],
      ['good', `[${turn('user', 'R')}]`],
    ];
    await runSql(
      `CREATE TABLE logs (id VARCHAR, messages STRUCT(role VARCHAR, content VARCHAR)[])`,
      ...rows.map(([id, list]) => `INSERT INTO logs VALUES ('${id}', ${list})`),
      `COPY logs TO '${path}'`,
    );
    const result = await ingest({ input: path, output: folder.path('out'), ...NO_FILTERS });
    expect(result.quarantine.map(({ row, reason }) => `${row} ${reason}`)).toEqual([
      '2 unknown-role',
      '3 two-assistant-turns',
      '4 empty-conversation',
      '5 missing-columns',
      '6 unknown-role',
      '7 duplicate-id',
    ]);
    expect(result.conversations.map(({ id }) => id)).toEqual(['good']);
  });

  it('every row of a Parquet file without messages, beside one with', async () => {
    const other = folder.path('other.parquet');
    await runSql(`COPY (SELECT i, 'x' AS note FROM range(3) t(i)) TO '${other}'`);
    const input = [writeLines(folder.path('in.jsonl'), [GOOD]), other];
    const result = await ingest({ input, output: folder.path('out'), ...NO_FILTERS });
    expect(step(result, 'read')).toEqual({ unit: 'rows', in: 4, out: 1, dropped: { 'missing-columns': 3 } });
    expect(result.quarantine[0]).toMatchObject({
      file: other,
      row: 1,
      detail: expect.stringContaining('got only i, note'),
    });
  });
});

describe('what is mended is counted', () => {
  it('messages that a user sent one after the other are one', async () => {
    const { turns, counts } = await outcome({
      id: 'x',
      messages: [user('Q'), user('now!'), assistant('A'), user('B'), user('C'), user('D')],
    });
    expect(turns).toEqual(messages('Q\n\nnow!', 'A', 'B\n\nC\n\nD'));
    expect(counts).toMatchObject({ in: 2, out: 2, noted: { 'user-messages-joined': 1 } });
  });

  it('blank messages at the end are cut off', async () => {
    const { turns, counts } = await outcome({
      id: 'x',
      messages: [user('Q'), assistant('A'), user('R'), assistant(' ')],
    });
    expect(turns).toEqual(messages('Q', 'A', 'R'));
    expect(counts).toMatchObject({ noted: { 'blank-end-cut': 1 } });
  });

  it('system messages at the beginning, texts that begin with a space, halves of characters', async () => {
    const lone =
      '{"id": "x", "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": " Q \\ud83d"}]}';
    const { turns, problem } = await outcome(lone);
    expect(problem).toBeUndefined();
    expect(turns).toEqual([system('S'), user(' Q \ufffd')]);
  });

  it('a question without an answer stays', async () => {
    expect((await outcome({ id: 'x', messages: messages('Q', 'A', 'R') })).turns).toHaveLength(3);
  });
});

describe('times', () => {
  const rows = (times: readonly unknown[]) =>
    times.map((time, i) => ({ id: String(i), time, messages: messages(`Q${i}`, 'A') }));

  it.each<[unknown, string]>([
    ['2023-06-20T19:33:18Z', '2023-06-20T19:33:18.000Z'],
    ['2023-06-20 19:33:18', '2023-06-20T19:33:18.000Z'],
    ['2023-06-20T21:33:18.5+02:00', '2023-06-20T19:33:18.500Z'],
    ['2023-06-20', '2023-06-20T00:00:00.000Z'],
    [1687289598, '2023-06-20T19:33:18.000Z'],
    ['1687289598.25', '2023-06-20T19:33:18.250Z'],
    [1687289598000, '2023-06-20T19:33:18.000Z'],
    [{ $date: '2023-06-20T19:33:18Z' }, '2023-06-20T19:33:18.000Z'],
    ['Tue, 20 Jun 2023 19:33:18 GMT', '2023-06-20T19:33:18.000Z'],
  ])('%j is read', async (time, expected) => {
    const { conversations } = await read(rows([time]));
    expect(conversations[0]?.time).toBe(expected);
  });

  it('that cannot be read count as none, and are noted; a missing one is not', async () => {
    const result = await read(rows(['yesterday', 12, null, '']));
    expect(result.conversations.map(({ time }) => time)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(step(result, 'read')?.noted).toEqual({ 'unreadable-time': 2 });
  });
});

it('where no row can be used, the error counts the reasons and the quarantine file holds the rows', async () => {
  await expect(read(['{', '{', { id: 'x', messages: [] }])).rejects.toThrow(
    /in\.jsonl: None of 3 rows can be used:\n {2}2 x invalid-json\n {2}1 x empty-conversation\n.*quarantine\.jsonl/,
  );
  expect(readLines(folder.path('out/quarantine.jsonl'))).toHaveLength(3);
});
