import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RunFolder } from '../../src/run/run-folder.js';
import { planToys, runToys, type ToyOptions, temporaryFolder, writeNumbers } from './toy-stages.js';

const ALL = ['conversations', 'classify', 'pairs', 'train'];

function setUp(numbers: readonly number[] = [1, 2, 300]): ToyOptions {
  const parent = temporaryFolder();
  const source = join(parent, 'numbers.jsonl');
  writeNumbers(source, numbers);
  return { folder: join(parent, 'run'), source };
}

const rowsOf = ({ folder }: ToyOptions, stage: string) =>
  readFileSync(join(folder, stage, 'rows.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { n: number }).n);

const reasonsOf = (stages: readonly { stage: string; reasons: string[] }[], name: string) =>
  stages.find(({ stage }) => stage === name)?.reasons;

describe('a run', () => {
  test('does every stage once, with manifests whose counts add up', async () => {
    const toy = setUp();
    const { done } = await runToys(toy);
    expect(done).toEqual(ALL);
    expect(rowsOf(toy, 'pairs')).toEqual([2, 4]);
    const manifest = new RunFolder(toy.folder).manifest('conversations');
    expect(manifest).toMatchObject({
      stage: 'conversations',
      counts: [{ unit: 'numbers', in: 3, out: 2, dropped: { 'too-large': 1 } }],
      outputs: { 'rows.jsonl': { rows: 2 } },
      inputs: { numbers: [toy.source] },
    });
    const dropped = readFileSync(join(toy.folder, 'conversations', 'dropped.jsonl'), 'utf8');
    expect(JSON.parse(dropped)).toEqual({ id: '300', reason: 'too-large' });
    expect(readdirSync(toy.folder).sort()).toEqual([...ALL, 'hashes.json'].sort());
  });

  test('does nothing when nothing has changed', async () => {
    const toy = setUp();
    await runToys(toy);
    const again = await runToys(toy);
    expect(again.done).toEqual([]);
    expect(again.stages.map(({ state }) => state)).toEqual(ALL.map(() => 'up-to-date'));
  });

  test.each<[string, Partial<ToyOptions>, string, string, string[]]>([
    ['an option', { factor: 3 }, 'classify', 'sampling.factor 2 -> 3', ['classify', 'pairs', 'train']],
    [
      'a template',
      { template: 'tell {{ n }}' },
      'classify',
      'the classify template has changed',
      ['classify'],
    ],
    ['the model', { model: 'other' }, 'classify', 'the model has changed: toy -> other', ['classify']],
    ['an option that changes no row', { most: 200 }, 'conversations', 'most 100 -> 200', ['conversations']],
  ])('does anew what %s touches, and says so', async (_name, change, stage, reason, done) => {
    const toy = setUp();
    await runToys(toy);
    const again = await runToys({ ...toy, ...change });
    expect(reasonsOf(again.stages, stage)).toEqual([reason]);
    expect(again.done).toEqual(done);
    if (done.includes('pairs'))
      expect(reasonsOf(again.stages, 'pairs')).toEqual(['classify has given something else']);
  });

  test('sees that the input has changed, and not that it has moved', async () => {
    const toy = setUp();
    await runToys(toy);
    const moved = { ...toy, source: `${toy.source}.moved` };
    renameSync(toy.source, moved.source);
    expect((await runToys(moved)).done).toEqual([]);
    writeNumbers(moved.source, [5]);
    const changed = await runToys(moved);
    expect(changed.done).toEqual(ALL);
    expect(reasonsOf(changed.stages, 'conversations')).toEqual(['numbers has changed']);
    expect(rowsOf(toy, 'classify')).toEqual([10]);
  });

  test('makes anew a stage whose file is gone, and takes an edited one as it is', async () => {
    const toy = setUp();
    await runToys(toy);
    rmSync(join(toy.folder, 'classify', 'rows.jsonl'));
    expect((await runToys(toy)).done).toEqual(['classify']);
    writeNumbers(join(toy.folder, 'classify', 'rows.jsonl'), [7]);
    const edited = await runToys(toy);
    expect(edited.done).toEqual(['pairs', 'train']);
    expect(rowsOf(toy, 'pairs')).toEqual([7]);
    const notices = edited.events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices[0]).toMatch(/classify\/rows\.jsonl was changed after it was written; it is used as it is/);
  });

  test('keeps trained weights when it trains anew', async () => {
    const toy = setUp();
    await runToys(toy);
    const { events } = await runToys({ ...toy, factor: 3 });
    expect(readFileSync(join(toy.folder, 'earlier', 'train-1', 'adapter'), 'utf8')).toBe('weights');
    expect(existsSync(join(toy.folder, 'train', 'adapter'))).toBe(true);
    expect(events).toContainEqual({
      type: 'notice',
      stage: 'train',
      message: `what was trained before is kept in ${join(toy.folder, 'earlier', 'train-1')}`,
    });
  });
});

describe('from and until', () => {
  test('until leaves out what comes after, from takes what comes before as it is', async () => {
    const toy = setUp();
    expect((await runToys(toy, { until: 'classify' })).done).toEqual(['conversations', 'classify']);
    const changed = { ...toy, most: 1 };
    const { done, stages } = await runToys(changed, { from: 'classify' });
    expect(done).toEqual(['classify', 'pairs', 'train']);
    expect(rowsOf(toy, 'conversations')).toEqual([1, 2]);
    expect(stages[0]).toMatchObject({ stage: 'conversations', state: 'left-out' });
    expect(reasonsOf(stages, 'classify')).toEqual(['asked for']);
  });

  test.each([
    [{ from: 'math' as const }, 'from: this run has no stage math; it has conversations, classify'],
    [{ from: 'pairs' as const, until: 'classify' as const }, 'from pairs until classify leaves no stage'],
  ])('%j is refused', async (range, message) => {
    await expect(runToys(setUp(), range)).rejects.toThrow(message);
  });

  test('from needs what comes before', async () => {
    await expect(runToys(setUp(), { from: 'classify' })).rejects.toThrow(
      /conversations\/rows\.jsonl: there is no such file/,
    );
  });
});

describe('a stage that fails or is stopped', () => {
  test('leaves what was there before, and the stages before it', async () => {
    const toy = setUp();
    await runToys(toy);
    const broken = runToys({
      ...toy,
      factor: 3,
      onRow: (stage, n) => {
        if (stage === 'classify' && n === 2) throw new Error('broken');
      },
    });
    await expect(broken).rejects.toThrow('broken');
    expect(rowsOf(toy, 'classify')).toEqual([2, 4]);
    expect(readdirSync(toy.folder).filter((name) => name.startsWith('.'))).toEqual([]);
    expect((await runToys(toy)).done).toEqual([]);
  });

  test('says which it was when it was interrupted, and is done the next time', async () => {
    const toy = setUp();
    const controller = new AbortController();
    const onRow = (stage: string, n: number) => {
      if (stage === 'classify' && n === 1) controller.abort();
    };
    const stopped = await runToys({ ...toy, onRow }, { signal: controller.signal });
    expect(stopped.interrupted).toBe('classify');
    expect(stopped.done).toEqual(['conversations']);
    expect((await runToys(toy)).done).toEqual(['classify', 'pairs', 'train']);
  });

  test('training goes on where it was, unless something has changed', async () => {
    const toy = setUp();
    const stopAt = (step: number) => {
      const controller = new AbortController();
      const onRow = (stage: string, n: number) => {
        if (stage === 'train' && n === step) controller.abort();
      };
      return { onRow, signal: controller.signal };
    };
    const first = stopAt(2);
    await runToys({ ...toy, onRow: first.onRow }, { signal: first.signal });
    const plan = await planToys(toy);
    expect(plan.stages.at(-1)).toMatchObject({ state: 'to-do', reasons: ['begun and not finished'] });
    await runToys(toy);
    expect(readFileSync(join(toy.folder, 'train', 'steps'), 'utf8')).toBe('1\nagain 1\nagain 2\nagain 3\n');

    const second = stopAt(2);
    await runToys({ ...toy, factor: 3, onRow: second.onRow }, { signal: second.signal });
    await runToys({ ...toy, factor: 5 });
    expect(readFileSync(join(toy.folder, 'train', 'steps'), 'utf8')).toBe('1\n2\n3\n');
    expect(readdirSync(join(toy.folder, 'earlier'))).toEqual(['train-1']);
  });

  test('notices rows that were lost between two stages', async () => {
    const toy = setUp();
    await runToys(toy, { until: 'conversations' });
    const file = join(toy.folder, 'conversations', 'manifest.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"rows": 2', '"rows": 3'));
    await expect(runToys(toy)).rejects.toThrow(
      /rows\.jsonl holds 2 rows, but the stage that wrote it counted 3/,
    );
  });
});

describe('the plan', () => {
  test('tells what there is to do, and estimates it once it is known', async () => {
    const toy = setUp();
    const first = await planToys(toy);
    expect(first.stages.map(({ state, reasons }) => [state, ...reasons])).toEqual(
      ALL.map(() => ['to-do', 'not done yet']),
    );
    expect(first.stages.map(({ estimate }) => estimate)).toEqual([undefined, null, undefined, undefined]);
    await runToys(toy, { until: 'conversations' });
    const { stages } = await planToys(toy);
    expect(stages[0]?.state).toBe('up-to-date');
    expect(stages[1]?.estimate).toMatchObject({ requests: 2 });
  });

  test('tells a stage that must be done from one that may have to', async () => {
    const toy = setUp();
    await runToys(toy);
    const { stages } = await planToys({ ...toy, factor: 3 });
    expect(stages.map(({ state }) => state)).toEqual(['up-to-date', 'to-do', 'may-change', 'may-change']);
    expect(stages[2]?.reasons).toEqual(['if classify gives something else']);
  });

  test('needs no input to be there', async () => {
    const { stages } = await planToys({ ...setUp(), source: '/nowhere/numbers.jsonl' });
    expect(stages[0]).toMatchObject({ state: 'to-do' });
  });

  test('refuses a manifest that is something else', async () => {
    const toy = setUp();
    await runToys(toy);
    writeFileSync(join(toy.folder, 'classify', 'manifest.json'), '{}');
    await expect(planToys(toy)).rejects.toThrow(/classify\/manifest\.json: expected the manifest of a stage/);
  });
});

test('a model from the Hub is recorded with its revision once it was fetched, and another one is a change', async () => {
  const options = { ...setUp(), model: 'local owner/name, auto' };
  const fetch = (revision: string) => {
    options.model = `local owner/name (revision ${revision}), auto`;
  };
  const first = await runToys(Object.assign(options, { onRow: () => fetch('aaa') }));
  expect(first.done).toEqual(ALL);
  const { model } = new RunFolder(options.folder).manifest('classify')?.dependencies ?? {};
  expect(model).toContain('revision aaa');
  expect((await runToys({ ...options, model: 'local owner/name, auto' })).done).toEqual([]);
  fetch('bbb');
  const later = await planToys(options);
  expect(reasonsOf(later.stages, 'classify')).toEqual([expect.stringContaining('the model has changed')]);
});
