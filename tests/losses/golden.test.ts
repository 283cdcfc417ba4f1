import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { bradleyTerryLoss } from '../../src/losses/bradley-terry-loss.js';
import { dpoLoss } from '../../src/losses/dpo-loss.js';
import { dpoLossAndGradient, dpoLossFromTokens } from '../../src/losses/dpo-loss-from-tokens.js';
import { preferenceMetrics } from '../../src/losses/preference-metrics.js';
import {
  camelCased,
  inTensors,
  readGolden,
  relativeError,
  segmentsOf,
  type TrlCases,
  titleOf,
} from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const trl = readGolden<TrlCases>('trl-dpo-cases.json');
const tokens = {
  policyLogps: trl.policy_logps,
  referenceLogps: trl.reference_logps,
  policyLogSumSquares: trl.policy_log_sum_squares,
  completionSegments: segmentsOf(trl.lengths.flat()),
  pairCount: trl.lengths.length,
};

/** TRL's values are sums in float32; as are ours from tensors, where an exponential of one doubles the doubt. */
const TOLERANCE = 1e-5;
const FLOAT32_TOLERANCE = 2e-5;

describe.each(trl.cases.map((known) => ({ title: titleOf(known.options), known })))(
  'TRL 1.13: $title',
  ({ known }) => {
    const options = camelCased(known.options);

    it('has its loss, from numbers', () => {
      const { loss } = dpoLossFromTokens(tokens, options);
      expect(Math.abs(loss / known.loss - 1)).toBeLessThan(TOLERANCE);
    });

    it('has its loss and its gradient for each token, from tensors', () => {
      const { loss, policyLogpsGradient } = dpoLossAndGradient(inTensors(tokens), options);
      const scale = Math.max(...known.token_gradients.map(Math.abs));
      expect(Math.abs(loss.arraySync() / known.loss - 1)).toBeLessThan(FLOAT32_TOLERANCE);
      expect(
        relativeError(
          policyLogpsGradient.arraySync().map((g) => g / scale),
          known.token_gradients.map((g) => g / scale),
        ),
      ).toBeLessThan(FLOAT32_TOLERANCE);
    });

    it('has its metrics', () => {
      for (const [name, value] of Object.entries(preferenceMetrics(dpoLossFromTokens(tokens, options)))) {
        expect(Math.abs(value - known.metrics[name]!), name).toBeLessThan(
          TOLERANCE * Math.max(1, Math.abs(value)),
        );
      }
    });
  },
);

describe('the golden cases', () => {
  const folder = process.env.PERSONA_DPO_REFERENCE_DIR;
  const file = folder && join(folder, 'reference', 'golden', 'dpo-cases.json');

  it.skipIf(!file || !existsSync(file))(
    'include all 23 of the reference folder, with its losses and metrics (skipped without PERSONA_DPO_REFERENCE_DIR)',
    () => {
      const reference = JSON.parse(readFileSync(file!, 'utf8')) as Pick<TrlCases, 'cases'>;
      expect(reference.cases).toHaveLength(23);
      reference.cases.forEach((known, i) => {
        const copy = trl.cases[i]!;
        expect(copy.options).toEqual(known.options);
        expect(Math.abs(copy.loss / known.loss - 1)).toBeLessThan(1e-6);
        expect(relativeError(Object.values(copy.metrics), Object.values(known.metrics))).toBeLessThan(1e-5);
      });
    },
  );
});

interface SequenceCase {
  name: string;
  beta: number;
  label_smoothing: number;
  policy_chosen: number[];
  policy_rejected: number[];
  ref_chosen: number[];
  ref_rejected: number[];
  sigmoid: number[];
  hinge: number[];
  ipo: number[];
  chosen_rewards: number[];
  rejected_rewards: number[];
}

describe.each(readGolden<{ cases: SequenceCase[] }>('sequence-cases.json').cases)(
  'sequence case $name',
  (known) => {
    const inputs = [
      known.policy_chosen,
      known.policy_rejected,
      known.ref_chosen,
      known.ref_rejected,
    ] as const;

    it.each(['sigmoid', 'hinge', 'ipo'] as const)('has its %s loss and rewards', (lossType) => {
      const options = { lossType, beta: known.beta, labelSmoothing: known.label_smoothing };
      const { losses, chosenRewards, rejectedRewards } = dpoLoss(...inputs, options);
      expect(relativeError(losses, known[lossType])).toBeLessThan(1e-12);
      expect(relativeError(chosenRewards, known.chosen_rewards)).toBeLessThan(1e-12);
      expect(relativeError(rejectedRewards, known.rejected_rewards)).toBeLessThan(1e-12);
    });

    it('keeps the digits of a small loss', () => {
      const { losses } = dpoLoss(...inputs, { beta: known.beta, labelSmoothing: known.label_smoothing });
      losses.forEach((loss, i) => {
        expect(loss / known.sigmoid[i]!).toBeCloseTo(1, 9);
      });
    });
  },
);

it('the Bradley-Terry loss of a reward head is that of torch', () => {
  const chosen = [0.32637491822, 0.5111542344, -1.3031076193, 0.9595172405, -0.585945487, 0.6853021982];
  const rejected = [-0.1777346134, -0.1635929644, -1.5390086174, 0.4447639585, -0.360309273, 0.3205298781];
  const losses = bradleyTerryLoss(chosen, rejected);
  expect(losses.reduce((a, b) => a + b) / losses.length).toBeCloseTo(0.5457417964935303, 6);
});
