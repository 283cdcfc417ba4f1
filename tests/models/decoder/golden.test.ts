/** The reference checkpoints: logits, hidden states, greedy tokens, and TRL's 23 losses with their gradients. */

import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packPairs } from '../../../src/data/pack.js';
import type { TokenizedPair } from '../../../src/data/tokenize.js';
import { type DpoTokenGradient, dpoLossAndGradient } from '../../../src/losses/dpo-loss-from-tokens.js';
import type { LanguageModel } from '../../../src/models/language-model.js';
import { hiddenStates, tokenLogits } from '../../../src/models/logits.js';
import { placeBatch } from '../../../src/models/packed-batch.js';
import { backward, completionScores, forward } from '../../../src/models/passes.js';
import { disposeAll, memory, type Tensor, tensor } from '../../../src/runtime/tensor.js';
import { camelCased, titleOf } from '../../losses/support.js';
import {
  GOLDEN_NOTE,
  goldenJson,
  goldenPath,
  goldenTensors,
  idsAsTrlSawThem,
  withoutGolden,
} from '../../support/golden.js';
import { worstError } from '../../support/worst-error.js';
import { accumulate, allRows, byHuggingFaceName, type Gradients, loadDecoder, rowLogps } from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.skipIf(withoutGolden).each(['llama31', 'smollm2'])(`%s (${GOLDEN_NOTE})`, (name) => {
  let model: LanguageModel;
  let sequences: number[][];
  let expected: (name: string, sequence: number) => ArrayLike<number>;

  beforeAll(() => {
    model = loadDecoder(goldenPath(name));
    const tensors = goldenTensors(`${name}.logits.safetensors`);
    const { shape, data } = tensors.input_ids!;
    const [count, tokens] = shape as [number, number];
    sequences = Array.from({ length: count }, (_, i) => [...data.slice(i * tokens, (i + 1) * tokens)]);
    expected = (name, sequence) => {
      const { data } = tensors[name]!;
      return data.slice((sequence * data.length) / count, ((sequence + 1) * data.length) / count);
    };
  });

  afterAll(() => {
    model.dispose();
  });

  it('has the logits', async () => {
    for (const [i, ids] of sequences.entries()) {
      const logits = await tokenLogits(model, ids);
      expect(worstError(logits.toNumbers(), expected('logits', i))).toBeLessThan(1e-5);
      logits.dispose();
    }
  });

  it('has the hidden states of every layer', async () => {
    const before = memory();
    for (const [i, ids] of sequences.entries()) {
      const states = await hiddenStates(model, ids);
      expect(states).toHaveLength(model.config.numLayers + 1);
      for (const [layer, state] of states.entries()) {
        expect(worstError(state.toNumbers(), expected(`hidden.${layer}`, i)), `${layer}`).toBeLessThan(1e-5);
      }
      disposeAll(states);
    }
    expect(memory()).toEqual(before);
  });

  it('goes on with the greedy tokens', async () => {
    const { prompt, greedy } = goldenJson<{ prompt: number[]; greedy: number[] }>(`${name}.greedy.json`);
    const ids = [...prompt];
    for (let i = 0; i < greedy.length; i++) {
      const logits = await tokenLogits(model, ids);
      const last = logits.toNumbers().slice(-model.config.vocabSize);
      ids.push(last.indexOf(Math.max(...last)));
      logits.dispose();
    }
    expect(ids.slice(prompt.length)).toEqual(greedy);
  });
});

/** The exponential of a log-ratio of some tens, a sum of float32 numbers, is off by what the sum is. */
const toleranceOf = ({ f_divergence_type: divergence }: Record<string, unknown>) =>
  divergence === 'forward_kl' ? 3e-5 : 1e-5;

interface DpoCases {
  pairs: { prompt: number[]; chosen: number[]; rejected: number[] }[];
  token_logps: Record<'policy_chosen' | 'policy_rejected' | 'ref_chosen' | 'ref_rejected', number[]>[];
  cases: {
    options: Record<string, unknown>;
    loss: number;
    grad_norm: number;
    /** Sum and sum of magnitudes. */
    grad_sums: Record<string, [number, number]>;
  }[];
}

describe.skipIf(withoutGolden)(`preference pairs (${GOLDEN_NOTE})`, () => {
  const known: DpoCases = withoutGolden
    ? { pairs: [], token_logps: [], cases: [] }
    : goldenJson<DpoCases>('dpo-cases.json');
  const pairsWith = (ids: (ids: readonly number[]) => number[]): TokenizedPair[] =>
    known.pairs.map(({ prompt, chosen, rejected }, i) => ({
      id: `${i}`,
      promptIds: ids(prompt),
      chosenIds: ids(chosen),
      rejectedIds: ids(rejected),
    }));
  let policy: LanguageModel;
  let reference: LanguageModel;

  beforeAll(() => {
    policy = loadDecoder(goldenPath('llama31'));
    reference = loadDecoder(goldenPath('llama31-ref'));
  });

  afterAll(() => {
    policy.dispose();
    reference.dispose();
  });

  it('have the log-probabilities of every completion token', async () => {
    const pairs = pairsWith((ids) => [...ids]);
    const of = (who: 'policy' | 'ref') =>
      known.token_logps.flatMap((logps) => [...logps[`${who}_chosen`], ...logps[`${who}_rejected`]]);
    expect(worstError(await rowLogps(policy, pairs), of('policy'))).toBeLessThan(1e-6);
    expect(worstError(await rowLogps(reference, pairs), of('ref'))).toBeLessThan(1e-6);
  });

  it('come in 23 cases', () => {
    expect(known.cases).toHaveLength(23);
  });

  it.each(known.cases.map((known) => ({ title: titleOf(known.options), known })))(
    'have the loss, the gradient norm and the gradients of TRL: $title',
    async ({ known }) => {
      const before = memory();
      const tolerance = toleranceOf(known.options);
      const { loss, gradients } = await lossAndGradients(known.options);
      expect(memory()).toEqual(before);
      expect(Math.abs(loss / known.loss - 1)).toBeLessThan(tolerance);
      const squares = Object.values(gradients).map((gradient) => gradient.reduce((sum, x) => sum + x * x, 0));
      const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0));
      expect(Math.abs(norm / known.grad_norm - 1)).toBeLessThan(tolerance);
      for (const [name, [sum, magnitude]] of Object.entries(known.grad_sums)) {
        const actual = gradients[name]!;
        const sums = [actual.reduce((a, b) => a + b, 0), actual.reduce((a, b) => a + Math.abs(b), 0)];
        // The sum may be next to nothing: it is held against the magnitudes it is made of.
        expect(worstError(sums, [sum, magnitude]), name).toBeLessThan(tolerance);
      }
    },
  );

  async function lossAndGradients(options: Record<string, unknown>) {
    const row = packPairs(pairsWith(idsAsTrlSawThem));
    const batch = placeBatch(policy, row);
    const referenceLogps = await rowLogps(reference, row.pairs);
    const state = await forward(policy, batch, { keep: 'everything', adapter: null });
    const scores = await completionScores(policy, batch, state.hidden, {
      logSumSquares: options.use_weighting === true,
    });
    const { logps, logSumSquares } = scores;
    const { loss, slopes } = tf.tidy(() => {
      const onHost = (x: Tensor) => tf.tensor1d(x.data() as Float32Array);
      const result: DpoTokenGradient = dpoLossAndGradient(
        {
          policyLogps: onHost(logps),
          referenceLogps: tf.tensor1d(referenceLogps),
          completionSegments: row.completionSegments,
          pairCount: row.pairs.length,
          ...(logSumSquares && { policyLogSumSquares: onHost(logSumSquares) }),
        },
        camelCased(options),
      );
      return { loss: result.loss.arraySync(), slopes: result.policyLogpsGradient.dataSync() as Float32Array };
    });
    const dLogps = tensor('float32', [slopes.length], slopes);
    const gradients: Gradients = {};
    await backward(policy, batch, state, scores, dLogps, (id, gradient, rows) => {
      const values = gradient.data() as Float32Array;
      accumulate(gradients, id, rows === undefined ? values : allRows(values, rows));
      disposeAll([gradient, rows?.indices]);
    });
    disposeAll([Object.values(scores), dLogps, batch.tensors]);
    return { loss, gradients: byHuggingFaceName(policy.config, gradients) };
  }
});
