import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { DataError } from '../../../src/errors.js';
import { readAnnotations, readOutputs } from '../../../src/eval/alpaca-eval/annotations.js';
import { annotationsOf, pairOutputs } from '../../../src/eval/alpaca-eval/compare-outputs.js';
import { readGamedBaselines } from '../../../src/eval/alpaca-eval/gamed-baselines.js';
import { judgeOutputs, type OutputPair } from '../../../src/eval/alpaca-eval/judge-outputs.js';
import { leaderboardRow } from '../../../src/eval/alpaca-eval/leaderboard.js';
import { createAlpacaTemplate } from '../../../src/eval/alpaca-eval/prompts.js';
import { refusedRequest, scriptedModel, textOf } from '../../pairs/support/scripted-model.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-alpaca-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function written(content: unknown): string {
  const path = join(folder, `${files++}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const pairs: OutputPair[] = Array.from({ length: 20 }, (_, index) => ({
  instruction: `instruction ${index}`,
  baseline: 'BASELINE',
  model: 'MODEL',
}));

/** Likes the model's output, wherever it stands: log-odds of 2. */
const likesTheModel = (text: string): number[] =>
  text.indexOf('MODEL') < text.indexOf('BASELINE') ? [-0.1, -2.1] : [-2.1, -0.1];

describe('the weighted judge', () => {
  test('gives the probability of the model, whichever output is shown first', async () => {
    const judge = scriptedModel({ score: (request) => likesTheModel(textOf(request)) });
    const verdicts = await judgeOutputs(pairs, judge);
    for (const { share } of verdicts) expect(share).toBeCloseTo(1 / (1 + Math.exp(-2)), 12);
    const firsts = judge.scored.filter(
      (request) => textOf(request).indexOf('MODEL') < textOf(request).indexOf('BASELINE'),
    );
    expect(firsts.length).toBeGreaterThan(3);
    expect(firsts.length).toBeLessThan(17);
    expect(judge.scored.every(({ labels }) => labels.join() === 'm,M')).toBe(true);
  });

  test('who likes what is first comes out even', async () => {
    const many = Array.from({ length: 400 }, () => pairs[0] as OutputPair);
    const verdicts = await judgeOutputs(many, scriptedModel({ score: () => [0, -9] }));
    const wins = verdicts.filter(({ share }) => (share ?? 0) > 0.5).length;
    expect(wins).toBeGreaterThan(150);
    expect(wins).toBeLessThan(250);
  });

  test('is asked once more where it says neither label, and then counted', async () => {
    const judge = scriptedModel({
      score: (request) => {
        const text = textOf(request);
        if (/instruction 3\b/.test(text)) return refusedRequest('none of the labels');
        if (/instruction 4\b/.test(text) && !text.includes('first and only character')) {
          return [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
        }
        return likesTheModel(text);
      },
    });
    const progress: number[] = [];
    const verdicts = await judgeOutputs(pairs, judge, { onProgress: ({ done }) => void progress.push(done) });
    expect(judge.scored).toHaveLength(22);
    expect(verdicts[3]).toEqual({ share: null, problem: 'none of the labels' });
    expect(verdicts[4]?.share).toBeGreaterThan(0.5);
    expect(progress.at(-1)).toBe(20);
    const baseline = pairs.map(({ instruction, baseline: output }) => ({
      instruction,
      output,
      generator: 'base',
      dataset: 'd',
    }));
    const annotations = annotationsOf(baseline, pairs, verdicts, { generator: 'own', annotator: 'judge' });
    expect(annotations[3]).toMatchObject({ preference: null, problem: 'none of the labels', dataset: 'd' });
    expect(leaderboardRow(annotations, null, 'f')).toMatchObject({
      total: 19,
      withoutVerdict: 1,
      name: 'own',
      baseline: 'base',
    });
    const file = written(annotations);
    expect(await readAnnotations(file)).toHaveLength(20);
  });

  test('does not judge what was not answered', async () => {
    const judge = scriptedModel({ score: () => [0, 0] });
    const verdicts = await judgeOutputs([{ ...(pairs[0] as OutputPair), model: undefined }], judge);
    expect(verdicts).toEqual([{ share: null, problem: 'the model gave no answer' }]);
    expect(judge.scored).toHaveLength(0);
  });

  test('sees instruction and outputs as they are', () => {
    const text = createAlpacaTemplate()
      .render('{{ first }}', '<answer>', 'b')
      .map(({ content }) => content)
      .join('\n');
    expect(text).toContain('{{ first }}');
    expect(() => createAlpacaTemplate('{{ instruction }} {{ first }}')).toThrow('must show {{ second }}');
  });
});

const sample = join(
  process.env.PERSONA_DPO_REFERENCE_DIR ?? '',
  'data',
  'alpaca_eval',
  'judge_logprobs_sample.jsonl',
);

describe.skipIf(process.env.PERSONA_DPO_REFERENCE_DIR === undefined || !existsSync(sample))(
  'published judgments (skipped without PERSONA_DPO_REFERENCE_DIR)',
  () => {
    test('come to the published preferences from the log-probabilities of both labels', async () => {
      const rows = readFileSync(sample, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { top_logprobs: Record<string, number>; preference: number });
      const scores = rows.map(({ top_logprobs: top }) => [top.m ?? -Infinity, top.M ?? -Infinity]);
      const judge = scriptedModel({ score: ({ id }) => scores[Number(id.split(':')[1])] ?? [] });
      const verdicts = await judgeOutputs(
        rows.map(() => pairs[0] as OutputPair),
        judge,
      );
      expect(rows.length).toBeGreaterThan(20);
      for (const [index, { preference }] of rows.entries()) {
        const share = verdicts[index]?.share ?? Number.NaN;
        // Which output was shown first is not published: the preference is that of one of both orders.
        const nearest = Math.min(Math.abs(1 + share - preference), Math.abs(2 - share - preference));
        expect(nearest).toBeLessThan(1e-6);
      }
    });
  },
);

describe('files of another version', () => {
  const output = { instruction: 'a', output: 'x', generator: 'g' };

  test('outputs to other instructions, or of several models', async () => {
    const baseline = await readOutputs(written([output, { ...output, instruction: 'b' }]));
    const file = written([output, { ...output, instruction: 'c' }]);
    expect(() => pairOutputs(baseline, [output, { ...output, instruction: 'c' }], file)).toThrow(
      `${file}: expected outputs to the 2 instructions that the baseline has: 1 are missing, 1 are to others ("b")`,
    );
    await expect(readOutputs(written([output, output]))).rejects.toThrow(
      'the instruction of row 1 is there again in row 2',
    );
    await expect(
      readOutputs(written([output, { ...output, instruction: 'b', generator: 'h' }])),
    ).rejects.toThrow('expected one generator in all rows, got g, h');
    await expect(readOutputs(written([]))).rejects.toThrow('it is empty');
    await expect(readOutputs(written([{ instruction: 'a' }]))).rejects.toThrow(DataError);
  });

  test('annotations of others than the 805 instructions, where the length-controlled rate is wanted', async () => {
    const annotation = {
      instruction: 'a',
      output_1: 'x',
      output_2: 'y',
      generator_1: 'text_davinci_003',
      generator_2: 'm',
      preference: 1,
    };
    const gamed = { difficulty: Array.from({ length: 805 }, () => 0), rows: [] };
    expect(() => leaderboardRow([annotation], gamed, 'old.json')).toThrow(
      'old.json: the length-controlled win rate is defined for the 805 instructions of AlpacaEval 2 against gpt4_1106_preview; these are 1 annotations against text_davinci_003',
    );
    await expect(readAnnotations(written([{ ...annotation, preference: 3 }]))).rejects.toThrow('preference');
    await expect(readAnnotations(written([annotation, { ...annotation, generator_2: 'n' }]))).rejects.toThrow(
      'expected one generator_2 in all rows, got m, n',
    );
  });

  test('a file of difficulties that is cut short', async () => {
    const path = join(folder, 'df_gamed.csv');
    writeFileSync(
      path,
      'model,index,std_delta_len,instruction_difficulty,preference,not_gamed_baseline\na,0,1,0.5,0.2,False\n',
    );
    await expect(readGamedBaselines(path)).rejects.toThrow(
      'expected the difficulty of 805 instructions, got that of 1',
    );
  });
});
