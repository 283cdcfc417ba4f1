/** Draws on the device: what transformers' warpers leave, with their probabilities, whatever else is drawn. */

import { afterAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import { choiceScratch, narrow, toWeights } from '../../../src/models/generation/choose-token.js';
import { drawFunctions } from '../../../src/models/generation/draw-functions.js';
import { type Draw, drawTokens } from '../../../src/models/generation/draw-tokens.js';
import { generationFunctions } from '../../../src/models/generation/functions.js';
import type { Sampling } from '../../../src/models/generation/options.js';
import { type Scores, scoresOf } from '../../../src/models/generation/scores.js';
import { memory, scope, tensor } from '../../../src/runtime/tensor.js';
import warpers from '../../golden/generation/warpers.json' with { type: 'json' };
import { modelOf, randomWeights, smallConfig } from '../decoder/support.js';

const config = smallConfig();
const model = modelOf(config, randomWeights(config, 3));
const { weights } = generationFunctions(model, null, { dtype: 'float32', copied: false });
afterAll(() => model.dispose());

const PLAIN: Sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

function scoresFor(rows: readonly ArrayLike<number>[]): Scores {
  const vocabSize = rows[0]!.length;
  const flat = Float32Array.from(rows.flatMap((row) => Array.from(row)));
  const max = rows.map((row) => Math.max(...Array.from(row)));
  const logNormalizer = rows.map((row, i) => {
    const total = Array.from(row).reduce((sum, logit) => sum + Math.exp(logit - max[i]!), 0);
    return max[i]! + Math.log(total);
  });
  return scope(() => {
    const outputs = {
      logits: tensor('float32', [rows.length, vocabSize], flat),
      max: tensor('float32', [rows.length], max),
      logNormalizer: tensor('float32', [rows.length], logNormalizer),
    };
    return scoresOf(outputs, weights);
  });
}

const drawsOf = (count: number, draw: Partial<Draw> = {}): Draw[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ row: 0, sampling: PLAIN, seen: new Set<number>(), random: createRandom(17, i) },
    ...draw,
  }));

/** Pearson's statistic of `ids` against probabilities, and its 99.9% quantile (Wilson and Hilferty 1931). */
function chiSquare(ids: readonly number[], kept: ReadonlyMap<number, number>) {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  // Tokens that are expected less than five times count as one.
  let [restCount, restExpected, statistic, bins] = [0, 0, 0, -1];
  for (const [id, p] of kept) {
    const [seen, expected] = [counts.get(id) ?? 0, ids.length * p];
    if (expected < 5) {
      restCount += seen;
      restExpected += expected;
    } else {
      statistic += (seen - expected) ** 2 / expected;
      bins += 1;
    }
  }
  if (restExpected > 0) {
    statistic += (restCount - restExpected) ** 2 / Math.max(restExpected, 1);
    bins += 1;
  }
  const degrees = Math.max(bins, 1);
  const quantile = degrees * (1 - 2 / (9 * degrees) + 3.09 * Math.sqrt(2 / (9 * degrees))) ** 3;
  return { statistic, quantile };
}

/** What the host's own cuts leave, by token. */
function keptOnHost(logits: Float32Array, sampling: Sampling): Map<number, number> {
  const scratch = choiceScratch(logits.length);
  const count = narrow(toWeights(logits.slice(), sampling.temperature), sampling, scratch);
  const left = scratch.weights.subarray(0, count);
  const mass = left.reduce((a, b) => a + b, 0);
  return new Map(Array.from(scratch.ids.subarray(0, count), (id, i) => [id, left[i]! / mass]));
}

describe("draws follow what transformers' warpers leave", () => {
  it('in all cases', async () => {
    const worst: string[] = [];
    for (const [index, golden] of warpers.entries()) {
      const scores = scoresFor([golden.logits]);
      const seen = new Set(golden.seen);
      const drawn = await drawTokens(scores, drawsOf(1500, { sampling: golden.options, seen }));
      const kept = new Map(Object.entries(golden.kept).map(([id, p]) => [Number(id), p]));
      const ids = drawn.map(({ id }) => id);
      const outside = ids.filter((id) => !kept.has(id));
      const { statistic, quantile } = chiSquare(ids, kept);
      // One in a thousand may pass the quantile by chance; twice as far none does.
      if (outside.length > 0 || statistic > 2 * quantile) worst.push(`${index}: ${statistic} ${outside}`);
      scores.dispose();
    }
    expect(worst).toEqual([]);
  });

  it.each<[string, number, Partial<Sampling>]>([
    ['a vocabulary of several blocks', 1024, {}],
    ['one that no block divides', 257, { topP: 0.8 }],
    ['a narrow nucleus of a flat distribution', 2048, { topP: 0.02, temperature: 3 }],
    ['a nucleus among the likeliest', 512, { topK: 40, topP: 0.5 }],
    ['all cuts at once', 512, { topK: 100, topP: 0.95, minP: 0.05, temperature: 0.7 }],
    ['as many likeliest as there are', 64, { topK: 64 }],
  ])('%s', async (_name, vocabSize, overrides) => {
    const random = createRandom(vocabSize);
    const logits = Float32Array.from({ length: vocabSize }, () => random.normal());
    const sampling = { ...PLAIN, ...overrides };
    const scores = scoresFor([logits]);
    const ids = (await drawTokens(scores, drawsOf(6000, { sampling }))).map(({ id }) => id);
    const kept = keptOnHost(logits, sampling);
    expect(ids.filter((id) => !kept.has(id))).toEqual([]);
    const { statistic, quantile } = chiSquare(ids, kept);
    expect(statistic).toBeLessThan(quantile);
    scores.dispose();
  });
});

describe('draws', () => {
  const random = createRandom(5);
  const rows = Array.from({ length: 3 }, () => Float32Array.from({ length: 300 }, () => 2 * random.normal()));
  const mixed = (): Draw[] =>
    [
      { row: 2, sampling: { ...PLAIN, topP: 0.5 } },
      { row: 0, sampling: { ...PLAIN, temperature: 0 } },
      { row: 0, sampling: { ...PLAIN, topK: 7, temperature: 2 } },
      { row: 1, sampling: { ...PLAIN, minP: 0.2 } },
      { row: 1, sampling: { ...PLAIN, repetitionPenalty: 1.5 }, seen: new Set([3, 4, 299]) },
      { row: 2, sampling: { ...PLAIN, temperature: 0, repetitionPenalty: 1e6 }, seen: new Set([1, 2]) },
    ].flatMap((draw, i) => drawsOf(1, { ...draw, random: createRandom(40, i) }));

  it('are the same together and alone, each by its own options', async () => {
    const scores = scoresFor(rows);
    const together = await drawTokens(scores, mixed());
    for (const [i, draw] of mixed().entries()) {
      expect((await drawTokens(scores, [draw]))[0]).toEqual(together[i]);
    }
    expect(together[1]!.id).toBe(rows[0]!.indexOf(Math.max(...rows[0]!)));
    scores.dispose();
  });

  it("give log-probabilities of the model's own distribution, and leave nothing behind", async () => {
    const before = memory();
    const scores = scoresFor(rows);
    for (const [i, { id, logprob }] of (await drawTokens(scores, mixed())).entries()) {
      const { row } = mixed()[i]!;
      expect(logprob).toBeCloseTo(rows[row]![id]! - scores.logNormalizer[row]!, 6);
    }
    scores.dispose();
    expect(memory()).toEqual(before);
  });

  it('take one random number each where no token is refused', async () => {
    const scores = scoresFor(rows);
    const [used, fresh] = [createRandom(4), createRandom(4)];
    await drawTokens(scores, drawsOf(1, { random: used }));
    fresh.float();
    expect(used.state()).toEqual(fresh.state());
    scores.dispose();
  });

  it('are right at the ends of the range of logits', async () => {
    const scores = scoresFor([
      [-1e30, 3e38, -3e38, -3e38],
      [-1e30, -1e30, -1e30, -1e30],
    ]);
    const cold = { ...PLAIN, temperature: 1e-6, topP: 0.5 };
    const one = await drawTokens(scores, drawsOf(50, { sampling: cold }));
    expect(new Set(one.map(({ id }) => id))).toEqual(new Set([1]));
    const even = await drawTokens(scores, drawsOf(400, { row: 1, sampling: cold }));
    expect(new Set(even.map(({ id }) => id))).toEqual(new Set([0, 1, 2, 3]));
    scores.dispose();
  });
});

it('the functions are built once for a size of vocabulary', () => {
  expect(drawFunctions(300)).toBe(drawFunctions(300));
});
