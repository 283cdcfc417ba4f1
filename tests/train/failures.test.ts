import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memory } from '../../src/runtime/tensor.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { openWorkshop, type Workshop } from './support.js';

let workshop: Workshop;
beforeAll(() => {
  workshop = openWorkshop(12);
});
afterAll(() => workshop.close());

describe('what can go wrong', () => {
  it('a loss that explodes stops the run, names the pairs and keeps the last checkpoint', async () => {
    const run = workshop.run('exploding', { learningRate: 1e30, saveSteps: 1, maxGradNorm: 0, maxSteps: 6 });
    await expect(run).rejects.toThrow(
      /step 2 gave loss .* on the pairs pair-1-\d+, .*the last checkpoint is .*checkpoint-1/,
    );
  });

  it('frees everything when it fails', async () => {
    const before = memory().tensors;
    await expect(workshop.run('leak', { learningRate: 1e30, maxGradNorm: 0 })).rejects.toThrow(/gave loss/);
    expect(memory().tensors).toBe(before);
  });

  it.skipIf(process.getuid?.() === 0)(
    'a folder that cannot be written to is found before training (not as root)',
    async () => {
      const folder = join(workshop.folder, 'runs', 'locked');
      mkdirSync(folder);
      chmodSync(folder, 0o500);
      await expect(workshop.run('locked')).rejects.toThrow(/cannot be written to/);
    },
  );

  it('an output folder that is a file is found before training', async () => {
    writeFileSync(join(workshop.folder, 'runs', 'file'), '');
    await expect(workshop.run('file')).rejects.toThrow(/output_dir .*file cannot be written to/);
  });

  it.each([
    [{ pairs: 'none.jsonl' }, /^pairs: there is no file none.jsonl$/],
    [{ pairs: '.' }, /^pairs: \. is a folder; expected a file$/],
    [{ adapter: 'none' }, /^none is no adapter folder/],
    [{ personaTemplate: 'none.jinja' }, /^The persona template none.jinja cannot be read/],
    [{ referenceCache: join(import.meta.filename, 'x') }, /^reference_cache .* cannot be written to/],
  ])('%j is found before the output folder is made', async (options, message) => {
    await expect(workshop.run('never', options)).rejects.toThrow(message);
    expect(existsSync(join(workshop.folder, 'runs', 'never'))).toBe(false);
  });

  it('going on with nothing is said, and so are options that do nothing', async () => {
    const { events } = await workshop.run('anew', { resumeFromCheckpoint: true, loraR: 4, maxSteps: 1 });
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices).toEqual([
      expect.stringMatching(/^there is no checkpoint in .*anew; the run begins anew$/),
      'lora_r without use_peft: all weights are trained, not an adapter',
    ]);
  });

  it('a reference with another vocabulary is refused', async () => {
    const other = join(workshop.folder, 'small-vocabulary');
    writeTinyModel(other, { tokenizer: false, config: { vocabSize: 20 } });
    await expect(workshop.run('vocabulary', { referenceModel: other })).rejects.toThrow(
      /^reference_model .* has 20 tokens, and the policy's tokenizer gives \d+ in pair/,
    );
  });

  it('a memory budget that is too small says what to do', async () => {
    await expect(workshop.run('small', { memoryBudget: 1000 })).rejects.toThrow(
      /does not fit into .* max_length/,
    );
  });

  it('bad rows are set aside with their reason; too many stop the run', async () => {
    const pairs = join(workshop.folder, 'bad.jsonl');
    const good = readFileSync(join(workshop.folder, 'pairs.jsonl'), 'utf8');
    writeFileSync(pairs, `${good}{"prompt_ids": [1], "chosen_ids": []}\nno json\n`);
    const run = await workshop.run('bad', { pairs, maxBadRowShare: 0.5, maxSteps: 1 });
    expect(run.summary.pairs).toEqual({ used: 12, bad: 2, dropped: 0 });
    const quarantine = readFileSync(join(run.outputDir, 'quarantine.jsonl'), 'utf8').trim().split('\n');
    expect(quarantine.map((line) => JSON.parse(line).line)).toEqual([13, 14]);
    await expect(workshop.run('worse', { pairs, maxBadRowShare: 0.01 })).rejects.toThrow(/2 of 14/);
  });

  it('ids outside the vocabulary are dropped and listed', async () => {
    const pairs = join(workshop.folder, 'strange.jsonl');
    const good = readFileSync(join(workshop.folder, 'pairs.jsonl'), 'utf8');
    writeFileSync(pairs, `${good}{"prompt_ids": [1], "chosen_ids": [999999], "rejected_ids": [2]}\n`);
    const run = await workshop.run('strange', { pairs, maxSteps: 1 });
    expect(run.summary.pairs).toEqual({ used: 12, bad: 0, dropped: 1 });
    const [row] = readFileSync(join(run.outputDir, 'dropped.jsonl'), 'utf8').split('\n');
    expect(JSON.parse(row as string)).toMatchObject({
      set: 'train',
      row: 13,
      reason: expect.stringContaining('999999'),
    });
  });
});
