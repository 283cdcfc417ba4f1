import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { referenceDir } from '../fixtures.js';
import {
  ingest,
  messages,
  NO_FILTERS,
  readLines,
  runSql,
  step,
  temporaryFolder,
  writeLines,
} from './support.js';

const folder = temporaryFolder();
const read = (input: string | string[], more = {}) =>
  ingest({ input, output: folder.path('out'), ...NO_FILTERS, ...more });

const WILDCHAT_ROW = {
  conversation_hash: 'c1',
  model: 'gpt-4',
  timestamp: '2023-06-20T19:33:18Z',
  conversation: [
    {
      content: 'Hi',
      role: 'user',
      language: 'English',
      toxic: false,
      redacted: true,
      timestamp: null,
      turn_identifier: 7,
    },
    {
      content: 'Hello!',
      role: 'assistant',
      language: 'English',
      toxic: false,
      redacted: false,
      timestamp: '2023-06-20T19:33:18Z',
    },
  ],
  turn: 1,
  language: 'English',
  toxic: false,
  redacted: true,
  hashed_ip: 'abc',
  header: { 'accept-language': 'en-US', 'user-agent': 'Browser/1' },
};

describe('forms of rows', () => {
  it('WildChat as JSON lines, with what each message is annotated with', async () => {
    const { conversations } = await read(writeLines(folder.path('w.jsonl'), [WILDCHAT_ROW]));
    expect(conversations).toEqual([
      {
        id: 'c1',
        user: expect.stringMatching(/^[0-9a-f]{16}$/),
        side: expect.stringMatching(/^(train|test)$/),
        heldOut: false,
        model: 'gpt-4',
        language: 'English',
        time: '2023-06-20T19:33:18.000Z',
        toxic: false,
        redacted: true,
        turns: [
          { role: 'user', content: 'Hi', language: 'English', toxic: false, redacted: true },
          {
            role: 'assistant',
            content: 'Hello!',
            language: 'English',
            time: '2023-06-20T19:33:18.000Z',
            toxic: false,
            redacted: false,
          },
        ],
      },
    ]);
  });

  it('WildChat as Parquet gives the same as its JSON export', async () => {
    const json = writeLines(folder.path('w.jsonl'), [WILDCHAT_ROW]);
    const parquet = folder.path('w.parquet');
    await runSql(
      `COPY (SELECT * REPLACE (timestamp::TIMESTAMP AS timestamp) FROM read_json('${json}')) TO '${parquet}'`,
    );
    const [fromJson, fromParquet] = [await read(json), await read(parquet)];
    expect(fromParquet.conversations).toEqual(fromJson.conversations);
    expect(fromParquet.conversations).toHaveLength(1);
  });

  it('chat messages, with parts of text and a developer message; nothing is invented', async () => {
    const content = [
      { type: 'text', text: 'What is ' },
      { type: 'text', text: 'this?' },
    ];
    const rows = [
      {
        id: 'a',
        user: 'ann',
        messages: [
          { role: 'developer', content: 'Be brief.' },
          { role: 'user', content },
        ],
      },
    ];
    const { conversations } = await read(writeLines(folder.path('m.jsonl'), rows));
    expect(conversations).toEqual([
      {
        ...{ id: 'a', user: 'ann', heldOut: false },
        side: expect.any(String),
        turns: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'What is this?' },
        ],
      },
    ]);
  });

  it('ShareGPT, with a system prompt beside the messages', async () => {
    const conversations = [
      { from: 'human', value: 'Q' },
      { from: 'gpt', value: 'A' },
    ];
    const rows = [{ id: 's', user_id: 7, system: 'S', conversations }];
    const result = await read(writeLines(folder.path('s.jsonl'), rows));
    expect(result.conversations[0]).toMatchObject({
      user: '7',
      turns: [{ role: 'system', content: 'S' }, ...messages('Q', 'A')],
    });
  });

  it.each([
    ['messages', "[{'role': 'user', 'content': 'Q'}, {'role': 'assistant', 'content': 'A'}]"],
    ['conversations', "[{'from': 'human', 'value': 'Q'}, {'from': 'gpt', 'value': 'A'}]"],
    ['turns', "[{'role': 'User', 'content': 'Q'}, {'role': ' assistant', 'content': 'A'}]"],
  ])('%s in Parquet, with a system prompt beside', async (column, list) => {
    const path = folder.path('p.parquet');
    await runSql(`COPY (SELECT 'p' AS id, 'S' AS system, ${list} AS ${column}) TO '${path}'`);
    const { conversations } = await read(path);
    expect(conversations[0]?.turns).toEqual([{ role: 'system', content: 'S' }, ...messages('Q', 'A')]);
  });

  it('a row without an id has a hash of its content as one, the same every time', async () => {
    const rows = [{ messages: messages('Q', 'A') }, { messages: messages('Q', 'B') }];
    const ids = async () => {
      const { conversations } = await read(writeLines(folder.path('m.jsonl'), rows));
      return conversations.map(({ id }) => id);
    };
    const first = await ids();
    expect(first).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/), expect.stringMatching(/^[0-9a-f]{16}$/)]);
    expect(new Set(first).size).toBe(2);
    expect(await ids()).toEqual(first);
  });
});

it('a list of conversations beside messages is left alone', async () => {
  const row = { id: 'a', messages: messages('Q', 'A'), branches: [{ messages: messages('Q', 'B') }] };
  const backwards = Object.fromEntries(Object.entries({ ...row, id: 'b' }).reverse());
  for (const rows of [[row], [backwards], [row, backwards], [JSON.stringify(row, null, 1)]]) {
    const { conversations } = await read(writeLines(folder.path('b.json'), rows));
    expect(conversations.map(({ turns }) => turns)).toEqual(rows.map(() => messages('Q', 'A')));
  }
});

describe('columns of other names', () => {
  const row = {
    meta: { key: 'k', who: { name: 'Ann' } },
    day: '2024-02-29',
    log: [
      { by: 'Customer', said: 'Q' },
      { by: 'Agent', said: 'A' },
    ],
  };
  const options = {
    columns: { id: 'meta.key', time: 'day', turns: 'log', role: 'by', content: 'said' },
    userFields: ['meta.who.name'],
    roles: { customer: 'user', agent: 'assistant' },
  } as const;
  const expected = {
    ...{ id: 'k', user: 'Ann', time: '2024-02-29T00:00:00.000Z' },
    turns: messages('Q', 'A'),
  };

  it('are mapped in JSON', async () => {
    const { conversations } = await read(writeLines(folder.path('x.jsonl'), [row]), options);
    expect(conversations).toMatchObject([expected]);
  });

  it('are mapped in Parquet', async () => {
    const json = writeLines(folder.path('x.jsonl'), [row]);
    await runSql(`COPY (FROM read_json('${json}')) TO '${folder.path('x.parquet')}'`);
    const { conversations } = await read(folder.path('x.parquet'), options);
    expect(conversations).toMatchObject([expected]);
  });

  it('that do not exist make a refusal that names what there is', async () => {
    const path = writeLines(folder.path('x.jsonl'), [row]);
    await expect(read(path, { columns: { turns: 'lgo' } })).rejects.toThrow(
      /None of 1 rows can be used:\n {2}1 x missing-columns/,
    );
    expect(readLines(folder.path('out/quarantine.jsonl'))[0]?.detail).toContain('meta, day, log');
  });
});

describe('files', () => {
  const rows = (name: string, count = 2) =>
    Array.from({ length: count }, (_, i) => ({
      id: `${name}${i}`,
      messages: messages(`${name} ${i}?`, 'Yes.'),
    }));
  const text = (name: string) =>
    rows(name)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join('');

  it('gzip and zstd are told by their content, Parquet as well', async () => {
    writeFileSync(folder.path('a.log'), gzipSync(text('a')));
    const plain = writeLines(folder.path('b.jsonl'), rows('b'));
    await runSql(
      `COPY (FROM read_csv('${plain}', columns = {line: 'VARCHAR'}, auto_detect = false, header = false, delim = '\x01', quote = '', escape = '')) TO '${folder.path('c.log')}' (FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '', COMPRESSION zstd)`,
      `COPY (FROM read_json('${plain}')) TO '${folder.path('d.log')}' (FORMAT parquet)`,
    );
    for (const [name, first] of [
      ['a.log', 'a0'],
      ['c.log', 'b0'],
      ['d.log', 'b0'],
    ] as const) {
      const { conversations } = await read(folder.path(name));
      expect(
        conversations.map(({ id }) => id),
        name,
      ).toContain(first);
      expect(conversations).toHaveLength(2);
    }
  });

  it('a folder, a glob and a list, each file once; other files of a folder are left alone', async () => {
    mkdirSync(folder.path('logs/deep'), { recursive: true });
    writeLines(folder.path('logs/a.jsonl'), rows('a'));
    writeFileSync(folder.path('logs/deep/b.jsonl.gz'), gzipSync(text('b')));
    writeFileSync(folder.path('logs/README.md'), 'no logs');
    const files = (result: { files: string[] }) =>
      result.files.map((file) => file.slice(folder.path('x').length - 1));
    expect(files(await read(folder.path('logs')))).toEqual(['logs/a.jsonl', 'logs/deep/b.jsonl.gz']);
    expect(files(await read(folder.path('logs/*.jsonl')))).toEqual(['logs/a.jsonl']);
    const list = [folder.path('logs/deep/b.jsonl.gz'), folder.path('logs')];
    const result = await read(list);
    expect(files(result)).toEqual(['logs/deep/b.jsonl.gz', 'logs/a.jsonl']);
    expect(step(result, 'read')).toEqual({ unit: 'rows', in: 4, out: 4, dropped: {} });
  });

  it('a JSON list, a list that an object is wrapped around, one object over several lines', async () => {
    const forms: [string, string, number[]][] = [
      ['list.json', JSON.stringify(rows('a'), null, 1), [2, 15]],
      ['list-on-a-line.json', JSON.stringify(rows('a')), [1, 1]],
      ['wrapped.json', JSON.stringify({ version: 1, conversations: rows('a'), more: [1] }, null, 1), [4, 17]],
      ['wrapped-on-a-line.json', JSON.stringify({ data: rows('a') }), [1, 1]],
      ['object.json', JSON.stringify(rows('a', 1)[0], null, 2), [1]],
    ];
    for (const [name, content, lines] of forms) {
      writeFileSync(folder.path(name), content);
      const { conversations } = await read(folder.path(name));
      expect(conversations.map(({ id }) => id).sort(), name).toEqual(
        lines.length === 2 ? ['a0', 'a1'] : ['a0'],
      );
      await expect(read(folder.path(name), { maxMessageBytes: 3 }), name).rejects.toThrow('message-too-long');
      expect(
        readLines(folder.path('out/quarantine.jsonl')).map(({ row }) => row),
        name,
      ).toEqual(lines);
    }
  });

  it('files of different forms may be mixed; the odd row of a file is quarantined', async () => {
    const share = {
      id: 's',
      conversations: [
        { from: 'human', value: 'Q' },
        { from: 'gpt', value: 'A' },
      ],
    };
    const inputs = [
      writeLines(folder.path('a.jsonl'), [...rows('a'), share]),
      writeLines(folder.path('b.jsonl'), [share]),
    ];
    const { conversations, quarantine } = await read(inputs);
    expect(conversations.map(({ id }) => id).sort()).toEqual(['a0', 'a1', 's']);
    expect(quarantine).toMatchObject([{ reason: 'missing-columns', file: inputs[0], row: 3 }]);
  });

  it.each([
    ['a file that is not there', 'nothing.jsonl', /nothing\.jsonl: There is no such file or folder/],
    ['a glob without a match', '*.parquet', /\*\.parquet: No file matches/],
  ])('%s is an error', async (_what, name, words) => {
    await expect(read(folder.path(name))).rejects.toThrow(words);
  });

  it('an empty folder, an empty file and a damaged one are errors', async () => {
    mkdirSync(folder.path('empty'));
    await expect(read(folder.path('empty'))).rejects.toThrow(/holds no logs/);
    writeFileSync(folder.path('empty.jsonl'), '\n');
    await expect(read(folder.path('empty.jsonl'))).rejects.toThrow(/Expected at least one row, found none/);
    writeFileSync(folder.path('cut.jsonl.gz'), gzipSync(text('a')).subarray(0, 60));
    await expect(read(folder.path('cut.jsonl.gz'))).rejects.toThrow(
      /cut\.jsonl\.gz: The gzip data is damaged or cut short/,
    );
    writeFileSync(folder.path('cut.json'), JSON.stringify(rows('a')).slice(0, -3));
    await expect(read(folder.path('cut.json'))).rejects.toThrow(/not closed: the file is cut short/);
    writeFileSync(folder.path('bad.parquet'), 'PAR1 and nothing else');
    await expect(read(folder.path('bad.parquet'))).rejects.toThrow(
      /bad\.parquet: It cannot be read as Parquet/,
    );
  });
});

describe.skipIf(referenceDir === undefined)('real data (needs PERSONA_DPO_REFERENCE_DIR)', () => {
  const file = (name: string) => join(referenceDir ?? '', 'data', name);

  it('30 conversations of WildChat, wrapped in one object', async () => {
    const result = await read(file('wildchat/nous_wildchat_sample.json'));
    expect(step(result, 'read')).toEqual({ unit: 'rows', in: 30, out: 29, dropped: { 'empty-message': 1 } });
    expect(result.quarantine[0]).toMatchObject({
      id: '1c39c89bf5328652',
      detail: 'message 11 holds no text',
    });
    const longest = result.conversations.find(({ id }) => id === 'd0af0049aaecff9c');
    expect(longest?.turns).toHaveLength(30);
  });

  it('a row with all columns; its user is a hash', async () => {
    const { conversations } = await read(file('wildchat/full_schema_row.json'));
    expect(conversations).toMatchObject([{ id: '00235f623a3616d09f1c240b717659d5', language: 'English' }]);
    expect(conversations[0]?.user).toMatch(/^[0-9a-f]{16}$/);
  });

  it('flat rows, which hold no messages, are refused', async () => {
    await expect(read(file('wildchat/flat_rows_with_hashed_ip.json'))).rejects.toThrow(/3 x missing-columns/);
  });

  it('ShareGPT prompts', async () => {
    const result = await read(file('preference/llamafactory_dpo_en_demo.json'));
    expect(step(result, 'read')).toMatchObject({ in: 300, dropped: { 'duplicate-id': 5 } });
  });
});

it('lines, the first of which breaks off, with a blank one behind it', async () => {
  const rows = ['{"broken": ', '', ' ', { id: 'z', messages: messages('Q?', 'A') }];
  const { conversations, quarantine } = await read(writeLines(folder.path('cut.jsonl'), rows));
  expect(conversations.map(({ id }) => id)).toEqual(['z']);
  expect(quarantine.map(({ reason, row }) => [reason, row])).toEqual([['invalid-json', 1]]);
});

it('zstd from the command-line program, where there is one', async ({ skip }) => {
  const plain = writeLines(folder.path('z.jsonl'), [
    '{"broken": ',
    '',
    { id: 'z', messages: messages('Q\u2028?', 'A') },
    Buffer.from([0x7b, 0x22]).toString('latin1'),
  ]);
  try {
    execFileSync('zstd', ['-q', plain]);
  } catch {
    skip();
  }
  const { conversations, quarantine } = await read(`${plain}.zst`);
  expect(conversations.map(({ turns }) => turns[0]?.content)).toEqual(['Q\u2028?']);
  expect(quarantine.map(({ reason }) => reason)).toEqual(['invalid-json', 'invalid-json']);
});
