import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConversations } from '../../src/data/conversations/conversation-file.js';
import { forgetUser } from '../../src/run/forget.js';
import { RunFolder } from '../../src/run/run-folder.js';
import { TRAINED_USERS_FILE, trainedUserHash } from '../../src/run/stages/train-stage.js';
import { doSmallRun, readRowsOf, type SmallRun, setUpSmallRun } from './small-run.js';

/** Files below a folder that hold a text somewhere, whatever their format; zstd is unpacked by reading Parquet. */
async function filesThatHold(folder: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { recursive: true }) as string[]) {
    const path = join(folder, entry);
    if (!statSync(path).isFile()) continue;
    if (entry.endsWith('.parquet')) {
      for await (const conversation of readConversations(path)) {
        if (JSON.stringify(conversation).includes(text)) found.push(entry);
      }
    } else if (readFileSync(path, 'latin1').includes(text)) found.push(entry);
  }
  return found.sort();
}

const countsOf = ({ output }: SmallRun) => {
  const run = new RunFolder(output);
  const stages = ['conversations', 'classify', 'users', 'personas', 'rewrite', 'pairs'] as const;
  return Object.fromEntries(
    stages.map((stage) => {
      const { noted: _, ...counts } = run.manifest(stage)?.counts[0] ?? {};
      return [stage, counts];
    }),
  );
};

describe('forgetting a user', () => {
  test('leaves nothing of the user in any file of the run and its trials, and says what went', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run, { limit: 4 });
    await doSmallRun(run);
    expect(await filesThatHold(run.output, 'ben')).toEqual(
      expect.arrayContaining([
        'classify/classified.jsonl',
        'conversations/conversations.parquet',
        'limit-4/rewrite/rewrites.jsonl',
        'pairs/pairs.jsonl',
        'personas/personas.jsonl',
        'replies/replies.lmdb',
      ]),
    );
    const result = await forgetUser(run.output, 'ben');
    expect(await filesThatHold(run.output, 'ben')).toEqual([]);
    expect(await filesThatHold(run.output, 'cyd')).not.toEqual([]);
    expect(result.removed).toContainEqual({ file: join(run.output, 'pairs/pairs.jsonl'), rows: 3 });
    expect(result.replies).toBe(3 + 1 + 1 + 1 + 3);
    expect(result.trained).toEqual([]);
  });

  test('keeps the books as if the user had never been there, and nothing of others is done again', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    await forgetUser(run.output, 'ben');
    const asked = run.server.asked.length;
    const { done } = await doSmallRun(run);
    expect(done).toEqual([]);
    expect(run.server.asked).toHaveLength(asked);
    const kept = countsOf(run);
    // The same run of those who are left, from the beginning.
    const without = await setUpSmallRun();
    const rows = readRowsOf(without.logs).filter(({ user }) => user !== 'ben');
    writeFileSync(without.logs, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    await doSmallRun(without);
    expect(kept).toEqual(countsOf(without));
    expect(new RunFolder(run.output).manifest('classify')?.facts).toEqual(
      new RunFolder(without.output).manifest('classify')?.facts,
    );
  });

  test('does not let the user come back with the same logs', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    await forgetUser(run.output, 'ben');
    writeFileSync(run.logs, `${readFileSync(run.logs, 'utf8')}\n`);
    const { done } = await doSmallRun(run, { from: 'conversations' });
    expect(done[0]).toBe('conversations');
    expect(await filesThatHold(run.output, 'ben')).toEqual([]);
    expect(countsOf(run).conversations).toMatchObject({ in: 12, out: 12 });
    expect(run.asked()).toMatchObject({ REWRITE: 12 });
  });

  test('takes traces of what was dropped, too', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    const dropped = join(run.output, 'users', 'dropped.jsonl');
    expect(readRowsOf(dropped)).toMatchObject([{ id: 'dan', user: 'dan' }]);
    await forgetUser(run.output, 'dan');
    expect(readRowsOf(dropped)).toEqual([]);
    expect(countsOf(run).users).toMatchObject({ in: 4, out: 4, dropped: {} });
    expect(await filesThatHold(run.output, 'dan')).toEqual([]);
  });

  test('names the weights that the user lives on in', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    for (const [folder, users] of [
      ['train', { [trainedUserHash('ann')]: 2 }],
      ['earlier/train-1', { [trainedUserHash('ben')]: 3 }],
    ] as const) {
      mkdirSync(join(run.output, folder, 'adapter'), { recursive: true });
      writeFileSync(join(run.output, folder, TRAINED_USERS_FILE), JSON.stringify(users));
    }
    const { trained } = await forgetUser(run.output, 'ben');
    expect(trained).toEqual([{ weights: join(run.output, 'earlier/train-1/adapter'), pairs: 3 }]);
  });

  test('of somebody unknown changes nothing', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    const before = countsOf(run);
    expect(await forgetUser(run.output, 'nobody')).toMatchObject({ removed: [], replies: 0, trained: [] });
    expect(countsOf(run)).toEqual(before);
    expect((await doSmallRun(run)).done).toEqual([]);
  });

  test('needs a run', async () => {
    await expect(forgetUser('/nowhere', 'ann')).rejects.toThrow('/nowhere is not the folder of a run');
  });
});
