import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeOrigin } from '../../src/cli/inspect-command.js';
import { describePlan } from '../../src/cli/run-display.js';
import { resolveStageConfig } from '../../src/run/config/run-config.js';
import { forgetUser } from '../../src/run/forget.js';
import { planPipeline, runAlone } from '../../src/run/pipeline.js';
import { inspectPair } from '../../src/run/read-run.js';
import { RunFolder } from '../../src/run/run-folder.js';
import { fakeReward } from './fake-reward.js';
import {
  configOf,
  doSmallRun,
  readRowsOf,
  readText,
  type SmallOutcome,
  type SmallRun,
  type SmallRunOptions,
  setUpSmallRun,
} from './small-run.js';

/** Short is good for who wants it short, long for a reward model that does not know. */
const reward = () =>
  fakeReward((text, { persona }) => (persona === undefined ? 1 : -1) * (text.length / 1000));

const YAML = `reward:
  model: rewards
prompts:
  prompts: both
candidates:
  samples: 6
rank:
  compare: true
`;

async function setUp(options: SmallRunOptions = {}) {
  const run = await setUpSmallRun({ yaml: YAML, ...options });
  const change = (text: string) => text.replace('min_rejected_characters: 50', 'min_rejected_characters: 20');
  return { run, change };
}

const file = ({ output }: SmallRun, path: string) => join(output, path);
const countsOf = ({ summary }: SmallOutcome, name: string) =>
  summary.stages.find(({ stage }) => stage === name)?.counts;

describe('a run on both paths', () => {
  test('gives pairs of rewrites and of the best against the worst candidate, in books that add up', async () => {
    const { run, change } = await setUp();
    const fake = reward();
    const outcome = await doSmallRun(run, { change, openReward: fake.open });
    expect(outcome.done).toEqual([
      'conversations',
      'classify',
      'users',
      'personas',
      'rewrite',
      'prompts',
      'candidates',
      'rank',
      'pairs',
    ]);
    // Dan's feedback is not meaningful. "thanks" is positive feedback, which is no prompt.
    expect(countsOf(outcome, 'prompts')).toMatchObject([
      { unit: 'user messages', in: 36, out: 24, dropped: { 'positive-feedback': 12 } },
    ]);
    const [prompts, candidates] = countsOf(outcome, 'candidates') ?? [];
    expect(prompts).toMatchObject({ unit: 'prompts', in: 24, out: 24 });
    expect(candidates).toMatchObject({ unit: 'candidates', in: 24 * 6 });
    expect(candidates?.dropped.duplicate).toBeGreaterThan(0);
    expect(countsOf(outcome, 'rank')).toMatchObject([{ unit: 'prompts', in: 24, out: 24 }]);
    expect(countsOf(outcome, 'pairs')?.map(({ unit, in: entered }) => [unit, entered])).toEqual([
      ['pairs', 12],
      ['pairs by rewards', 24],
    ]);
    expect(fake).toMatchObject({ opened: 1, disposed: 1 });

    const pairs = readRowsOf(file(run, 'pairs/pairs.jsonl'));
    const ranked = pairs.filter(({ source }) => source === 'user-based-rewards');
    expect(ranked.length).toBe(countsOf(outcome, 'pairs')?.[1]?.out);
    expect(ranked.length).toBeGreaterThan(12);
    expect(ranked[0]).toMatchObject({
      id: 'ann-0#0',
      user: 'ann',
      persona: '- Wants short answers\n- Wants no lists',
      prompt: [{ role: 'user', content: 'Tell me about ann topic 0.' }],
    });
    for (const { chosen, rejected, scores } of ranked as never as Record<string, never>[]) {
      const [better, worse] = [chosen?.[0], rejected?.[0]] as never as { content: string }[];
      expect(better?.content.length).toBeLessThan(worse?.content.length ?? 0);
      expect(scores).toEqual({
        chosen: -(better?.content.length ?? 0) / 1000,
        rejected: -(worse?.content.length ?? 0) / 1000,
      });
    }
    // Rewrites are scored under the persona, too.
    const rewrites = pairs.filter(({ source }) => source === 'rewrite');
    expect(rewrites.every(({ scores }) => scores !== undefined)).toBe(true);
    expect(pairs.map(({ user }) => user)).toEqual(pairs.map(({ user }) => user).sort());
    expect(new RunFolder(run.output).manifest('pairs')?.facts).toMatchObject({
      ...{ pairs: pairs.length, rewrites: rewrites.length, rewards: ranked.length },
    });
    const pool = readRowsOf(file(run, 'pairs/pool.jsonl'));
    expect(pool.map(({ id }) => id)).toEqual(ranked.map(({ id }) => id));
  });

  test('keeps all rewards of both kinds, and reports how the persona changes the ranking', async () => {
    const { run, change } = await setUp();
    const { events } = await doSmallRun(run, { change, openReward: reward().open });
    const rankings = readRowsOf(file(run, 'rank/rankings.jsonl'));
    expect(rankings[0]).toMatchObject({ rewards: 'user-based', scorer: 'fake reward rewards' });
    const report = JSON.parse(readText(file(run, 'rank/ranking.json')));
    // What is best with the persona is worst without it.
    expect(report).toMatchObject({
      ...{ prompts: 24, users: 4, withoutPersona: 0 },
      bestDiffers: { estimate: 1, low: expect.closeTo(0.51, 2), high: 1, confidence: 0.95 },
      rankCorrelation: { estimate: -1 },
    });
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'notice',
        message:
          'the persona makes another candidate the best for 100.0 % of the prompts, 51.0 % to 100.0 % (of 24 prompts)',
      }),
    );
  });

  test('asks nothing twice, and does only what a change touches', async () => {
    const { run, change } = await setUp();
    const fake = reward();
    await doSmallRun(run, { change, openReward: fake.open });
    const [asked, scored] = [run.server.asked.length, fake.asked.length];
    expect((await doSmallRun(run, { change, openReward: fake.open })).done).toEqual([]);
    const gap = await doSmallRun(run, {
      change: (text) => change(text).replace('min_rejected', 'min_reward_gap: 0.02\n  min_rejected'),
      openReward: fake.open,
    });
    expect(gap.done).toEqual(['pairs']);
    expect(run.server.asked).toHaveLength(asked);
    expect(fake.asked.slice(scored).every(({ candidates }) => candidates.length === 2)).toBe(true);
    const more = await doSmallRun(run, {
      change: (text) => change(text).replace('samples: 6', 'samples: 7'),
      openReward: fake.open,
    });
    expect(more.done.slice(0, 2)).toEqual(['candidates', 'rank']);
    // One more draw of each prompt.
    expect(run.server.asked).toHaveLength(asked + 24);
  });

  test('killed among the candidates, it asks for no draw twice', async () => {
    const controller = new AbortController();
    let draws = 0;
    const { run, change } = await setUp({
      behave: ({ body }) => {
        const isDraw =
          body.messages?.[0]?.role === 'system' && !body.messages.at(-1)?.content.startsWith('REWRITE');
        if (isDraw && ++draws === 40) controller.abort();
      },
    });
    const stopped = await doSmallRun(run, { change, openReward: reward().open, signal: controller.signal });
    expect(stopped.summary.interrupted).toBe('candidates');
    const before = draws;
    const { summary } = await doSmallRun(run, { change, openReward: reward().open });
    expect(summary.outcome).toBe('finished');
    const usage = new RunFolder(run.output).manifest('candidates')?.usage;
    expect(usage?.cached).toBeGreaterThan(0);
    // All but those that were under way when it was stopped.
    expect((usage?.requests ?? 0) + (usage?.cached ?? 0)).toBe(24 * 6);
    expect(draws - before).toBe(24 * 6 - (usage?.cached ?? 0));
  });
});

test('user-agnostic rewards are another section’s option: the baseline', async () => {
  const { run, change } = await setUp();
  const fake = reward();
  const agnostic = (text: string) =>
    change(text)
      .replace('compare: true', 'rewards: user-agnostic')
      .replace('rewrite:\n', 'rewrite: false\nx:\n');
  const withoutRewrites = (text: string) => agnostic(text).replace(/x:\n.*\n/, '');
  await doSmallRun(run, { change: withoutRewrites, openReward: fake.open });
  expect(fake.asked.every(({ persona }) => persona === undefined)).toBe(true);
  const pairs = readRowsOf(file(run, 'pairs/pairs.jsonl'));
  expect(new Set(pairs.map(({ source }) => source))).toEqual(new Set(['user-agnostic-rewards']));
});

test('the plan covers the stages before there is anything, and estimates them from what there is', async () => {
  const { run, change } = await setUp();
  const config = configOf(run, change);
  const first = await planPipeline(config);
  expect(first.stages.map(({ stage }) => stage)).toContain('candidates');
  expect(first.stages.find(({ stage }) => stage === 'candidates')?.estimate).toBeNull();
  await doSmallRun(run, { change, until: 'conversations', openReward: reward().open });
  const { stages } = await planPipeline(config);
  const estimate = (name: string) => stages.find(({ stage }) => stage === name)?.estimate;
  // All five users' messages, before it is known which of them are prompts.
  expect(estimate('candidates')).toMatchObject({ requests: 45 * 6 });
  expect(estimate('rank')).toMatchObject({ requests: 2 * 45, completionTokens: 0 });
  expect(estimate('rank')?.promptTokens).toBeGreaterThan(0);
  await doSmallRun(run, { change, until: 'candidates', openReward: reward().open });
  const later = await planPipeline(config);
  expect(later.stages.find(({ stage }) => stage === 'rank')?.estimate).toMatchObject({ requests: 2 * 24 });
  expect(describePlan(later)).toContain('rank ');
});

test('a pair by rewards can be traced: candidates, rewards, persona, conversation', async () => {
  const { run, change } = await setUp();
  await doSmallRun(run, { change, openReward: reward().open });
  const folder = new RunFolder(run.output);
  const origin = await inspectPair(folder, 'ben-1#2');
  expect(origin).toMatchObject({
    id: 'ben-1#2',
    prompt: {
      user: 'ben',
      type: 're-attempt-with-feedback',
      rewards: 'user-based',
      candidates: expect.any(Array),
    },
    message: { turn: 2, type: 're-attempt-with-feedback' },
    persona: { user: 'ben' },
    conversation: { id: 'ben-1' },
  });
  expect(origin.rewrite).toBeUndefined();
  const text = describeOrigin(origin);
  expect(text).toMatch(/\d different candidates, by server \S+, model rule/);
  expect(text).toContain('Ranked by user-based rewards, by fake reward rewards');
  expect(text).toMatch(/user-based reward -0\.\d+, user-agnostic reward 0\.\d+ \(draws? \d/);
  expect(text).toContain('user <- the message that candidates answer');
  const draw = await inspectPair(folder, 'ben-1#0');
  expect(describeOrigin(draw)).toMatch(/ {2}chosen: user-based reward/);
  expect(describeOrigin(draw)).toMatch(/ {2}rejected: user-based reward/);
});

test('a user who is forgotten leaves nothing there either, and the books are as if the user had never been', async () => {
  const { run, change } = await setUp();
  await doSmallRun(run, { change, openReward: reward().open });
  await forgetUser(run.output, 'ben');
  const files = [
    'prompts/prompts',
    'candidates/candidates',
    'candidates/dropped',
    'rank/rankings',
    'pairs/pairs',
    'pairs/pool',
    'pairs/dropped',
  ];
  for (const name of files)
    expect(readFileSync(file(run, `${name}.jsonl`), 'utf8'), name).not.toContain('ben');
  expect(JSON.parse(readText(file(run, 'rank/ranking.json')))).toMatchObject({ prompts: 18, users: 3 });
  const asked = run.server.asked.length;
  expect((await doSmallRun(run, { change, openReward: reward().open })).done).toEqual([]);
  expect(run.server.asked).toHaveLength(asked);

  const without = await setUp();
  const rows = readRowsOf(without.run.logs).filter(({ user }) => user !== 'ben');
  writeFileSync(without.run.logs, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await doSmallRun(without.run, { change, openReward: reward().open });
  const books = ({ output }: SmallRun) =>
    (['prompts', 'candidates', 'rank', 'pairs'] as const).map((stage) => {
      const { counts = [], facts = {} } = new RunFolder(output).manifest(stage) ?? {};
      const { truncated: _, ...rest } = facts;
      return { stage, facts: rest, counts: counts.map(({ noted: _noted, ...each }) => each) };
    });
  expect(books(run)).toEqual(books(without.run));
});

test('each stage can be done alone, on files that are given', async () => {
  const { run, change } = await setUp();
  const fake = reward();
  await doSmallRun(run, { change, until: 'candidates', openReward: fake.open });
  const outputDir = join(run.folder, 'alone');
  const candidates = file(run, 'candidates/candidates.jsonl');
  const rank = resolveStageConfig('rank', { outputDir, reward: { model: 'rewards' }, options: {} });
  const ranked = await runAlone(rank, { given: { candidates } }, { openReward: fake.open });
  expect(ranked.stages[0]?.counts).toMatchObject([{ in: 24, out: 24 }]);
  const pairs = resolveStageConfig('pairs', { outputDir, options: { minRejectedCharacters: 20 } });
  const paired = await runAlone(pairs, {}, {});
  expect(paired.stages[0]?.counts).toMatchObject([{ unit: 'pairs by rewards', in: 24 }]);
  expect(() => resolveStageConfig('rank', { outputDir, options: {} })).toThrow(/reward is required/);
});
