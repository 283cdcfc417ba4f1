import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memory } from '../../src/runtime/tensor.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { openRewardWorkshop, type RewardWorkshop, wordPairs } from './reward-support.js';

let workshop: RewardWorkshop;
beforeAll(() => {
  workshop = openRewardWorkshop(12);
});
afterAll(() => workshop.close());

describe('what can go wrong', () => {
  it.each(['head', 'lora', 'full'] as const)(
    'a loss that is no number stops mode %s, names the pairs, keeps the last checkpoint, frees everything',
    async (mode) => {
      const before = memory().tensors;
      const run = workshop.run(`exploding-${mode}`, {
        mode,
        learningRate: 1e30,
        saveSteps: 1,
        maxGradNorm: 0,
      });
      await expect(run).rejects.toThrow(
        /step [23] gave loss .* on the pairs pair-\d+, .*the last checkpoint is .*checkpoint-[12]/,
      );
      expect(memory().tensors).toBe(before);
      expect(existsSync(join(workshop.folder, 'runs', `exploding-${mode}`, 'model'))).toBe(false);
    },
  );

  it('a file without a usable row is an error that names it', async () => {
    const pairs = workshop.write('none.jsonl', [{ prompt: 'a' }, { chosen: 'b' }]);
    await expect(workshop.run('none', { pairs })).rejects.toThrow(
      /none\.jsonl: 2 of 2 rows .* cannot be used/,
    );
    const same = { prompt: [{ role: 'user', content: 'hi' }], chosen: 'tea', rejected: 'tea' };
    const equal = workshop.write('equal.jsonl', [same]);
    await expect(workshop.run('equal', { pairs: equal, maxBadRowShare: 1 })).rejects.toThrow(
      /equal\.jsonl: no pair is left to train on/,
    );
  });

  it('pairs of whose responses nothing is left are dropped, counted and listed', async () => {
    const rows = wordPairs(2);
    const long = { ...rows[0], id: 'long', persona: 'the tea '.repeat(60) };
    const pairs = workshop.write('long.jsonl', [...rows, long]);
    const run = await workshop.run('long', { pairs, maxLength: 400, maxSteps: 1 });
    expect(run.summary.pairs).toEqual({ used: 2, bad: 0, dropped: 1 });
    const [row] = readFileSync(join(run.outputDir, 'dropped.jsonl'), 'utf8').split('\n');
    expect(JSON.parse(row as string)).toMatchObject({
      set: 'train',
      id: 'long',
      reason: expect.stringMatching(/Nothing would be left of the responses/),
    });
    await expect(workshop.run('all-long', { pairs, maxLength: 4 })).rejects.toThrow(
      /no pair is left to train on; the first was dropped because: Nothing would be left/,
    );
  });

  it.each([
    ['"much"', 'string "much"'],
    ['1e999', 'number null'],
  ])('a margin of %s is no margin', async (written, got) => {
    const [row] = wordPairs(1);
    const pairs = workshop.write('margin.jsonl', []);
    writeFileSync(pairs, JSON.stringify({ ...row, margin: 'M' }).replace('"M"', written));
    await expect(workshop.run('margin', { pairs })).rejects.toThrow(`margin: expected a number, got ${got}`);
  });

  it('margins that only some pairs have are said', async () => {
    const rows = wordPairs(6).map((pair, i) => (i < 2 ? { ...pair, margin: 0.5 } : pair));
    const run = await workshop.run('some', { pairs: workshop.write('some.jsonl', rows), maxSteps: 1 });
    const notices = run.events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices).toContain('4 of 6 pairs have no margin; theirs is 0');
  });

  it('models that cannot be trained on are refused by what they are', async () => {
    const bert = join(workshop.folder, 'bert');
    writeTinyModel(bert);
    const edit = (changes: object) => {
      const config = JSON.parse(readFileSync(join(workshop.folder, 'model', 'config.json'), 'utf8'));
      writeFileSync(join(bert, 'config.json'), JSON.stringify({ ...config, ...changes }));
    };
    edit({ architectures: ['BertForSequenceClassification'], model_type: 'bert' });
    await expect(workshop.run('bert', { model: bert })).rejects.toThrow(
      /the architecture BertForSequenceClassification.* is not supported; supported are/,
    );
    edit({ architectures: ['GPT2LMHeadModel'], model_type: 'gpt2' });
    await expect(workshop.run('gpt', { model: bert })).rejects.toThrow(/GPT2LMHeadModel.* is not supported/);
    edit({ architectures: ['LlamaForSequenceClassification'] });
    await expect(workshop.run('headless', { model: bert })).rejects.toThrow(/has no reward head/);
    await expect(workshop.run('nowhere', { model: join(workshop.folder, 'nowhere') })).rejects.toThrow(
      /nowhere/,
    );
  });

  it('options that do nothing are said, and those that cannot be are errors', async () => {
    const { events } = await workshop.run('idle', { mode: 'head', loraR: 4, maxSteps: 1 });
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices).toContain('lora_r changes nothing in mode head');
    await expect(workshop.run('wrong', { evalStrategy: 'steps' })).rejects.toThrow(/evaluation needs pairs/);
    await expect(
      workshop.run('wrong', { evalSplit: 0.2, metricForBestModel: 'rewards/margins' }),
    ).rejects.toThrow(/metricForBestModel: expected one of loss, accuracy, margin/);
    await expect(workshop.run('wrong', { centerRewardsCoefficient: -1 })).rejects.toThrow(
      /centerRewardsCoefficient: expected a number of at least 0/,
    );
    await expect(workshop.run('wrong', { featureCache: join(import.meta.filename, 'x') })).rejects.toThrow(
      /feature_cache .* cannot be written to/,
    );
  });
});
