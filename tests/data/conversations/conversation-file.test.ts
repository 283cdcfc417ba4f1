import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { readConversations, writeConversations } from '../../../src/data/conversations/conversation-file.js';
import { openEngine } from '../../../src/data/conversations/engine.js';
import { ingestConversations } from '../../../src/data/conversations/ingest.js';
import { DataError } from '../../../src/errors.js';
import { all, ingest, messages, NO_FILTERS, runSql, temporaryFolder, writeLines } from './support.js';

const folder = temporaryFolder();

function* conversations(count: number): Generator<SplitConversation> {
  for (let i = 0; i < count; i++) {
    yield {
      id: `c${i}`,
      user: `u${String(Math.floor(i / 4)).padStart(6, '0')}`,
      side: i % 8 < 4 ? 'train' : 'test',
      heldOut: i % 8 === 7,
      turns: [
        { role: 'user', content: `Question ${i}` },
        { role: 'assistant', content: 'Answer' },
      ],
    };
  }
}

describe('writeConversations and readConversations', () => {
  it('give back what was written, in its order, with nothing added', async () => {
    const full: SplitConversation = {
      ...{ id: 'z', user: 'u', side: 'test', heldOut: true, model: 'm', language: 'English' },
      ...{ time: '2024-02-29T12:00:00.123Z', toxic: false, redacted: true },
      turns: [
        { role: 'system', content: "S'" },
        {
          role: 'user',
          content: 'a\n"b" \\ \u0000 😀',
          language: 'en',
          time: '2024-02-29T12:00:00.000Z',
          toxic: true,
        },
        { role: 'assistant', content: '', redacted: false },
      ],
    };
    const given = [full, ...conversations(3)];
    expect(await writeConversations(folder.path('c.parquet'), given)).toBe(4);
    expect(await all(readConversations(folder.path('c.parquet')))).toEqual(given);
  });

  it('streams tens of thousands in order, and can be left early', async () => {
    const path = folder.path('c.parquet');
    await writeConversations(path, conversations(40_000));
    let expected = 0;
    for await (const { id } of readConversations(path)) expect(id).toBe(`c${expected++}`);
    expect(expected).toBe(40_000);
    for await (const { id } of readConversations(path)) {
      expect(id).toBe('c0');
      break;
    }
  });

  it('reads one side, one user, what is held out', async () => {
    const path = folder.path('c.parquet');
    await writeConversations(path, conversations(64));
    const ids = async (options: Parameters<typeof readConversations>[1]) =>
      (await all(readConversations(path, options))).map(({ id }) => id);
    expect(await ids({ side: 'test', heldOut: true })).toEqual([
      'c7',
      'c15',
      'c23',
      'c31',
      'c39',
      'c47',
      'c55',
      'c63',
    ]);
    expect(await ids({ side: 'train', users: ['u000002', "o'neil", 'u000001'] })).toEqual([
      'c8',
      'c9',
      'c10',
      'c11',
    ]);
    expect(await ids({ users: ['u000001'], heldOut: false })).toEqual(['c4', 'c5', 'c6']);
    expect(await ids({ users: [] })).toEqual([]);
  });

  it('refuses files of another kind', async () => {
    writeFileSync(folder.path('x.jsonl'), '{}\n');
    await runSql(`COPY (SELECT 1 AS id) TO '${folder.path('raw.parquet')}'`);
    await expect(all(readConversations(folder.path('none.parquet')))).rejects.toThrow(
      /There is no such file/,
    );
    await expect(all(readConversations(folder.path('x.jsonl')))).rejects.toThrow(/cannot be read as Parquet/);
    await expect(all(readConversations(folder.path('raw.parquet')))).rejects.toThrow(DataError);
    await expect(all(readConversations(folder.path('raw.parquet')))).rejects.toThrow(/no column user, side/);
  });

  it('leaves the file as it was when the conversations cannot be had', async () => {
    const path = folder.path('c.parquet');
    await writeConversations(path, conversations(1));
    async function* failing() {
      yield* conversations(2);
      throw new Error('the model is gone');
    }
    await expect(writeConversations(path, failing())).rejects.toThrow('the model is gone');
    expect(await all(readConversations(path))).toHaveLength(1);
    expect(readdirSync(folder.path(''))).toEqual(['c.parquet']);
  });
});

describe('what ingesting leaves behind', () => {
  const rows = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ id: `c${i}`, user: 'u', messages: messages(`Q ${i}`, 'A') }));

  it('whole files, or none: an interrupt leaves no pieces, in the output or the temporary folder', async () => {
    mkdirSync(folder.path('temporary'));
    const controller = new AbortController();
    const done = ingestConversations(
      {
        ...NO_FILTERS,
        input: writeLines(folder.path('in.jsonl'), rows(3)),
        output: folder.path('out'),
        temporaryFolder: folder.path('temporary'),
      },
      {
        signal: controller.signal,
        onProgress: ({ text }) => {
          if (text === 'writing') controller.abort();
        },
      },
    );
    await expect(done).rejects.toThrow(/abort/i);
    expect(readdirSync(folder.path('out')).sort()).toEqual(['dropped.jsonl', 'quarantine.jsonl']);
    expect(readdirSync(folder.path('temporary'))).toEqual([]);
  });

  it('killed while it writes, no file is half there, and a second run makes all', async () => {
    const input = writeLines(folder.path('in.jsonl'), rows(3000));
    const module = (name: string) =>
      JSON.stringify(new URL(`../../../src/data/conversations/${name}`, import.meta.url).href);
    writeFileSync(
      folder.path('run.mts'),
      `import { ingestConversations } from ${module('ingest.ts')};
       const options = JSON.parse(process.argv[2] ?? '');
       await ingestConversations(options, { onProgress: ({ text }) => { if (text === 'writing') process.stdout.write('writing\\n'); } });
       process.stdout.write('done\\n');`,
    );
    const options = { ...NO_FILTERS, input, output: folder.path('out'), temporaryFolder: folder.path('') };
    const child = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), folder.path('run.mts'), JSON.stringify(options)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    child.stdout.once('data', () => child.kill('SIGKILL'));
    await once(child, 'close');
    const left = () => readdirSync(folder.path('')).filter((name) => name.startsWith('persona-dpo.'));
    expect(left()).toHaveLength(1);
    for (const name of ['conversations.parquet', 'evaluation.parquet']) {
      const path = folder.path(`out/${name}`);
      if (existsSync(path)) expect(readFileSync(path).subarray(-4).toString()).toBe('PAR1');
    }
    const again = await ingest(options);
    expect(again.conversations).toHaveLength(3000);
    // What the killed process had put there is gone, too.
    expect(left()).toEqual([]);
  });

  it('the same files from the same logs, whatever the number of threads', async () => {
    const input = writeLines(folder.path('in.jsonl'), rows(500));
    const [one, two] = [
      await ingest({ ...NO_FILTERS, input, output: folder.path('one'), threads: 1 }),
      await ingest({ ...NO_FILTERS, input, output: folder.path('two'), threads: 2 }),
    ];
    expect(two.conversations).toEqual(one.conversations);
  });

  it('more text passes than the engine has memory, and all of it is in order', async () => {
    const path = folder.path('big.parquet');
    await runSql(`COPY (
      SELECT 'c' || i AS id, 'u' || i % 50 AS "user", [
        {'role': 'user', 'content': 'Q' || i || repeat(md5(i::VARCHAR), 65)},
        {'role': 'assistant', 'content': repeat(md5((i + 1)::VARCHAR), 65)}] AS messages
      FROM range(100000) t(i)) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
    const result = await ingestConversations({
      ...{ ...NO_FILTERS, input: path, output: folder.path('out'), memoryLimit: '400MB' },
      temporaryFolder: folder.path(''),
    });
    expect(result.funnel.at(-1)?.counts.out).toBe(100_000);
    expect(await misplacedRows(result.paths.conversations)).toBe(0);
  });
});

/** Rows of a file that should stand before the row before them, by user and the number in the id. */
async function misplacedRows(path: string): Promise<number> {
  const engine = await openEngine();
  try {
    const [found] = await engine.all<{ count: bigint }>(`SELECT count(*) AS count FROM (
      SELECT key, lag(key) OVER (ORDER BY file_row_number) AS before
      FROM (SELECT file_row_number, ("user", id[2:]::INTEGER) AS key
        FROM read_parquet('${path}', file_row_number = true))) WHERE before IS NOT NULL AND key < before`);
    return Number(found?.count);
  } finally {
    await engine.close();
  }
}

it('options that cannot be used are named', async () => {
  const bad = (more: object) => ingestConversations({ input: 'x', output: 'y', ...more });
  await expect(bad({ trainShare: 2 })).rejects.toThrow(/trainShare/);
  await expect(bad({ trainshare: 0.5 })).rejects.toThrow(/trainshare/);
  await expect(bad({ minConversations: 5, maxConversations: 4 })).rejects.toThrow(
    /must not be above maxConversations/,
  );
  await expect(bad({ evaluationHeldOut: 10 })).rejects.toThrow(/must leave a history/);
  await expect(bad({ memoryLimit: 'much' })).rejects.toThrow(/bytes with a unit/);
  await expect(bad({ memoryLimit: '399MB' })).rejects.toThrow(/at least 400MB/);
  await expect(bad({ columns: { turn: 'x' } })).rejects.toThrow(/columns/);
});
