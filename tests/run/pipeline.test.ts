import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { planPipeline } from '../../src/run/pipeline.js';
import { RunFolder } from '../../src/run/run-folder.js';
import { configOf, doSmallRun, readRowsOf, setUpSmallRun, USERS, writeLogs } from './small-run.js';

const ALL = ['conversations', 'classify', 'users', 'personas', 'rewrite', 'pairs'];

describe('a run from logs to pairs', () => {
  test('gives a pair for every answer that was sent back, and books that add up from stage to stage', async () => {
    const run = await setUpSmallRun();
    const { summary, done } = await doSmallRun(run);
    expect(done).toEqual(ALL);
    expect(summary).toMatchObject({ outcome: 'finished', weights: null, folder: run.output });
    const pairs = readRowsOf(join(run.output, 'pairs', 'pairs.jsonl'));
    // Dan's feedback is not meaningful, by the server's word.
    expect(pairs).toHaveLength(4 * 3);
    expect(pairs[0]).toMatchObject({
      id: 'ann-0:2',
      user: 'ann',
      source: 'rewrite',
      persona: '- Wants short answers\n- Wants no lists',
      prompt: [{ role: 'user', content: 'Tell me about ann topic 0.' }],
      chosen: [{ content: 'Here is the brief form for someone who said make it shorter, I am ann.' }],
      rejected: [{ content: 'There is a lot to say about ann topic 0, and here is the long form of it.' }],
    });
    const counts = Object.fromEntries(summary.stages.map(({ stage, counts }) => [stage, counts?.[0]]));
    expect(counts.conversations).toMatchObject({ in: 15, out: 15 });
    expect(counts.classify).toMatchObject({ unit: 'user messages', in: 45, out: 45 });
    expect(counts.users).toMatchObject({ in: 5, out: 4, dropped: { 'no-meaningful-feedback': 1 } });
    expect(counts.personas).toMatchObject({ in: 4, out: 4 });
    expect(counts.rewrite).toMatchObject({ in: 36, out: 12 });
    expect(counts.pairs).toMatchObject({ in: 12, out: 12 });
    // The thanks of a user are the same each time, and asked about once.
    expect(run.asked()).toEqual({ KIND: 20, MEANINGFUL: 5, PERSONA: 4, REWRITE: 12 });
  });

  test('asks and does nothing the second time', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    const before = run.server.asked.length;
    const { done } = await doSmallRun(run);
    expect(done).toEqual([]);
    expect(run.server.asked).toHaveLength(before);
  });

  test('asks anew only what a change touches', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    const before = run.asked();
    const { done, summary } = await doSmallRun(run, {
      change: (text) => text.replace('rewrite:\n', 'rewrite:\n  seed: 5\n'),
    });
    // Another seed draws the same replies from this server, so the pairs are what they were.
    expect(done).toEqual(['rewrite']);
    expect(summary.stages.find(({ stage }) => stage === 'rewrite')?.reasons).toEqual(['seed 0 -> 5']);
    expect(run.asked()).toEqual({ ...before, REWRITE: 24 });
  });

  test('brings personas up to date when conversations are added, for the users concerned', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run);
    writeLogs(run.logs, USERS, 3);
    const more = readRowsOf(run.logs);
    const added = { ...more[0], id: 'ann-new' };
    writeFileSync(run.logs, [...more, added].map((row) => `${JSON.stringify(row)}\n`).join(''));
    const { summary } = await doSmallRun(run);
    const personas = summary.stages.find(({ stage }) => stage === 'personas');
    expect(personas?.reasons).toEqual([
      'conversations has given something else',
      'classify has given something else',
      'users has given something else',
    ]);
    expect(personas?.counts?.[0]?.noted).toEqual({ kept: 3, updated: 1 });
    expect(run.asked()).toMatchObject({ PERSONA: 5, REWRITE: 12 });
  });

  test.each<[string, string, (pairs: Record<string, unknown>[]) => void]>([
    [
      'without personas',
      'personas: false\n',
      (pairs) => expect(pairs.every(({ persona }) => persona === undefined)).toBe(true),
    ],
    ['without the filter of users', 'users: false\n', (pairs) => expect(pairs).toHaveLength(15)],
  ])('can be done %s', async (_name, line, check) => {
    const run = await setUpSmallRun();
    const section = line.split(':')[0] as string;
    await doSmallRun(run, {
      change: (text) => text.replace(new RegExp(`^${section}:\n  .*\n`, 'm'), line),
    });
    check(readRowsOf(join(run.output, 'pairs', 'pairs.jsonl')));
    expect(existsSync(join(run.output, section))).toBe(false);
  });

  test('reconstructs the answers first where that is asked for', async () => {
    const run = await setUpSmallRun({ yaml: 'reconstruct: true\n' });
    await doSmallRun(run);
    const [pair] = readRowsOf(join(run.output, 'pairs', 'pairs.jsonl'));
    expect(pair).toBeUndefined(); // its answers are shorter than the filter wants
    const [rewrite] = readRowsOf(join(run.output, 'rewrite', 'rewrites.jsonl'));
    expect(rewrite).toMatchObject({ original: 'An answer to: Tell me about ann topic 0.' });
  });
});

describe('a trial with a limit', () => {
  test('takes whole users, in a folder of its own, and leaves its replies to the run', async () => {
    const run = await setUpSmallRun();
    const { summary } = await doSmallRun(run, { limit: 4 });
    expect(summary.folder).toBe(join(run.output, 'limit-4'));
    expect(summary.stages[0]?.counts).toEqual([
      expect.objectContaining({ in: 15, out: 6, dropped: { 'beyond-limit': 9 } }),
    ]);
    const asked = run.asked();
    expect(asked).toMatchObject({ MEANINGFUL: 2, REWRITE: 6 });
    const full = await doSmallRun(run);
    expect(full.done).toEqual(ALL);
    expect(run.asked()).toEqual({ KIND: 20, MEANINGFUL: 5, PERSONA: 4, REWRITE: 12 });
    expect(readRowsOf(join(run.output, 'pairs', 'pairs.jsonl'))).toHaveLength(12);
  });

  test('refuses a limit that is none', async () => {
    await expect(doSmallRun(await setUpSmallRun(), { limit: 0 })).rejects.toThrow(
      'limit: expected a whole number from 1, got 0',
    );
  });
});

describe('the plan', () => {
  test('needs neither logs nor server, and writes nothing', async () => {
    const run = await setUpSmallRun();
    await run.server.close();
    rmSync(run.logs);
    const plan = await planPipeline(configOf(run));
    expect(plan.stages.map(({ stage, state }) => [stage, state])).toEqual(
      ALL.map((stage) => [stage, 'to-do']),
    );
    expect(existsSync(run.output)).toBe(false);
  });

  test('estimates requests from the conversations that are there, and time from what was measured', async () => {
    const run = await setUpSmallRun();
    await doSmallRun(run, { until: 'conversations' });
    const first = await planPipeline(configOf(run));
    expect(first.stages.find(({ stage }) => stage === 'classify')?.estimate).toMatchObject({
      requests: 30,
      seconds: null,
      cost: null,
    });
    await doSmallRun(run, { until: 'classify' });
    const priced = (text: string) =>
      text.replace(
        'model: rule',
        'model: rule\n  price_per_million_prompt_tokens: 1\n  price_per_million_completion_tokens: 2',
      );
    const { stages } = await planPipeline(configOf(run, priced));
    const rewrite = stages.find(({ stage }) => stage === 'rewrite')?.estimate;
    // Fifteen of the classified messages are re-attempts with feedback.
    expect(rewrite?.requests).toBe(15);
    expect(rewrite?.seconds).toBeGreaterThan(0);
    expect(rewrite?.cost).toBeGreaterThan(0);
  });
});

test('two processes do not work in one folder', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let reached = () => {};
  const waiting = new Promise<void>((resolve) => (reached = resolve));
  const run = await setUpSmallRun({
    behave: async () => {
      reached();
      await held;
    },
  });
  const first = doSmallRun(run);
  await waiting;
  await expect(doSmallRun(run)).rejects.toMatchObject({
    code: 'RUN_LOCKED',
    message: expect.stringContaining(`another process works in ${run.output}: ${process.pid} on`),
  });
  release();
  expect((await first).summary.outcome).toBe('finished');
});

test('a run that is stopped keeps what is done, and goes on without asking twice', async () => {
  const controller = new AbortController();
  const run = await setUpSmallRun({
    behave: ({ body }) => {
      if (body.messages?.at(-1)?.content.startsWith('REWRITE')) controller.abort();
    },
  });
  const stopped = await doSmallRun(run, { signal: controller.signal });
  expect(stopped.summary).toMatchObject({ outcome: 'interrupted', interrupted: 'rewrite' });
  const asked = run.asked();
  const { summary, done } = await doSmallRun(run);
  expect(summary.outcome).toBe('finished');
  expect(done).toEqual(['rewrite', 'pairs']);
  expect(run.asked()).toMatchObject({ KIND: asked.KIND, MEANINGFUL: 5, PERSONA: 4 });
  expect(readdirSync(run.output).filter((name) => name.startsWith('.'))).toEqual([]);
  expect(new RunFolder(run.output).manifest('pairs')?.counts[0]?.out).toBe(12);
});

test('a server that is not there is said, with what is done kept', async () => {
  const run = await setUpSmallRun();
  await run.server.close();
  const failed = doSmallRun(run, {
    change: (text) => text.replace('model: rule', 'model: rule\n  max_retries: 0'),
  });
  await expect(failed).rejects.toThrow(/ECONNREFUSED.*What is done stays done, and every reply is kept/);
  expect(new RunFolder(run.output).manifest('conversations')?.counts[0]?.out).toBe(15);
});
