import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { ConfigError, ShapeError } from '../../src/errors.js';
import { bradleyTerryLoss } from '../../src/losses/bradley-terry-loss.js';
import { dpoLoss } from '../../src/losses/dpo-loss.js';
import { dpoLossAndGradient, dpoLossFromTokens } from '../../src/losses/dpo-loss-from-tokens.js';
import { DPO_LOSS_TYPES, type DpoOptions, lossCouplesPairs } from '../../src/losses/dpo-options.js';
import { preferenceMetrics } from '../../src/losses/preference-metrics.js';
import { sftLoss } from '../../src/losses/sft-loss.js';
import { exampleTokens, inTensors, leakedTensors, OPTIONS_OF_EACH_TYPE, titleOf } from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('forms', () => {
  it('numbers of any array give number[], and no tensor is made', () => {
    const before = tf.memory().numTensors;
    const fromArrays = dpoLoss([-1], [-2], [-1.5], [-1.5]);
    const fromTyped = dpoLoss(
      new Float64Array([-1]),
      new Float32Array([-2]),
      new Float32Array([-1.5]),
      Float64Array.of(-1.5),
    );
    expectTypeOf(fromTyped.losses).toEqualTypeOf<number[]>();
    expect(fromTyped).toEqual(fromArrays);
    expect(fromArrays).toEqual({
      losses: [Math.log1p(Math.exp(-0.1))],
      chosenRewards: [0.05],
      rejectedRewards: [-0.05],
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('tensors give tensors', () => {
    tf.tidy(() => {
      const logps = (value: number) => tf.tensor1d([value]);
      const { losses } = dpoLoss(logps(-1), logps(-2), logps(-1.5), logps(-1.5));
      expectTypeOf(losses).toEqualTypeOf<tf.Tensor1D>();
      expect(losses.dataSync()[0]).toBeCloseTo(Math.log1p(Math.exp(-0.1)), 6);
    });
  });

  it('inputs are left as they were', () => {
    const given = [-3, -1, -2];
    dpoLoss(given, [-1, -2, -3], [0, 0, 0], [0, 0, 0], { lossType: 'aot' });
    expect(given).toEqual([-3, -1, -2]);
  });

  it('mixed forms, ranks and lengths are refused', () => {
    const tensor = tf.tensor1d([-1]);
    // @ts-expect-error one form for all inputs
    expect(() => dpoLoss(tensor, [-1], [-1], [-1])).toThrow(
      /all inputs.*a tensor for policyChosen.*an array/,
    );
    const matrix = tf.zeros([2, 2]);
    expect(() => dpoLoss(matrix, matrix, matrix, matrix)).toThrow(/rank 1, got shape \[2, 2\]/);
    expect(() => dpoLoss([-1], [-1], [-1, -2], [-1])).toThrow(
      new ShapeError('referenceChosen: expected shape [1] as of policyChosen, got [2]'),
    );
    expect(() => dpoLoss([], [], [], [])).toThrow(ShapeError);
    tf.dispose([tensor, matrix]);
  });
});

describe('no tensor is left behind', () => {
  const tokens = inTensors(exampleTokens());

  it.each(OPTIONS_OF_EACH_TYPE.map((options) => [titleOf(options), options] as const))(
    'by %s',
    (_, options) => {
      expect(leakedTensors(() => ({ ...dpoLossFromTokens(tokens, options) }))).toBe(0);
      expect(leakedTensors(() => ({ ...dpoLossAndGradient(tokens, options) }))).toBe(0);
    },
  );

  it('by the others', () => {
    const a = tf.tensor1d([-1, -2]);
    const b = tf.tensor1d([-2, -1]);
    const metrics = { chosenRewards: a, rejectedRewards: b, chosenLogps: a, rejectedLogps: b };
    expect(leakedTensors(() => ({ ...dpoLoss(a, b, b, a) }))).toBe(0);
    expect(leakedTensors(() => sftLoss(a, { completionMask: [0, 1] }))).toBe(0);
    expect(leakedTensors(() => bradleyTerryLoss(a, b, { margin: 1, centerRewardsCoefficient: 0.1 }))).toBe(0);
    expect(leakedTensors(() => ({ ...preferenceMetrics(metrics) }))).toBe(0);
  });
});

describe('options', () => {
  const loss = (options: DpoOptions) => dpoLoss([-1], [-1], [-1], [-1], options);

  it.each<[DpoOptions, RegExp]>([
    [{ lossType: [] }, /lossType: expected at least one/],
    [{ lossType: 'dpo' as 'sigmoid' }, /lossType: expected one of sigmoid, .*, got 'dpo'/],
    [
      { lossType: ['sigmoid', 'hinge'], lossWeights: [1] },
      /lossWeights: expected one weight for each of the 2 losses.*got 1/,
    ],
    [{ lossWeights: [Number.NaN] }, /lossWeights: expected a finite number/],
    [{ beta: 0 }, /beta: expected a number above 0, got 0/],
    [{ beta: '0.1' as unknown as number }, /beta: expected a number above 0, got "0.1"/],
    [{ labelSmoothing: -0.1 }, /labelSmoothing: expected a number in \[0, 1\]/],
    [{ lossType: 'robust', labelSmoothing: 0.5 }, /in \[0, 0.5\) for lossType 'robust', got 0.5/],
    [{ lossType: 'exo_pair' }, /in \(0, 1\) for lossType 'exo_pair'.*got 0/],
    [{ lossType: 'exo_pair', labelSmoothing: 1 }, /in \(0, 1\) for lossType 'exo_pair'.*got 1/],
    [{ discopopTau: 0 }, /discopopTau: expected a number above 0/],
    [{ fDivergenceType: 'kl' as 'reverse_kl' }, /fDivergenceType: expected one of reverse_kl, /],
    [
      { fDivergenceType: 'forward_kl', lossType: ['sigmoid', 'bco_pair'] },
      /'forward_kl' is defined for .*'bco_pair'/,
    ],
    [{ fAlphaDivergenceCoef: Number.POSITIVE_INFINITY }, /fAlphaDivergenceCoef: expected a finite number/],
    [{ lossType: 'aot', useWeighting: true }, /useWeighting weighs each pair, but lossType 'aot' sorts/],
    [{ ldAlpha: 1.5 }, /ldAlpha: expected null or a number in \[0, 1\], got 1.5/],
    [{ ldAlpha: 0.5 }, /ldAlpha needs the log-probability of each token.*dpoLossFromTokens/],
    [{ useWeighting: true }, /useWeighting needs the log-probability of each token/],
    [{ lossType: 'sft' }, /'sft': expected chosenLengths and rejectedLengths/],
    [{ lossType: 'sigmoid_norm' }, /'sigmoid_norm': expected chosenLengths and rejectedLengths/],
  ])('%j is refused', (options, message) => {
    expect(() => loss(options)).toThrow(ConfigError);
    expect(() => loss(options)).toThrow(message);
  });

  it('lengths come in twos, one for each pair', () => {
    expect(() => dpoLoss([-1], [-1], [-1], [-1], { chosenLengths: [1] })).toThrow(/both or neither/);
    expect(() => dpoLoss([-1], [-1], [-1], [-1], { chosenLengths: [1], rejectedLengths: [1, 2] })).toThrow(
      'rejectedLengths: expected 1 values, got 2',
    );
  });

  it('null stands for the default, as in a configuration file', () => {
    expect(loss({ ldAlpha: null, lossWeights: null })).toEqual(loss({}));
  });

  it('only aot and aot_unpaired couple pairs, alone or among others', () => {
    const coupling = DPO_LOSS_TYPES.filter((lossType) => lossCouplesPairs({ lossType, labelSmoothing: 0.1 }));
    expect(coupling).toEqual(['aot', 'aot_unpaired']);
    expect(lossCouplesPairs({ lossType: ['sigmoid', 'aot'] })).toBe(true);
    expect(lossCouplesPairs()).toBe(false);
  });
});

describe('dpoLossFromTokens', () => {
  const tokens = exampleTokens();

  it('refuses segments, lengths and counts that do not fit', () => {
    expect(() => dpoLossFromTokens({ ...tokens, pairCount: 2 })).toThrow(/segments below 4, got 4/);
    expect(() => dpoLossFromTokens({ ...tokens, pairCount: 0 })).toThrow(
      /pairCount: expected an integer of at least 1/,
    );
    expect(() => dpoLossFromTokens({ ...tokens, completionSegments: Int32Array.of(0) })).toThrow(
      'completionSegments: expected 20 values, got 1',
    );
    expect(() => dpoLossFromTokens({ ...tokens, referenceLogps: [0] })).toThrow(
      /referenceLogps: expected shape \[20\]/,
    );
  });

  it('asks for policyLogSumSquares where pairs are weighted', () => {
    const { policyLogSumSquares: _, ...without } = tokens;
    expect(() => dpoLossFromTokens(without, { useWeighting: true })).toThrow(/expected policyLogSumSquares/);
  });

  it('weighs the tail of the longer response by ldAlpha', () => {
    const logps = [-1, -2, -4, -8, -16];
    const { chosenLogps, rejectedLogps } = dpoLossFromTokens(
      {
        policyLogps: logps,
        referenceLogps: logps,
        completionSegments: Int32Array.of(0, 0, 0, 1, 1),
        pairCount: 1,
      },
      { ldAlpha: 0.25 },
    );
    expect([chosenLogps, rejectedLogps]).toEqual([[-1 - 2 - 0.25 * 4], [-24]]);
  });

  it('takes the sft loss over all tokens of the batch, not pair by pair', () => {
    const { loss } = dpoLossFromTokens(tokens, { lossType: 'sft' });
    const chosen = tokens.policyLogps.filter((_, m) => tokens.completionSegments[m]! % 2 === 0);
    expect(loss).toBeCloseTo(sftLoss(chosen), 12);
  });
});

describe('sftLoss', () => {
  it('is the mean over the tokens that count', () => {
    expect(sftLoss([-1, -2, -6])).toBe(3);
    expect(sftLoss([-1, -2, -6], { completionMask: [1, 0, 1] })).toBe(3.5);
    expect(sftLoss([-1, -2], { completionMask: [0, 0] })).toBeCloseTo(0);
    expect(sftLoss(tf.tensor1d([-1, -2, -6]), { completionMask: [0, 1, 1] }).arraySync()).toBe(4);
    expect(() => sftLoss([-1], { completionMask: [1, 1] })).toThrow(ShapeError);
  });
});

describe('bradleyTerryLoss', () => {
  it('takes a margin and a centering term', () => {
    const softplus = (x: number) => Math.log1p(Math.exp(x));
    expect(bradleyTerryLoss([1], [0])).toEqual([softplus(-1)]);
    expect(bradleyTerryLoss([1, 1], [0, 0], { margin: [3, 0] })).toEqual([softplus(2), softplus(-1)]);
    expect(bradleyTerryLoss([1], [0.5], { margin: 0.5, centerRewardsCoefficient: 2 })[0]).toBeCloseTo(
      Math.LN2 + 4.5,
      12,
    );
    expect(bradleyTerryLoss([-1e4], [1e4])).toEqual([2e4]);
  });

  it('refuses margins that do not fit and negative coefficients', () => {
    expect(() => bradleyTerryLoss([1], [0], { margin: [1, 2] })).toThrow('margin: expected 1 values, got 2');
    expect(() => bradleyTerryLoss([1], [0], { centerRewardsCoefficient: -1 })).toThrow(ConfigError);
  });
});

describe('preferenceMetrics', () => {
  const inputs = {
    chosenRewards: [0, 2, -1],
    rejectedRewards: [0, 1, 3],
    chosenLogps: [-1, -2, -3],
    rejectedLogps: [-4, -5, -9],
  };
  const expected = {
    'rewards/chosen': 1 / 3,
    'rewards/rejected': 4 / 3,
    'rewards/accuracies': 1 / 3,
    'rewards/margins': -1,
    'logps/chosen': -2,
    'logps/rejected': -6,
  };

  it('are means over the pairs; equal rewards are no hit', () => {
    expect(preferenceMetrics(inputs)).toEqual(expected);
  });

  it('are scalars for tensors', () => {
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, values]) => [name, tf.tensor1d(values)]),
    );
    const metrics = preferenceMetrics(tensors as Record<keyof typeof inputs, tf.Tensor>);
    for (const [name, value] of Object.entries(expected)) {
      expect(metrics[name as keyof typeof expected].arraySync()).toBeCloseTo(value, 6);
    }
  });
});
