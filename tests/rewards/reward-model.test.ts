import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportRewardModel } from '../../src/rewards/export/export-reward-model.js';
import { loadRewardModel } from '../../src/rewards/load-reward-model.js';
import { openRewardModel } from '../../src/rewards/open-reward-model.js';
import type { RewardModel, ScoreRequest } from '../../src/rewards/reward-model.js';
import { memoryRewardStore } from '../../src/rewards/reward-store.js';
import { writeTinyRewardModel } from './tiny-reward-model.js';

const root = mkdtempSync(join(tmpdir(), 'persona-dpo-reward-model-'));
const folder = join(root, 'onnx');
let model: RewardModel;
beforeAll(async () => {
  writeTinyRewardModel(join(root, 'hf'));
  await exportRewardModel({ model: join(root, 'hf'), output: folder });
  model = await loadRewardModel(folder, { threads: 1, batchTokens: 300 });
});
afterAll(async () => {
  await model.dispose();
  rmSync(root, { recursive: true });
});

const request: ScoreRequest = {
  prompt: [{ role: 'user', content: 'Tell me of the sea, and of what lives in it.' }],
  persona: 'Likes short answers with numbers.',
  candidates: ['Fish.', 'Many fish, and whales.', 'I do not know what lives there.', 'It is wet.'],
};

function expectClose(a: readonly number[], b: readonly number[]): void {
  expect(a).toHaveLength(b.length);
  for (const [i, value] of a.entries()) expect(Math.abs(value - (b[i] as number))).toBeLessThan(1e-4);
}

describe('scores', () => {
  test('are the same one by one, together, and among other requests', async () => {
    const together = await model.score(request);
    const apart = await Promise.all(
      request.candidates.map((candidate) => model.score({ ...request, candidates: [candidate] })),
    );
    const { persona: _, ...agnostic } = request;
    const [again, other] = await Promise.all([model.score(request), model.score(agnostic)]);
    expectClose(together, apart.flat());
    expectClose(together, again);
    expect(new Set(together).size).toBe(together.length);
    for (const [i, reward] of other.entries())
      expect(Math.abs(reward - (together[i] as number))).toBeGreaterThan(1e-3);
  });

  test('come with counts; a context that candidates share counts once', async () => {
    const before = model.usage();
    await model.score(request);
    const after = model.usage();
    expect(after.requests - before.requests).toBe(1);
    expect(after.candidates - before.candidates).toBe(4);
    const shared = after.tokens - before.tokens;
    for (const candidate of request.candidates) await model.score({ ...request, candidates: [candidate] });
    expect(model.usage().tokens - after.tokens).toBeGreaterThan(2 * shared);
  });

  test('of a bad request are an error that leaves others alone', async () => {
    const bad = model.score({ ...request, candidates: ['a', ''] });
    const good = model.score(request);
    await expect(bad).rejects.toMatchObject({ code: 'DATA' });
    expect(await good).toHaveLength(4);
  });

  test('are given up when the signal says so', async () => {
    const controller = new AbortController();
    const asked = model.score(request, { signal: controller.signal });
    controller.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    expect(await model.score(request)).toHaveLength(4);
  });

  test('depend on the persona template that is given', async () => {
    const template = join(root, 'persona.jinja');
    writeFileSync(template, 'Somebody: {{ persona }}');
    const other = await loadRewardModel(folder, { threads: 1, personaTemplate: template });
    const [ours, theirs] = [await model.score(request), await other.score(request)];
    expect(Math.abs((ours[0] as number) - (theirs[0] as number))).toBeGreaterThan(1e-3);
    expect(other.identity).not.toBe(model.identity);
    await other.dispose();
  });

  test('do not stop the event loop', async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const candidates = Array.from({ length: 64 }, (_, i) => `${'so many words '.repeat(8)}${i}`);
    const scored = model.score({ ...request, candidates });
    // The conversations are turned into tokens at once; what takes long is done elsewhere.
    await new Promise((resolve) => setImmediate(resolve));
    ticks = 0;
    await scored;
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });
});

test('a reward that is not a number is an error that names the model', async () => {
  const hf = join(root, 'nan-hf');
  const output = join(root, 'nan');
  writeTinyRewardModel(hf, { headValue: () => Number.NaN });
  await exportRewardModel({ model: hf, output });
  const broken = await loadRewardModel(output, { threads: 1 });
  await expect(broken.score(request)).rejects.toMatchObject({
    code: 'SCORES',
    message: expect.stringContaining(`${output} gave NaN for candidate 1 of 4`),
  });
  await broken.dispose();
});

describe('the cache', () => {
  test('answers what was scored, and asks only for the rest, each text once', async () => {
    const store = memoryRewardStore();
    const cached = await openRewardModel({ model: folder, threads: 1 }, { cache: store });
    const first = await cached.score({ ...request, candidates: request.candidates.slice(0, 2) });
    const all = await cached.score({
      ...request,
      candidates: [...request.candidates, 'Fish.', 'New.', 'New.'],
    });
    expectClose(all.slice(0, 2), first);
    expect(all[4]).toBe(all[0]);
    expect(all[6]).toBe(all[5]);
    expect(cached.usage()).toMatchObject({ requests: 2, candidates: 5, cached: 3 });
    await expect(cached.score({ ...request, candidates: [] })).rejects.toMatchObject({ code: 'DATA' });
    await cached.dispose();
  });

  test('outlives the process, and another model does not get its rewards', async () => {
    const cache = join(root, 'rewards.lmdb');
    const first = await openRewardModel({ model: folder, threads: 1 }, { cache });
    const rewards = await first.score(request);
    await first.dispose();
    const second = await openRewardModel({ model: folder, threads: 1 }, { cache });
    expect(await second.score(request)).toEqual(rewards);
    expect(second.usage()).toMatchObject({ candidates: 0, cached: 4 });
    await second.dispose();
    writeTinyRewardModel(join(root, 'other-hf'), { seed: 2 });
    await exportRewardModel({ model: join(root, 'other-hf'), output: join(root, 'other') });
    const other = await openRewardModel({ model: join(root, 'other'), threads: 1 }, { cache });
    expect(await other.score(request)).not.toEqual(rewards);
    expect(other.usage()).toMatchObject({ candidates: 4, cached: 0 });
    await other.dispose();
  });
});
