import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeOrigin } from '../../src/cli/inspect-command.js';
import { describeStatus } from '../../src/cli/status-command.js';
import { inspectPair, listPairs } from '../../src/run/read-run.js';
import { existingRun } from '../../src/run/run-folder.js';
import { runStatus } from '../../src/run/status.js';
import { doSmallRun, setUpSmallRun } from './small-run.js';

test('a run can be looked into: pairs, what was dropped, where it stands', async () => {
  const small = await setUpSmallRun();
  await doSmallRun(small, { until: 'rewrite' });
  const half = await runStatus(small.output);
  expect(half.worker).toBeNull();
  expect(half.stages.map(({ stage, state }) => [stage, state]).slice(-2)).toEqual([
    ['rewrite', 'done'],
    ['pairs', 'not-done'],
  ]);
  await doSmallRun(small, { limit: 3 });
  await doSmallRun(small, {
    change: (text) => text.replace('min_rejected_characters: 50', 'min_rejected_characters: 75'),
  });
  const run = existingRun(small.output);

  const { pairs, total } = await listPairs(run, 1);
  expect(total).toBe(0);
  expect(pairs).toEqual([]);
  const origin = await inspectPair(run, 'ben-2:2');
  expect(origin.pair).toBeUndefined();
  expect(origin.dropped).toEqual([
    expect.objectContaining({ stage: 'pairs', reason: 'rejected-too-short', user: 'ben' }),
  ]);
  expect(describeOrigin(origin)).toContain('Dropped by pairs as rejected-too-short');

  await doSmallRun(small);
  const listed = await listPairs(run, 1);
  expect(listed.total).toBe(12);
  expect(listed.pairs).toEqual([
    { id: 'ann-0:2', user: 'ann', source: 'rewrite', request: 'Tell me about ann topic 0.' },
  ]);
  const whole = await inspectPair(run, 'ben-2:');
  expect(whole).toMatchObject({
    id: 'ben-2:2',
    dropped: [],
    pair: { user: 'ben' },
    rewrite: { followUp: 'make it shorter, I am ben' },
    message: { type: 're-attempt-with-feedback', turn: 2, reply: 'Change' },
    persona: { persona: '- Wants short answers\n- Wants no lists', messagesShown: expect.any(Number) },
    conversation: { id: 'ben-2', turns: expect.any(Array) },
  });
  expect(await inspectPair(run, 'dan')).toMatchObject({
    dropped: [{ stage: 'users', reason: 'no-meaningful-feedback' }],
  });
  await expect(inspectPair(run, 'be')).rejects.toThrow(
    'be is the beginning of several ids: ben-0:2, ben-1:2, ben-2:2',
  );
  await expect(inspectPair(run, 'zoe')).rejects.toThrow('knows nothing by the id zoe');

  const status = await runStatus(small.output);
  expect(status.limited).toEqual([join(small.output, 'limit-3')]);
  const text = describeStatus(status);
  expect(text).toMatch(/^rewrite +user messages +36 +12 +12 initial-request, 12 positive-feedback/m);
  expect(text).toContain('users: 5 users in, 4 out, 1 dropped: 1 no-meaningful-feedback');
});

test('what is no run is said to be none', async () => {
  await expect(runStatus('/nowhere')).rejects.toThrow(/\/nowhere is not the folder of a run/);
});
