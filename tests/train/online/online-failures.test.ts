import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataError, type PersonaDpoError } from '../../../src/errors.js';
import { memory } from '../../../src/runtime/tensor.js';
import { resolveOnlineTrainOptions } from '../../../src/train/online/options.js';
import { readRollouts } from '../../../src/train/online/rollout-log.js';
import { trainOnline } from '../../../src/train/online/train-online.js';
import { writeTinyModel } from '../../support/tiny-model.js';
import { type OnlineWorkshop, openOnlineWorkshop, PROMPTS, rolloutsOf, scriptedScorer } from './support.js';

let workshop: OnlineWorkshop;
beforeAll(() => {
  workshop = openOnlineWorkshop();
});
afterAll(() => workshop.close());

function fileOf(name: string, ...rows: unknown[]): string {
  const path = join(workshop.folder, name);
  writeFileSync(path, rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join(''));
  return path;
}

describe('prompts', () => {
  it('that are not there, or empty, end the run before a model is loaded or after', async () => {
    await expect(workshop.run('none', { prompts: 'none.jsonl' })).rejects.toThrow(
      /^prompts: there is no file none.jsonl$/,
    );
    expect(existsSync(join(workshop.folder, 'runs', 'none'))).toBe(false);
    await expect(workshop.run('empty', { prompts: fileOf('empty.jsonl') })).rejects.toThrow(
      /empty.jsonl: Expected at least one row/,
    );
  });

  it('that cannot be read are set aside; too many of them end the run', async () => {
    const prompts = fileOf('bad.jsonl', ...PROMPTS, { prompt: [] }, 'no json');
    const run = await workshop.run('bad', { prompts, maxBadRowShare: 0.5, maxSteps: 1 });
    expect(run.summary.prompts).toEqual({ used: 6, bad: 2, dropped: 0 });
    const quarantine = readFileSync(join(run.outputDir, 'quarantine.jsonl'), 'utf8').trim().split('\n');
    expect(quarantine.map((line) => JSON.parse(line).line)).toEqual([7, 8]);
    await expect(workshop.run('worse', { prompts })).rejects.toThrow(/2 of 8 rows/);
  });

  it('that are too long are cut; of which too much would have to stay, dropped and listed', async () => {
    const long = { id: 'long', prompt: 'word '.repeat(300) };
    const persona = { id: 'persona', prompt: 'hello', persona: 'word '.repeat(300), user: 'u' };
    const prompts = fileOf('long.jsonl', ...PROMPTS, long, persona);
    const run = await workshop.run('long', { prompts, maxSteps: 1 });
    expect(run.summary.prompts).toEqual({ used: 7, bad: 0, dropped: 1 });
    const [row] = readFileSync(join(run.outputDir, 'dropped.jsonl'), 'utf8').split('\n');
    expect(JSON.parse(row as string)).toEqual({
      ...{ set: 'train', id: 'persona', user: 'u' },
      reason: expect.stringMatching(
        /what must stay of the prompt takes \d+ tokens, and there is room for 504/,
      ),
    });
    expect(run.events).toContainEqual({
      type: 'notice',
      message: '1 prompts were longer than 504 tokens and have been cut',
    });
    await expect(workshop.run('all long', { prompts: fileOf('p.jsonl', persona) })).rejects.toThrow(
      /no prompt is left to train on; the first was dropped because: what must stay/,
    );
  });
});

describe('models', () => {
  it('without room for prompt and answer are refused', async () => {
    await expect(workshop.run('no room', { maxNewTokens: 512 })).rejects.toThrow(
      /max_new_tokens 512 leaves no room for a prompt: the model has 512 positions/,
    );
  });

  it('without a tokenizer are refused', async () => {
    const model = join(workshop.folder, 'wordless');
    writeTinyModel(model, { tokenizer: false });
    await expect(workshop.run('wordless', { model })).rejects.toThrow(/has no tokenizer: without words/);
  });
});

describe('options', () => {
  const given = { model: 'm', prompts: 'p', outputDir: 'o', rewardModel: 'r' };

  it("have the paper's and TRL's values unless given", () => {
    expect(resolveOnlineTrainOptions(given)).toMatchObject({
      ...{ perDeviceTrainBatchSize: 32, learningRate: 1e-6, beta: 0.01, numGenerations: 64 },
      ...{ temperature: 0.6, topP: 0.9, lossType: ['sigmoid'], userBasedRewards: true },
    });
    expect(resolveOnlineTrainOptions({ ...given, usePeft: true }).learningRate).toBe(1e-5);
    const resolved = resolveOnlineTrainOptions(given);
    expect(resolveOnlineTrainOptions(resolved)).toEqual(resolved);
  });

  it.each([
    [{ numGenerations: 1 }, /numGenerations: expected a number of at least 2, got 1/],
    [{ vllmServerBaseUrl: 'http://127.0.0.1:1/v1' }, /vllmServerBaseUrl needs usePeft/],
    [{ evalStrategy: 'steps' }, /evaluation needs prompts: give evalPrompts/],
    [{ evalPrompts: 'e', evalSplit: 0.1 }, /give evalPrompts or evalSplit, not both/],
    [{ lossType: 'robust', labelSmoothing: 0.6 }, /labelSmoothing/],
    [{ numGeneration: 3 }, /unknown option numGeneration; did you mean numGenerations\?/],
  ] as const)('%j are refused', (options, message) => {
    expect(() => resolveOnlineTrainOptions({ ...given, ...options } as never)).toThrow(message);
  });

  it('without a reward model, or with one that is not there, are refused before anything is written', async () => {
    const options = workshop.options('without');
    await expect(trainOnline(options)).rejects.toThrow(/^reward_model is required/);
    await expect(trainOnline({ ...options, rewardModel: 'nowhere' })).rejects.toThrow(
      /^reward_model: there is no folder nowhere$/,
    );
    expect(existsSync(options.outputDir)).toBe(false);
  });
});

describe('rewards', () => {
  it.each([
    ['no number', () => Number.NaN, /gave NaN for an answer to prompt prompt-\d, which is no reward: "/],
    ['infinite', () => Number.POSITIVE_INFINITY, /gave Infinity for an answer/],
  ])('that are %s end the run, with the last step saved', async (name, reward, message) => {
    let steps = 0;
    const scorer = scriptedScorer((text) => (steps < 2 ? text.length : reward()));
    const events: string[] = [];
    const run = workshop.run(
      `rewards ${name}`,
      { usePeft: true },
      {
        scorer,
        onEvent: (event) => {
          if (event.type === 'step') steps = event.step;
          if (event.type === 'notice') events.push(event.message);
        },
      },
    );
    await expect(run).rejects.toThrow(message);
    await run.catch((error: PersonaDpoError) => expect(error.code).toBe('SCORES'));
    expect(events.at(-1)).toMatch(/the state after step 2 is saved in .*checkpoint-2: go on from there/);
    // Mended, the run goes on to the end.
    steps = 0;
    const resumed = await workshop.run(
      `rewards ${name}`,
      { usePeft: true, resumeFromCheckpoint: true },
      { scorer },
    );
    expect(resumed.summary).toMatchObject({ outcome: 'finished', step: 4 });
    expect(resumed.rollouts.map(({ step }) => step)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
  });

  it('that are too few, or refused, end the run and free everything', async () => {
    await workshop.run('warm', { maxSteps: 1 });
    const before = memory().tensors;
    const few = { identity: 'few', score: async () => [1] };
    await expect(workshop.run('few', {}, { scorer: few })).rejects.toThrow(/gave 1 rewards for \d answers/);
    const refusing = {
      identity: 'refusing',
      score: async () => {
        throw new DataError('the tokenizer does not belong');
      },
    };
    await expect(workshop.run('refusing', {}, { scorer: refusing })).rejects.toThrow(/does not belong/);
    expect(memory().tensors).toBe(before);
  });

  it('are not asked for samples without words, which are never part of a pair', async () => {
    // A model that ends its answer at once, mostly.
    const model = join(workshop.folder, 'terse');
    writeTinyModel(model, { config: { eosTokenIds: Array.from({ length: 200 }, (_, id) => id + 2) } });
    const scorer = scriptedScorer((text) => text.length);
    const run = await workshop.run('terse', { model, numGenerations: 8 }, { scorer });
    const asked = scorer.requests.flatMap(({ candidates }) => candidates);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.every((text) => text.trim() !== '')).toBe(true);
    expect(run.rows[0]?.['completions/empty_ratio']).toBeGreaterThan(0.3);
    for (const { completions, chosen, rejected } of run.rollouts) {
      for (const { text, reward } of completions) expect(reward === null).toBe(text.trim() === '');
      for (const index of [chosen, rejected]) {
        if (index !== null) expect(completions[index]?.reward).not.toBeNull();
      }
    }
  });
});

describe('rollouts that were logged', () => {
  it('are read from the folder or the file; half a line is passed over', async () => {
    const folder = join(workshop.folder, 'logged');
    mkdirSync(folder);
    const row = {
      ...{ step: 0, set: 'train', prompt_id: 'p', prompt: [], completions: [], staleness: 0 },
      ...{ chosen: null, rejected: null },
    };
    const file = join(folder, 'rollouts.jsonl');
    writeFileSync(file, `${JSON.stringify(row)}\n{"step": 1, "set": "tr`);
    expect(await rolloutsOf(folder)).toEqual([row]);
    expect(await rolloutsOf(file)).toEqual([row]);
    await expect(readRollouts(join(folder, 'none')).next()).rejects.toThrow(/there are no rollouts in/);
  });

  it('can be left out', async () => {
    const run = await workshop.run('unlogged', { logRollouts: false, maxSteps: 1 });
    expect(existsSync(join(run.outputDir, 'rollouts.jsonl'))).toBe(false);
  });
});
