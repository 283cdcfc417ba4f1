import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { dpoLossAndGradient, dpoLossFromTokens } from '../../src/losses/dpo-loss-from-tokens.js';
import { useTensorflowBackend } from '../../src/runtime/tfjs/backend.js';
import {
  exampleTokens,
  inTensors,
  leakedTensors,
  OPTIONS_OF_EACH_TYPE,
  relativeError,
  titleOf,
} from './support.js';

const tokens = exampleTokens();

/** Gradients on tfjs' own backend, which `gradients.test.ts` holds to central differences. */
let expected: Float32Array[];

beforeAll(async () => {
  await tf.setBackend('cpu');
  expected = OPTIONS_OF_EACH_TYPE.map((options) =>
    tf.tidy(() => dpoLossAndGradient(inTensors(tokens), options).policyLogpsGradient.dataSync<'float32'>()),
  );
  await useTensorflowBackend();
});

describe('on the TensorFlow backend', () => {
  it.each(OPTIONS_OF_EACH_TYPE.map((options, i) => [titleOf(options), options, i] as const))(
    'the same losses, the same gradients, nothing left behind: %s',
    (_, options, i) => {
      const given = inTensors(tokens);
      const leaked = leakedTensors(() => {
        const result = dpoLossAndGradient(given, options);
        expect(
          relativeError(result.losses.dataSync(), dpoLossFromTokens(tokens, options).losses),
        ).toBeLessThan(1e-5);
        expect(relativeError(result.policyLogpsGradient.dataSync(), expected[i]!)).toBeLessThan(1e-5);
        return { ...result };
      });
      expect(leaked).toBe(0);
    },
  );
});
