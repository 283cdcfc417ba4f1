import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, describe, expect, test } from 'vitest';
import { formatBytes, formatNumber, formatSeconds, formatTable } from '../../src/cli/format.js';
import { readQuestions } from '../../src/cli/generate-command.js';
import { compareHeldOut, type ScoredPair } from '../../src/cli/held-out.js';
import { createProgress } from '../../src/cli/progress.js';
import { newRunFolder, quickstartFolder, sharedRequest, userPairs } from '../../src/cli/quickstart-data.js';
import { withModel } from '../../src/cli/quickstart-run.js';
import { describeSummary, eventPrinter } from '../../src/cli/train-command.js';
import { addTrainFlags, readTrainFlags } from '../../src/cli/train-flags.js';
import { wrap } from '../../src/cli/wrap.js';
import { readPairs } from '../../src/data/read-pairs.js';
import { readRunConfig } from '../../src/run/config/config-file.js';
import type { TrainSummary } from '../../src/train/events.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-cli-parts-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('formats', () => {
  test('bytes, seconds and numbers', () => {
    expect([0, 999, 1000, 1_440_000_000, 93e6].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.4 GB',
      '93 MB',
    ]);
    expect([0.4, 59.6, 200, 7500].map(formatSeconds)).toEqual([
      '0 s',
      '1 min 0 s',
      '3 min 20 s',
      '2 h 5 min',
    ]);
    expect([0.123456, 12345.6, Number.NaN, undefined].map(formatNumber)).toEqual([
      '0.1235',
      '12350',
      'NaN',
      '-',
    ]);
  });

  test('tables set numbers to the right', () => {
    const table = formatTable([
      ['', 'before', 'after'],
      ['accuracy', '50%', '100%'],
    ]);
    expect(table).toBe('          before  after\naccuracy     50%   100%');
  });

  test('wrap keeps line breaks and indents, and words longer than a line', () => {
    expect(wrap('one two three\n  four five', { width: 9 })).toBe('one two\nthree\n  four\n  five');
    expect(wrap('abcdefghijkl mn', { width: 6, indent: '> ' })).toBe('> abcdefghijkl\n> mn');
  });
});

describe('compareHeldOut', () => {
  const pair = (
    chosenLogp: number,
    rejectedLogp: number,
    chosenTokens = 10,
    rejectedTokens = 10,
  ): ScoredPair => ({
    user: 'u',
    chosenLogp,
    rejectedLogp,
    chosenTokens,
    rejectedTokens,
  });

  test('measures the pull of the persona, the reward and the likelihood, by hand', () => {
    const neutral = [pair(-20, -12), pair(-12, -10, 10, 5), pair(-8, -8)];
    const before = [pair(-20, -10), pair(-10, -10, 10, 5), pair(-8, -8)];
    const after = [pair(-12, -14), pair(-16, -12, 10, 5), pair(-8, -8)];
    const scores = compareHeldOut({ neutral, before, after }, { beta: 0.1 });
    expect(scores.pairs).toBe(3);
    // Pulls before: -2, 2, 0; after: 10, -2, 0. Rewards: 8 + 4, -6 + 2, 0. A tie counts half.
    expect(scores.accuracy.before).toBeCloseTo((0 + 1 + 0.5) / 3, 12);
    expect(scores.accuracy.after).toBeCloseTo((1 + 0 + 0.5) / 3, 12);
    expect(scores.pull.before).toBeCloseTo(0, 12);
    expect(scores.pull.after).toBeCloseTo(8 / 3, 12);
    expect(scores.rewardMargin).toBeCloseTo((1.2 - 0.4 + 0) / 3, 12);
    expect(scores.rewardAccuracy).toBeCloseTo((1 + 0 + 0.5) / 3, 12);
    expect(scores.likelier.before).toBeCloseTo((0 + 1 + 0.5) / 3, 12);
    expect(scores.likelier.after).toBeCloseTo((1 + 1 + 0.5) / 3, 12);
  });

  test('a model that takes no notice of personas has 50%', () => {
    const same = [pair(-20, -12), pair(-12, -10)];
    const scores = compareHeldOut({ neutral: same, before: same, after: same }, { beta: 0.1 });
    expect(scores).toMatchObject({
      accuracy: { before: 0.5, after: 0.5 },
      rewardAccuracy: 0.5,
      rewardMargin: 0,
    });
  });
});

describe('quickstart data', async () => {
  const read = async (name: string) =>
    userPairs((await readPairs(join(quickstartFolder(), name), { maxBadRowShare: 0 })).pairs);
  const train = await read('pairs.jsonl');
  const held = await read('held-out.jsonl');
  const textOf = (pair: (typeof train)[number], side: 'chosen' | 'rejected') => pair[side][0]?.content ?? '';

  test('has enough pairs and users, some of them never seen in training', () => {
    const seen = new Set(train.map(({ user }) => user));
    expect(train.length).toBeGreaterThanOrEqual(72);
    expect(seen.size).toBeGreaterThanOrEqual(14);
    expect(held.length).toBeGreaterThanOrEqual(24);
    expect(
      new Set(held.map(({ user }) => user).filter((user) => !seen.has(user))).size,
    ).toBeGreaterThanOrEqual(4);
  });

  test('every user has one persona of at most five points', () => {
    const personas = new Map<string, string>();
    for (const { user, persona } of [...train, ...held]) {
      expect(personas.get(user) ?? persona).toBe(persona);
      personas.set(user, persona);
      expect(persona.split('\n').length).toBeLessThanOrEqual(5);
      expect(persona).toMatch(/^- /);
    }
  });

  test('what one user prefers, another turns down, so that no answer is better by itself', () => {
    const chosen = new Set(train.map((pair) => textOf(pair, 'chosen')));
    const alsoChosen = train.filter((pair) => chosen.has(textOf(pair, 'rejected'))).length;
    expect(alsoChosen / train.length).toBeGreaterThan(0.9);
    const characters = (side: 'chosen' | 'rejected') =>
      train.reduce((sum, pair) => sum + textOf(pair, side).length, 0);
    const ratio = characters('chosen') / characters('rejected');
    expect(ratio).toBeGreaterThan(0.95);
    expect(ratio).toBeLessThan(1.05);
  });

  test('no held-out answer is in the training pairs', () => {
    const known = new Set(train.flatMap((pair) => [textOf(pair, 'chosen'), textOf(pair, 'rejected')]));
    for (const pair of held) {
      expect(known.has(textOf(pair, 'chosen'))).toBe(false);
      expect(known.has(textOf(pair, 'rejected'))).toBe(false);
    }
  });

  test('two users make the same held-out request and want different answers', () => {
    const [one, other] = sharedRequest(held) ?? [];
    expect(one?.prompt).toEqual(other?.prompt);
    expect(one?.user).not.toBe(other?.user);
    expect(one?.chosen).toEqual(other?.rejected);
  });
});

test('newRunFolder never names one that is there', async () => {
  expect(newRunFolder(folder)).toBe(join(folder, 'quickstart'));
  await mkdir(join(folder, 'quickstart'));
  await mkdir(join(folder, 'quickstart-2'));
  expect(newRunFolder(folder)).toBe(join(folder, 'quickstart-3'));
});

describe('training flags', () => {
  const read = (args: string[], config?: string) => {
    const command = new Command('train').exitOverride();
    addTrainFlags(command);
    command.parse(args, { from: 'user' });
    return readTrainFlags(command, { config });
  };

  test('become options with their types', () => {
    const args =
      '--model m --pairs a.jsonl b.jsonl --output o --use-peft --lora-r 4 --beta 0.5 --max-length none';
    expect(
      read([...args.split(' '), '--loss-type', 'sigmoid,sft', '--lora-target-modules', 'all-linear']).options,
    ).toEqual({
      model: 'm',
      pairs: ['a.jsonl', 'b.jsonl'],
      outputDir: 'o',
      usePeft: true,
      loraR: 4,
      beta: 0.5,
      maxLength: null,
      lossType: ['sigmoid', 'sft'],
      loraTargetModules: 'all-linear',
    });
  });

  test("TRL's other names work, with digits in them, too", () => {
    const { options, notices } = read(
      '--model-name-or-path m --bf16 false --warmup-ratio 0.2 --load-in-8bit false --lora-r 2'.split(' '),
    );
    expect(options).toEqual({ model: 'm', dtype: 'float32', warmupSteps: 0.2, loraR: 2 });
    expect(notices).toHaveLength(1);
  });

  test('win over the file', () => {
    const config = join(folder, 'run.yaml');
    writeFileSync(config, 'model: m\nbeta: 0.3\nseed: 9\n');
    expect(read(['--beta', '0.7'], config).options).toEqual({ model: 'm', beta: 0.7, seed: 9 });
  });
});

describe('progress without a terminal', () => {
  const record = () => {
    const lines: string[] = [];
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk).trimEnd());
        done();
      },
    });
    return {
      lines,
      progress: createProgress({ stream: stream as NodeJS.WriteStream, secondsBetweenLines: 3600 }),
    };
  };

  test('gives the first line, the last, and nothing in between', () => {
    const { lines, progress } = record();
    for (let i = 1; i <= 4; i++) progress.update('loading', i, 4, `${i}/4`);
    progress.update('training', 1, 2);
    expect(lines).toEqual(['loading 25% 1/4', 'loading 100% 4/4', 'training 50%']);
  });

  test('events become lines that a person can read', () => {
    const { lines, progress } = record();
    const show = eventPrinter(progress);
    show({ type: 'stage', message: 'Training' });
    show({ type: 'reference', done: 3, total: 3, cached: 1 });
    const metrics = { loss: 0.51234, 'rewards/margins': 0.25 };
    show({
      type: 'step',
      step: 5,
      maxSteps: 10,
      epoch: 0.5,
      metrics,
      tokens: 100,
      tokensPerSecond: 123.4,
      secondsLeft: 61,
    });
    show({
      type: 'evaluation',
      step: 5,
      metrics: { eval_loss: 0.6, 'eval_rewards/margins': 0.1 },
      best: true,
    });
    show({ type: 'checkpoint', step: 5, path: 'out/checkpoint-5' });
    expect(lines).toEqual([
      'Training',
      'reference 100% 3/3 pairs (1 from the cache)',
      'training 50% step 5/10, loss 0.5123, margin 0.25, 123 tokens/s, 1 min 1 s left',
      'evaluation at step 5: loss 0.6, accuracy -, margin 0.1 (best so far)',
      'checkpoint at step 5: out/checkpoint-5',
    ]);
  });
});

describe('describeSummary', () => {
  const summary: TrainSummary = {
    outcome: 'interrupted',
    step: 3,
    maxSteps: 10,
    epoch: 0.3,
    outputDir: 'out',
    weights: null,
    checkpoint: 'out/checkpoint-3',
    metrics: { loss: 0.6 },
    evaluation: null,
    bestCheckpoint: null,
    pairs: { used: 20, bad: 1, dropped: 2 },
    seconds: 5,
  };

  test('of an interrupted run says how to go on', () => {
    const text = describeSummary(summary);
    expect(text).toContain('Interrupted after 3 of 10 steps on 20 pairs in 5 s.');
    expect(text).toContain('1 rows could not be read and 2 pairs were dropped');
    expect(text).toContain('persona-dpo train --config out/config.yaml --resume-from-checkpoint true');
    expect(describeSummary({ ...summary, checkpoint: null })).toMatch(/no checkpoint yet\.\nGo on with: /);
    expect(describeSummary({ ...summary, outputDir: "it's here" })).toContain(
      "--config 'it'\\''s here/config.yaml' --resume",
    );
  });

  test('of a finished run says where the weights are', () => {
    const weights = { kind: 'adapter', path: 'out/adapter' } as const;
    const text = describeSummary({ ...summary, outcome: 'finished', weights });
    expect(text).toContain('Finished after');
    expect(text).toContain('The adapter is in out/adapter.');
    expect(text).not.toContain('resume');
  });
});

describe('readQuestions', () => {
  test('takes rows of preference files, texts and defaults', async () => {
    const prompts = join(folder, 'prompts.jsonl');
    const message = { role: 'user', content: 'b' };
    const system = { role: 'system', content: 's' };
    const rows = ['a', { prompt: [message], persona: 'p' }, { prompt: [system, message] }, { prompt: 'c' }];
    writeFileSync(prompts, rows.map((row) => JSON.stringify(row)).join('\n\n'));
    expect(await readQuestions({ prompts, system: 'S', persona: 'P' })).toEqual([
      {
        messages: [
          { role: 'system', content: 'S' },
          { role: 'user', content: 'a' },
        ],
        persona: 'P',
      },
      { messages: [{ role: 'system', content: 'S' }, message], persona: 'p' },
      { messages: [system, message], persona: 'P' },
      {
        messages: [
          { role: 'system', content: 'S' },
          { role: 'user', content: 'c' },
        ],
        persona: 'P',
      },
    ]);
  });

  test('names file and line of what is no prompt', async () => {
    const prompts = join(folder, 'bad.jsonl');
    writeFileSync(prompts, '{"prompt":"a"}\n{"prompt":7}\n');
    await expect(readQuestions({ prompts })).rejects.toThrow(
      `${prompts}:2: expected "prompt" to be a text or a list`,
    );
    writeFileSync(prompts, '{"prompt":"a"}\nnonsense\n');
    await expect(readQuestions({ prompts })).rejects.toThrow(`${prompts}:2: expected a row of JSON`);
  });
});

describe('the stages of a quickstart', () => {
  const { config } = readRunConfig(join(quickstartFolder(), 'config.yaml'));
  const asked = (train: object) =>
    Object.values(withModel({ ...config, train: { ...config.train!, ...train } }, 'model.gguf').models);

  test('ask the model that is trained, on the device and threads of training', () => {
    const models = asked({ device: 'cpu', threads: 1 });
    expect(models.length).toBeGreaterThan(0);
    for (const model of models)
      expect(model).toMatchObject({ model: 'model.gguf', device: 'cpu', threads: 1 });
  });

  test('keep their own where training has none', () => {
    for (const model of asked({})) expect(model).toMatchObject({ model: 'model.gguf', threads: null });
  });
});
