import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { dpoLoss } from '../../src/losses/dpo-loss.js';
import {
  type DpoTokens,
  dpoLossAndGradient,
  dpoLossFromTokens,
} from '../../src/losses/dpo-loss-from-tokens.js';
import { type DpoOptions, lossCouplesPairs } from '../../src/losses/dpo-options.js';
import { inTensors, OPTIONS_OF_EACH_TYPE, relativeError, segmentsOf, titleOf } from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const EACH_OPTIONS = OPTIONS_OF_EACH_TYPE.map((options) => [titleOf(options), options] as const);

/** On a grid, so that sums are exact in float32 and a divergence's exponential has no rounding to magnify. */
const logp = fc.integer({ min: 0, max: 8 * 64 }).map((k) => -k / 64);

/** 2 to 5 pairs with responses of 1 to 6 tokens. */
const packedPairs: fc.Arbitrary<DpoTokens<number[]>> = fc
  .array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 5 })
  .chain((chosen) =>
    fc.tuple(fc.constant(chosen), fc.array(fc.integer({ min: 1, max: 6 }), lengthOf(chosen.length))),
  )
  .map(([chosen, rejected]) => chosen.flatMap((length, i) => [length, rejected[i]!]))
  .chain((lengths) => {
    const count = lengths.reduce((a, b) => a + b, 0);
    const logps = fc.array(logp, lengthOf(count));
    return fc.record({
      policyLogps: logps,
      referenceLogps: logps,
      policyLogSumSquares: logps,
      completionSegments: fc.constant(segmentsOf(lengths)),
      pairCount: fc.constant(lengths.length / 2),
    });
  });

function lengthOf(length: number) {
  return { minLength: length, maxLength: length };
}

/** The tokens of the pairs from `first` up to `end`, as the part of a batch that they are. */
function partOf(tokens: DpoTokens<number[]>, first: number, end: number): DpoTokens<number[]> {
  const inPart = (_: number, m: number) => {
    const pair = tokens.completionSegments[m]! >> 1;
    return pair >= first && pair < end;
  };
  return {
    policyLogps: tokens.policyLogps.filter(inPart),
    referenceLogps: tokens.referenceLogps.filter(inPart),
    policyLogSumSquares: tokens.policyLogSumSquares!.filter(inPart),
    completionSegments: tokens.completionSegments.filter(inPart).map((segment) => segment - 2 * first),
    pairCount: end - first,
    batch: {
      pairCount: tokens.pairCount,
      chosenTokenCount: tokens.completionSegments.filter((segment) => segment % 2 === 0).length,
    },
  };
}

const check = <T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void) =>
  fc.assert(fc.property(arbitrary, predicate), { numRuns: 50 });

describe.each(EACH_OPTIONS)('%s', (_, options) => {
  it('gives the same from tensors as from numbers', () => {
    const inFloat32 = { ...options, beta: 0.3 };
    fc.assert(
      fc.property(packedPairs, (tokens) => {
        const plain = dpoLossFromTokens(tokens, inFloat32);
        tf.tidy(() => {
          const tensors = dpoLossFromTokens(inTensors(tokens), inFloat32);
          for (const [name, value] of Object.entries(plain) as [keyof typeof plain, number | number[]][]) {
            expect(relativeError(tensors[name].dataSync(), [value].flat()), name).toBeLessThan(1e-4);
          }
        });
      }),
      { numRuns: 20 },
    );
  });

  if (lossCouplesPairs(options)) {
    it('couples the pairs: is not the sum of its parts, and refuses one', () => {
      const tokens: DpoTokens<number[]> = {
        policyLogps: [-1, -5, -6, -2],
        referenceLogps: [-1, -1, -2, -4],
        completionSegments: segmentsOf([1, 1, 1, 1]),
        pairCount: 2,
      };
      const alone = [0, 1].map((i) => {
        const at = (values: number[]) => values.slice(2 * i, 2 * i + 2);
        const segments = segmentsOf([1, 1]);
        const pair = { policyLogps: at(tokens.policyLogps), referenceLogps: at(tokens.referenceLogps) };
        return dpoLossFromTokens({ ...pair, completionSegments: segments, pairCount: 1 }, options).loss;
      });
      expect(dpoLossFromTokens(tokens, options).loss).not.toBeCloseTo((alone[0]! + alone[1]!) / 2, 3);
      expect(() =>
        dpoLossFromTokens({ ...tokens, batch: { pairCount: 3, chosenTokenCount: 3 } }, options),
      ).toThrow(/couples the pairs of a batch: expected all 3 at once, got 2/);
    });
  } else {
    it('is the sum of the shares of its parts', () => {
      check(packedPairs, (tokens) => {
        const whole = dpoLossFromTokens(tokens, options);
        const parts = [partOf(tokens, 0, 1), partOf(tokens, 1, tokens.pairCount)].map((part) =>
          dpoLossFromTokens(part, options),
        );
        expect(relativeError([parts[0]!.loss + parts[1]!.loss], [whole.loss])).toBeLessThan(1e-9);
        expect(relativeError([...parts[0]!.losses, ...parts[1]!.losses], whole.losses)).toBeLessThan(1e-9);
      });
    });
  }

  it('does not see padding', () => {
    check(packedPairs, (tokens) => {
      const padded = {
        ...tokens,
        policyLogps: [...tokens.policyLogps, -3, -4],
        referenceLogps: [...tokens.referenceLogps, -5, -6],
        policyLogSumSquares: [...tokens.policyLogSumSquares!, -1, -2],
        completionSegments: Int32Array.of(...tokens.completionSegments, -1, -1),
      };
      expect(dpoLossFromTokens(padded, options)).toEqual(dpoLossFromTokens(tokens, options));
    });
  });

  it('has no NaN in value or gradient at log-ratios of ±1e4', () => {
    const signs = [1, -1, 0];
    const ratios = signs.flatMap((chosen) => signs.map((rejected) => [1e4 * chosen, 1e4 * rejected])).flat();
    const tokens = {
      policyLogps: ratios.map((ratio) => Math.min(ratio, 0)),
      referenceLogps: ratios.map((ratio) => Math.min(-ratio, 0)),
      policyLogSumSquares: ratios.map((ratio) => Math.min(ratio, 0)),
      completionSegments: segmentsOf(ratios.map(() => 1)),
      pairCount: ratios.length / 2,
    };
    const plain = dpoLossFromTokens(tokens, options);
    tf.tidy(() => {
      const tensors = dpoLossAndGradient(inTensors(tokens), options);
      const values = [plain.loss, ...plain.losses, ...tensors.losses.dataSync()];
      expect([...values, ...tensors.policyLogpsGradient.dataSync()]).not.toContain(Number.NaN);
      if (!squaresUnboundedScores(options)) expect(values.every(Number.isFinite)).toBe(true);
      expect(tensors.policyLogpsGradient.dataSync().every(Number.isFinite)).toBe(true);
    });
  });
});

/** e^80 fits into float32, its square doesn't. */
function squaresUnboundedScores({ lossType, fDivergenceType }: DpoOptions): boolean {
  return lossType === 'ipo' && (fDivergenceType === 'forward_kl' || fDivergenceType === 'alpha_divergence');
}

describe('symmetries', () => {
  const pairs = fc
    .integer({ min: 1, max: 6 })
    .chain((n) => fc.tuple(...([1, 2, 3, 4] as const).map(() => fc.array(logp, lengthOf(n)))))
    .map((inputs) => inputs as [number[], number[], number[], number[]]);
  const lengths = (n: number) => ({
    chosenLengths: new Array<number>(n).fill(4),
    rejectedLengths: new Array<number>(n).fill(3),
  });
  const sequenceOptions = OPTIONS_OF_EACH_TYPE.filter(
    ({ ldAlpha, useWeighting }) => ldAlpha === undefined && !useWeighting,
  );

  it.each(sequenceOptions.filter(({ lossType }) => lossType !== 'sft').map((o) => [titleOf(o), o] as const))(
    'moving policy and reference alike changes nothing: %s',
    (_, options) => {
      check(fc.tuple(pairs, logp, logp), ([[a, b, c, d], byChosen, byRejected]) => {
        const move = (values: number[], by: number) => values.map((x) => x + by);
        const given = { ...options, ...lengths(a.length) };
        const moved = [
          move(a, byChosen),
          move(b, byRejected),
          move(c, byChosen),
          move(d, byRejected),
        ] as const;
        expect(
          relativeError(dpoLoss(...moved, given).losses, dpoLoss(a, b, c, d, given).losses),
        ).toBeLessThan(1e-8);
      });
    },
  );

  it('swapping chosen and rejected adds βΔ to the sigmoid loss', () => {
    check(pairs, ([a, b, c, d]) => {
      const { losses, chosenRewards, rejectedRewards } = dpoLoss(a, b, c, d);
      const swapped = dpoLoss(b, a, d, c);
      const expected = losses.map((loss, i) => loss + chosenRewards[i]! - rejectedRewards[i]!);
      expect(relativeError(swapped.losses, expected)).toBeLessThan(1e-12);
      expect(swapped.chosenRewards).toEqual(rejectedRewards);
    });
  });

  it('a policy that is its reference has a sigmoid loss of log 2 and no rewards', () => {
    check(pairs, ([a, b]) => {
      const { losses, chosenRewards } = dpoLoss(a, b, a, b);
      expect(
        relativeError(
          losses,
          losses.map(() => Math.LN2),
        ),
      ).toBeLessThan(1e-15);
      expect(chosenRewards.every((reward) => reward === 0)).toBe(true);
    });
  });

  it('special cases agree: forward KL is α = 0, reverse KL α = 1, ldAlpha 1 is none, weights add up', () => {
    check(packedPairs, (tokens) => {
      const lossOf = (options: DpoOptions) => dpoLossFromTokens(tokens, options).loss;
      const alpha = (fAlphaDivergenceCoef: number): DpoOptions => ({
        fDivergenceType: 'alpha_divergence',
        fAlphaDivergenceCoef,
      });
      expect(lossOf(alpha(0))).toBe(lossOf({ fDivergenceType: 'forward_kl' }));
      expect(lossOf(alpha(1))).toBe(lossOf({}));
      expect(relativeError([lossOf(alpha(1 + 1e-5))], [lossOf({})])).toBeLessThan(0.05);
      expect(lossOf({ ldAlpha: 1 })).toBe(lossOf({}));
      const weighted = lossOf({ lossType: ['hinge', 'sft'], lossWeights: [2, 0.5] });
      expect(weighted).toBeCloseTo(2 * lossOf({ lossType: 'hinge' }) + 0.5 * lossOf({ lossType: 'sft' }), 10);
    });
  });

  it('dpoLoss of whole responses is dpoLossFromTokens of their tokens', () => {
    check(packedPairs, (tokens) => {
      const sums = new Array<number>(2 * tokens.pairCount).fill(0);
      const [policy, reference, counts] = [[...sums], [...sums], [...sums]] as [number[], number[], number[]];
      tokens.completionSegments.forEach((segment, m) => {
        policy[segment]! += tokens.policyLogps[m]!;
        reference[segment]! += tokens.referenceLogps[m]!;
        counts[segment]! += 1;
      });
      const of = (values: number[], side: number) => values.filter((__, segment) => segment % 2 === side);
      for (const options of sequenceOptions) {
        const given = { ...options, chosenLengths: of(counts, 0), rejectedLengths: of(counts, 1) };
        const whole = dpoLoss(of(policy, 0), of(policy, 1), of(reference, 0), of(reference, 1), given);
        expect(whole.losses).toEqual(dpoLossFromTokens(tokens, options).losses);
      }
    });
  });
});
