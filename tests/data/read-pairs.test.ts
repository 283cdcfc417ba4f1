import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BadRowError, parsePairRow } from '../../src/data/pair-formats.js';
import {
  isPreferencePair,
  type PairRow,
  pairId,
  preferencePairSchema,
  writePairs,
} from '../../src/data/pairs.js';
import { readPairs, streamPairs } from '../../src/data/read-pairs.js';
import { streamRows } from '../../src/data/row-stream.js';
import { DataError } from '../../src/errors.js';
import { referenceDir } from './fixtures.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pairs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, content: string | Buffer): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const row = (n: number | string) => ({
  prompt: [user(`question ${n}`)],
  chosen: [assistant('yes')],
  rejected: [assistant('no')],
});

describe('forms of rows', () => {
  const parsed = { prompt: [user('Q')], chosen: [assistant('A')], rejected: [assistant('B')] };

  it('TRL explicit prompt, with what is known beside it', () => {
    const context = { id: 'r1', persona: 'P', user: 'u', source: 's', scores: { chosen: 1, rejected: -0.5 } };
    expect(parsePairRow({ ...parsed, ...context, other: 'ignored' })).toEqual({ ...parsed, ...context });
    expect(parsePairRow({ ...parsed, user: 7, id: 8, persona: null, source: '' })).toEqual({
      ...parsed,
      user: '7',
      id: '8',
    });
    expect(preferencePairSchema.parse({ ...parsed, ...context })).toEqual({ ...parsed, ...context });
  });

  it('TRL implicit prompt: what both begin with', () => {
    const shared = [user('Q1'), assistant('A1'), user('Q')];
    expect(
      parsePairRow({ chosen: [...shared, assistant('A')], rejected: [...shared, assistant('B')] }),
    ).toEqual({ ...parsed, prompt: shared });
    expect(parsePairRow({ chosen: 'The sky is blue.', rejected: 'The sky is bright.' })).toEqual({
      promptText: 'The sky is b',
      chosenText: 'lue.',
      rejectedText: 'right.',
    });
    expect(parsePairRow({ chosen: 'It is blue.', rejected: 'It is green.' })).toEqual({
      promptText: 'It is',
      chosenText: ' blue.',
      rejectedText: ' green.',
    });
    // U+1F600 and U+1F601 share their first half, which alone is no character.
    expect(parsePairRow({ chosen: 'x😀', rejected: 'x😁' })).toMatchObject({
      promptText: 'x',
      chosenText: '😀',
    });
  });

  it('a prompt string beside conversations is not repeated', () => {
    const chosen = [user('Q'), assistant('A')];
    expect(parsePairRow({ prompt: 'Q', chosen, rejected: [user('Q'), assistant('B')] })).toEqual(parsed);
    expect(parsePairRow({ prompt: 'Q', chosen: [assistant('A')], rejected: [assistant('B')] })).toEqual(
      parsed,
    );
    expect(parsePairRow({ prompt: [user('Q')], chosen: 'A', rejected: 'B' })).toEqual(parsed);
  });

  it('plain strings and token ids', () => {
    expect(parsePairRow({ prompt: 'Q', chosen: 'A', rejected: 'B' })).toEqual({
      promptText: 'Q',
      chosenText: 'A',
      rejectedText: 'B',
    });
    const ids = { prompt_ids: [1, 2], chosen_ids: [3], rejected_ids: [4, 5] };
    expect(parsePairRow(ids)).toEqual({ promptIds: [1, 2], chosenIds: [3], rejectedIds: [4, 5] });
  });

  it('ShareGPT, with a system prompt beside or within', () => {
    const chosen = { from: 'gpt', value: 'A' };
    const rejected = { from: 'gpt', value: 'B' };
    const conversations = [{ from: 'human', value: 'Q' }];
    expect(parsePairRow({ conversations, chosen, rejected })).toEqual(parsed);
    const prompt = [{ role: 'system', content: 'S' }, ...parsed.prompt];
    expect(parsePairRow({ conversations, chosen, rejected, system: 'S' })).toEqual({ ...parsed, prompt });
    const within = [{ from: 'system', value: 'S' }, ...conversations];
    expect(parsePairRow({ conversations: within, chosen, rejected, system: 'ignored' })).toEqual({
      ...parsed,
      prompt,
    });
  });

  it('content in parts of text', () => {
    const parts = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ];
    expect(parsePairRow({ ...parsed, prompt: [{ role: 'user', content: parts }] })).toMatchObject({
      prompt: [user('ab')],
    });
  });

  it.each<[string, unknown, RegExp]>([
    ['no object', [1], /expected a JSON object, got a list/],
    [
      'a key that is missing',
      { prompt: [user('Q')], chosen: [assistant('A')] },
      /expected the key "rejected", got only "prompt", "chosen"/,
    ],
    ['equal responses', { ...parsed, rejected: parsed.chosen }, /chosen and rejected are the same/],
    [
      'an answer to nobody',
      { ...parsed, prompt: [user('Q'), assistant('A')] },
      /last message to be to the assistant/,
    ],
    [
      'several messages',
      { ...parsed, chosen: [assistant('A'), user('Q'), assistant('A')] },
      /chosen: expected one assistant message .* got 3/,
    ],
    [
      'the wrong role',
      { ...parsed, rejected: [user('B')] },
      /rejected: expected an assistant message, got one of role "user"/,
    ],
    [
      'an unknown role',
      { ...parsed, prompt: [{ role: 'bot', content: 'x' }] },
      /prompt\[0\]: expected a role of .*got "bot"/,
    ],
    [
      'no text',
      { ...parsed, prompt: [{ role: 'user', content: null }] },
      /prompt\[0\]: expected text, got null/,
    ],
    [
      'a picture',
      { ...parsed, prompt: [{ role: 'user', content: [{ type: 'image' }] }] },
      /part of type "image"/,
    ],
    ['a call', { ...parsed, prompt: [{ role: 'user', content: '', tool_calls: [{}] }] }, /tool calls/],
    [
      'no shared beginning',
      { chosen: [user('x'), assistant('A')], rejected: [user('y'), assistant('B')] },
      /do not begin with the same/,
    ],
    ['no shared text', { chosen: 'A', rejected: 'B' }, /do not begin alike/],
    [
      'ids that are none',
      { prompt_ids: [1.5], chosen_ids: [1], rejected_ids: [2] },
      /prompt_ids: expected token ids, got number 1.5/,
    ],
    ['no ids', { prompt_ids: [], chosen_ids: [1], rejected_ids: [2] }, /prompt_ids: .*got an empty list/],
    ['a persona that is no text', { ...parsed, persona: ['x'] }, /persona: expected a string, got a list/],
    ['half of the scores', { ...parsed, scores: { chosen: 1 } }, /scores: expected/],
  ])('refuses %s', (_, value, message) => {
    expect(() => parsePairRow(value)).toThrow(BadRowError);
    expect(() => parsePairRow(value)).toThrow(message);
  });
});

describe('readPairs', () => {
  it('reads lines, arrays and gzip alike', async () => {
    const rows = [row(1), row('2 with "quotes", [brackets] and \\ \n lines'), row('三')];
    const lines = `\uFEFF${rows.map((one) => JSON.stringify(one)).join('\n\n')}\r\n`;
    const array = JSON.stringify(rows, null, 2);
    for (const [name, content] of Object.entries({
      a: lines,
      b: array,
      c: gzipSync(lines),
      d: gzipSync(array),
      e: ` \n${array} \n`,
    })) {
      const { pairs, bad, total } = await readPairs(write(name, content));
      expect(pairs, name).toEqual(rows);
      expect([bad, total]).toEqual([[], 3]);
    }
  });

  it('splits rows at any chunk boundary: long files come out as they went in', async () => {
    const rows = Array.from({ length: 3000 }, (_, index) => row(`${'é{"[,'.repeat(index % 60)}${index}`));
    for (const content of [
      rows.map((one) => JSON.stringify(one)).join('\n'),
      JSON.stringify(rows, null, 1),
    ]) {
      expect((await readPairs(write('long', content))).pairs).toEqual(rows);
    }
  });

  it('sets bad rows aside with line, reason and the row itself, and counts add up', async () => {
    const quarantinePath = join(folder, 'out/quarantine.jsonl');
    const lines = [
      JSON.stringify(row(1)),
      '{"prompt": ',
      '',
      JSON.stringify({ chosen: 'x' }),
      JSON.stringify(row(2)),
    ];
    const path = write('pairs.jsonl', lines.join('\n'));
    const { pairs, bad, total } = await readPairs(path, { quarantinePath, maxBadRowShare: 0.5 });
    expect([pairs.length, total]).toEqual([2, 4]);
    expect(bad.map(({ line }) => line)).toEqual([2, 4]);
    expect(bad[0]?.reason).toMatch(/not valid JSON/);
    const kept = readFileSync(quarantinePath, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(kept).toEqual(bad.map((one, index) => ({ ...one, raw: [lines[1], lines[3]][index] })));
    await readPairs(write('good.jsonl', JSON.stringify(row(1))), { quarantinePath });
    expect(readdirSync(join(folder, 'out'))).toEqual([]);
  });

  it('names the line of a bad element of an array', async () => {
    const path = write(
      'pairs.json',
      `[\n${JSON.stringify(row(1))},\n\n  {"chosen":\n 1},\n${JSON.stringify(row(2))}]`,
    );
    const { bad } = await readPairs(path, { maxBadRowShare: 0.5 });
    expect(bad.map(({ line }) => line)).toEqual([4]);
  });

  it('stops with a summary above the limit, with the quarantine file in place', async () => {
    const quarantinePath = join(folder, 'quarantine.jsonl');
    const bad = [
      { chosen: 'x' },
      { chosen: 'y' },
      { ...row(1), prompt: [user('Q'), { role: 'bot', content: '' }] },
    ];
    const path = write('pairs.jsonl', [row(1), ...bad].map((one) => JSON.stringify(one)).join('\n'));
    const reading = readPairs(path, { quarantinePath });
    await expect(reading).rejects.toThrow(DataError);
    await expect(reading).rejects.toThrow(
      /3 of 4 rows \(75%\) cannot be used, the limit is 5%:\n {2}2 x expected the key "rejected".* \(first on line 2\)\n {2}1 x prompt\[\]: .*quarantine\.jsonl/s,
    );
    expect(readFileSync(quarantinePath, 'utf8').trim().split('\n')).toHaveLength(3);
    expect((await readPairs(path, { maxBadRowShare: 0.75 })).pairs).toHaveLength(1);
  });

  it('says what is wrong with a file', async () => {
    const parquet = write('x.parquet', 'PAR1....');
    await expect(readPairs(join(folder, 'none.jsonl'))).rejects.toThrow(/none\.jsonl: There is no such file/);
    await expect(readPairs(folder)).rejects.toThrow(/cannot be read/);
    await expect(readPairs(write('empty', '\n \n'))).rejects.toThrow(/at least one row/);
    await expect(readPairs(parquet)).rejects.toThrow(/Parquet/);
    await expect(readPairs(write('x.zst', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])))).rejects.toThrow(/zstd/);
    const zipped = gzipSync(JSON.stringify(row(1)).repeat(50));
    await expect(readPairs(write('x.gz', zipped.subarray(0, 60)))).rejects.toThrow(/damaged or cut short/);
    await expect(readPairs(write('x.json', `[${JSON.stringify(row(1))},`))).rejects.toThrow(/not closed/);
    await expect(readPairs(write('y.json', '[] x'))).rejects.toThrow(/nothing after the end/);
  });

  it('does not keep a row that is too long, or one that is not UTF-8', async () => {
    const long = JSON.stringify(row('x'.repeat(5000)));
    const broken = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    const content = Buffer.concat([
      Buffer.from(`${long}\n`),
      broken,
      Buffer.from(`\n${JSON.stringify(row(1))}`),
    ]);
    const rows = [];
    for await (const one of streamPairs(write('rows', content), { maxRowBytes: 1000 })) rows.push(one);
    expect(rows.map((one) => (one.ok ? 'ok' : one.reason))).toEqual([
      'the row is longer than 1000 bytes',
      'not valid UTF-8',
      'ok',
    ]);
    expect(rows[0]?.ok === false && rows[0].raw.length).toBe(1000);
  });

  it('never throws anything but a DataError, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('', '[', '{"'),
        async (bytes, start) => {
          const path = write('noise', Buffer.concat([Buffer.from(start), bytes]));
          try {
            let last = 0;
            for await (const { line } of streamRows(path, 100)) {
              expect(line).toBeGreaterThanOrEqual(last);
              last = line;
            }
          } catch (error) {
            expect(error).toBeInstanceOf(DataError);
          }
        },
      ),
    );
  });

  it('reads back what writePairs wrote, any texts', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 });
    const context = fc.record({ persona: text, user: text, source: text, id: text }, { requiredKeys: [] });
    const two = fc.tuple(text, text).filter(([a, b]) => a !== b);
    const chat = fc.tuple(text, two, context).map(([q, [a, b], rest]) => ({
      prompt: [user(q)],
      chosen: [assistant(a)],
      rejected: [assistant(b)],
      ...rest,
    }));
    const plain = fc.tuple(text, two, context).map(([promptText, [chosenText, rejectedText], rest]) => ({
      promptText,
      chosenText,
      rejectedText,
      ...rest,
    }));
    const ids = fc.constant({
      promptIds: [1],
      chosenIds: [2],
      rejectedIds: [3],
      scores: { chosen: 1, rejected: 0 },
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(chat, plain, ids), { minLength: 1, maxLength: 8 }),
        async (pairs) => {
          const path = join(folder, 'written.jsonl');
          await writePairs(path, pairs as PairRow[]);
          const read = await readPairs(path);
          // The empty persona, user or source is the same as none.
          const expected = pairs.map((pair) =>
            Object.fromEntries(
              Object.entries(pair).filter(
                ([key, value]) => value !== '' || !['persona', 'user', 'source'].includes(key),
              ),
            ),
          );
          expect(read.pairs).toEqual(expected);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('pairId', () => {
  it('is the row’s own, or comes from its content', () => {
    const pair = parsePairRow(row(1));
    expect(pairId(pair)).toMatch(/^[0-9a-f]{16}$/);
    expect(pairId(parsePairRow({ ...row(1), other: 1 }))).toBe(pairId(pair));
    expect(pairId(parsePairRow(row(2)))).not.toBe(pairId(pair));
    expect(pairId(parsePairRow({ ...row(1), id: 'mine' }))).toBe('mine');
  });
});

describe.skipIf(!referenceDir)('real files (set PERSONA_DPO_REFERENCE_DIR)', () => {
  it('reads TRL’s own examples of every preference format', () => {
    const path = join(referenceDir as string, 'data/dpo/trl_zen_dataset.json');
    const { configs } = JSON.parse(readFileSync(path, 'utf8'));
    const read = (name: string): PairRow[] => {
      const columns = configs[name] as Record<string, unknown[]>;
      const count = Object.values(columns)[0]?.length ?? 0;
      const rows = Array.from({ length: count }, (_, index) =>
        Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values[index]])),
      );
      return rows.map(parsePairRow);
    };
    const explicit = read('conversational_preference');
    expect(explicit).toHaveLength(19);
    expect(explicit.every(isPreferencePair)).toBe(true);
    expect(read('conversational_implicit_prompt_preference')).toEqual(explicit);
    const plain = read('standard_preference');
    const join2 = (pair: PairRow) =>
      'promptText' in pair && [pair.promptText + pair.chosenText, pair.promptText + pair.rejectedText];
    expect(read('standard_implicit_prompt_preference').map(join2)).toEqual(plain.map(join2));
    expect(() => read('standard_unpaired_preference')).toThrow(/expected the key "chosen"/);
    expect(() => read('conversational_prompt_completion')).toThrow(/expected the key "chosen"/);
  });
});
