/** Two ways of computing the same thing. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PackedBatch, packPairs } from '../../../src/data/pack.js';
import type { TokenizedPair } from '../../../src/data/tokenize.js';
import type { LanguageModel } from '../../../src/models/language-model.js';
import { tokenLogits } from '../../../src/models/logits.js';
import type { ModelConfig } from '../../../src/models/model-config.js';
import { worstError } from '../../support/worst-error.js';
import {
  accumulate,
  type Gradients,
  type ModelOptions,
  modelOf,
  randomAdapter,
  randomPairs,
  randomWeights,
  rowGradients,
  rowLogps,
  smallConfig,
  wrongGradients,
} from './support.js';

/** The slope of Equation 1's loss, summed over pairs: one number for all tokens of a response. */
function dpoSlopes(logps: Float32Array, { completionSegments, pairs }: PackedBatch): number[] {
  const beta = 0.5;
  const sums = new Array<number>(2 * pairs.length).fill(0);
  completionSegments.forEach((segment, i) => {
    sums[segment]! += logps[i]!;
  });
  return Array.from(completionSegments, (segment) => {
    const pair = segment - (segment % 2);
    const margin = beta * (sums[pair]! - sums[pair + 1]!);
    const slope = -beta / (1 + Math.exp(margin));
    return segment % 2 === 0 ? slope : -slope;
  });
}

const CONFIGS: Record<string, Partial<ModelConfig>> = {
  llama: {},
  'mistral with a window of 3': { architecture: 'mistral', slidingWindow: 3 },
  'qwen3, tied, with every bias': {
    architecture: 'qwen3',
    queryKeyNorm: true,
    attentionBias: true,
    attentionOutputBias: true,
    mlpBias: true,
    tieWordEmbeddings: true,
  },
};

describe.each(Object.entries(CONFIGS))('%s', (_name, variant) => {
  const config = smallConfig(variant);
  const pairs = randomPairs(4, 11);
  let model: LanguageModel;

  beforeAll(() => {
    model = modelOf(config, randomWeights(config, 5, 0.25));
  });

  afterAll(() => {
    model.dispose();
  });

  async function eachAlone(): Promise<{ logps: number[]; gradients: Gradients }> {
    const logps: number[] = [];
    const gradients: Gradients = {};
    for (const pair of pairs) {
      const alone = await rowGradients(model, [pair], dpoSlopes);
      logps.push(...alone.logps);
      for (const [id, gradient] of Object.entries(alone.gradients)) accumulate(gradients, id, gradient);
    }
    return { logps, gradients };
  }

  it('several pairs in a row are each pair alone: log-probabilities and gradients', async () => {
    const together = await rowGradients(model, pairs, dpoSlopes);
    const alone = await eachAlone();
    expect(worstError(together.logps, alone.logps)).toBeLessThan(2e-6);
    expect(wrongGradients(together.gradients, alone.gradients, 1e-5)).toEqual({});
  });

  it('a packed pair is its two sequences, prompt and response, computed apart', async () => {
    const logps = await rowLogps(model, pairs);
    const apart: number[] = [];
    for (const pair of pairs) {
      for (const completion of [pair.chosenIds, pair.rejectedIds]) {
        apart.push(...(await sequenceLogps(model, pair.promptIds, completion)));
      }
    }
    expect(worstError(logps, apart)).toBeLessThan(2e-6);
  });

  it('the gradient of a pair is that of its responses in rows of their own', async () => {
    const [pair] = pairs as [TokenizedPair];
    const packed = await rowGradients(model, [pair], dpoSlopes);
    const slopes = dpoSlopes(packed.logps, packPairs([pair]));
    const [chosenSlope, rejectedSlope] = [slopes[0]!, slopes.at(-1)!];
    // The other response of each row is some token that nothing asks about.
    const rows = [
      { row: { ...pair, rejectedIds: [3] }, weights: [chosenSlope, 0] },
      { row: { ...pair, chosenIds: [3] }, weights: [0, rejectedSlope] },
    ];
    const separate: Gradients = {};
    for (const { row, weights } of rows) {
      const { gradients } = await rowGradients(model, [row], (_, { completionSegments }) =>
        Array.from(completionSegments, (segment) => weights[segment]!),
      );
      for (const [id, gradient] of Object.entries(gradients)) accumulate(separate, id, gradient);
    }
    expect(wrongGradients(packed.gradients, separate, 1e-5)).toEqual({});
  });

  it.each([8, 64])('padding to a multiple of %d changes nothing', async (padToMultipleOf) => {
    const plain = await rowGradients(model, pairs, dpoSlopes);
    const padded = await rowGradients(model, pairs, dpoSlopes, { padToMultipleOf, padTokenId: 4 });
    expect(worstError(padded.logps, plain.logps)).toBeLessThan(2e-6);
    expect(wrongGradients(padded.gradients, plain.gradients, 1e-5)).toEqual({});
  });

  it('the order of pairs in a row matters to rounding only', async () => {
    const forwards = await rowGradients(model, pairs, dpoSlopes);
    const backwards = await rowGradients(model, pairs.toReversed(), dpoSlopes);
    expect(wrongGradients(backwards.gradients, forwards.gradients, 1e-5)).toEqual({});
  });

  it('computing layers anew gives bit for bit what keeping everything gives', async () => {
    const kept = await rowGradients(model, pairs, dpoSlopes, { keep: 'everything' });
    const anew = await rowGradients(model, pairs, dpoSlopes, { keep: 'inputs' });
    expect(anew).toEqual(kept);
  });

  it('and so does doing the same twice', async () => {
    const once = await rowGradients(model, pairs, dpoSlopes);
    expect(await rowGradients(model, pairs, dpoSlopes)).toEqual(once);
  });
});

describe('recomputation with dropout', () => {
  it.each([
    { dtype: 'float32', computeDtype: 'float32' },
    { dtype: 'bfloat16', computeDtype: 'bfloat16' },
    { dtype: 'bfloat16', computeDtype: 'float32' },
  ] as const)(
    'draws the same again, and another at the next seed: $dtype computed in $computeDtype',
    async (dtypes) => {
      const config = smallConfig();
      const pairs = randomPairs(3, 12);
      const model = modelOf(config, randomWeights(config, 6, 0.25), dtypes);
      const { adapter } = randomAdapter(config, 7, { dropout: 0.3 });
      const run = (keep: 'everything' | 'inputs', dropoutSeed?: number) =>
        rowGradients(model, pairs, dpoSlopes, {
          keep,
          adapter,
          ...(dropoutSeed !== undefined && { dropoutSeed }),
        });
      const kept = await run('everything', 5);
      expect(await run('inputs', 5)).toEqual(kept);
      expect((await run('inputs', 6)).logps).not.toEqual(kept.logps);
      expect((await run('inputs')).logps).toEqual(await rowLogps(model, pairs, { adapter }));
      adapter.dispose();
      model.dispose();
    },
  );
});

describe('a bfloat16 model', () => {
  it('is nearer to float32 where it multiplies in float32', async () => {
    const config = smallConfig();
    const pairs = randomPairs(3, 13);
    const logps = async (options: ModelOptions) => {
      const model = modelOf(config, randomWeights(config, 9, 0.25), options);
      const values = await rowLogps(model, pairs);
      model.dispose();
      return values;
    };
    const exact = await logps({ dtype: 'float32' });
    const narrow = await logps({ dtype: 'bfloat16', computeDtype: 'bfloat16' });
    const wide = await logps({ dtype: 'bfloat16', computeDtype: 'float32' });
    expect(worstError(wide, exact)).toBeLessThan(worstError(narrow, exact));
    expect(worstError(wide, exact)).toBeLessThan(0.03);
  });
});

describe('any pairs', () => {
  it('have the log-probabilities of their sequences, however they are packed', async () => {
    const config = smallConfig({ slidingWindow: 4, queryKeyNorm: true, numKeyValueHeads: 1 });
    const model = modelOf(config, randomWeights(config, 8, 0.25));
    const ids = fc.array(fc.nat(config.vocabSize - 1), { minLength: 1, maxLength: 12 });
    const pair = fc.record({ id: fc.constant('pair'), promptIds: ids, chosenIds: ids, rejectedIds: ids });
    const rows = fc.array(pair, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 16 }), async (pairs, padToMultipleOf) => {
        const apart: number[] = [];
        for (const { promptIds, chosenIds, rejectedIds } of pairs) {
          apart.push(...(await sequenceLogps(model, promptIds, chosenIds)));
          apart.push(...(await sequenceLogps(model, promptIds, rejectedIds)));
        }
        expect(worstError(await rowLogps(model, pairs, { padToMultipleOf }), apart)).toBeLessThan(5e-6);
      }),
      { numRuns: 15 },
    );
    model.dispose();
  });
});

/** Log-probabilities of a completion, from the logits of one plain sequence. */
async function sequenceLogps(
  model: LanguageModel,
  prompt: number[],
  completion: number[],
): Promise<number[]> {
  const logits = await tokenLogits(model, [...prompt, ...completion]);
  const { vocabSize } = model.config;
  const values = logits.toNumbers();
  logits.dispose();
  return completion.map((label, t) => {
    const at = (prompt.length + t - 1) * vocabSize;
    const row = values.slice(at, at + vocabSize);
    const largest = Math.max(...row);
    return row[label]! - largest - Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  });
}
