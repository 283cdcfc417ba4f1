/** The head of a reward model: one linear output on the decoder's final norm, read at the last token of a response. */

import type { PackedBatch } from '../../data/pack.js';
import { cast, gather, matmul, mul, reshape, toFloat32 } from '../../kernels/graph-math.js';
import { rmsNorm, rmsNormGradient } from '../../kernels/rms-norm.js';
import type { LanguageModel } from '../../models/language-model.js';
import type { DeviceBatch } from '../../models/packed-batch.js';
import type { GradientSink } from '../../models/passes.js';
import { attr } from '../../runtime/attributes.js';
import { callNamedAsync, defineNamed, type NamedFunction } from '../../runtime/named-function.js';
import { keep, scope, type Tensor, tensor } from '../../runtime/tensor.js';
import type { TrainableParameter } from '../trainable-parameters.js';

/** Identifier of the head's weight among a run's parameters. */
export const SCORE_ID = 'score';

/** The head's weight, float32 `[1, D]`. Whoever made it disposes it. */
export class RewardHead {
  #weight: Tensor;

  constructor(values: Float32Array) {
    this.#weight = keep(tensor('float32', [1, values.length], values));
  }

  get weight(): Tensor {
    return this.#weight;
  }

  values(): Float32Array {
    return this.#weight.data() as Float32Array;
  }

  /** The weight as something to train. */
  get parameter(): TrainableParameter {
    return {
      id: SCORE_ID,
      decays: true,
      current: () => this.#weight,
      replace: (value) => {
        this.#weight.dispose();
        this.#weight = keep(value);
      },
    };
  }

  dispose(): void {
    this.#weight.dispose();
  }
}

/** Where the last tokens of responses are in a packed row, `[2B]`: chosen of pair 0, rejected of pair 0, chosen of pair 1, ... */
export function responseEnds({ sizes, pairs }: PackedBatch): Int32Array {
  const ends = new Int32Array(2 * pairs.length);
  let token = 0;
  for (let pair = 0; pair < pairs.length; pair++) {
    const [prompt, chosen, rejected] = sizes.subarray(3 * pair, 3 * pair + 3) as unknown as [
      number,
      number,
      number,
    ];
    ends[2 * pair] = token + prompt + chosen - 1;
    ends[2 * pair + 1] = token + prompt + chosen + rejected - 1;
    token += prompt + chosen + rejected;
  }
  return ends;
}

interface HeadFunctions {
  /** `features`, the final norm of the last tokens' hidden states, float32 `[2B, D]`. */
  features: NamedFunction;
  /** `rewards`, `[2B]`, float32. */
  rewards: NamedFunction;
  /** From `d loss / d reward` to the gradients of hidden states, final norm and head. */
  backward: NamedFunction;
}

const functionsOf = new WeakMap<LanguageModel, HeadFunctions>();

function headFunctions(model: LanguageModel): HeadFunctions {
  const functions = functionsOf.get(model) ?? defineFunctions(model);
  functionsOf.set(model, functions);
  return functions;
}

/** In float32 from the gathered rows on: a reward is one number, and rounding it costs the ranking. */
function defineFunctions({ config, dtype }: LanguageModel): HeadFunctions {
  const eps = config.rmsNormEps;
  const rows = { hidden: dtype, finalNorm: 'float32', indices: 'int32' } as const;
  const withScore = { ...rows, score: 'float32' } as const;
  return {
    features: defineNamed('reward_features', rows, (g, v) => ({
      features: rmsNorm(g, toFloat32(g, gather(g, v.hidden!, v.indices!)), v.finalNorm!, eps),
    })),
    rewards: defineNamed('rewards', withScore, (g, v) => {
      const features = rmsNorm(g, toFloat32(g, gather(g, v.hidden!, v.indices!)), v.finalNorm!, eps);
      return { rewards: reshape(g, matmul(g, features, v.score!, { transposeB: true }), [-1]) };
    }),
    backward: defineNamed(
      'reward_backward',
      { ...withScore, dRewards: 'float32', tokens: 'int32' },
      (g, v) => {
        const x = toFloat32(g, gather(g, v.hidden!, v.indices!));
        const dRewards = reshape(g, v.dRewards!, [-1, 1]);
        const features = rmsNorm(g, x, v.finalNorm!, eps);
        const { dx, dw } = rmsNormGradient(g, x, v.finalNorm!, mul(g, dRewards, v.score!), eps, 2);
        const spread = g.op('UnsortedSegmentSum', [dx, v.indices!, v.tokens!], {
          T: attr.type('float32'),
          Tindices: attr.type('int32'),
          Tnumsegments: attr.type('int32'),
        });
        return {
          dHidden: cast(g, spread, dtype),
          'd:finalNorm': dw,
          'd:score': matmul(g, dRewards, features, { transposeA: true }),
        };
      },
    ),
  };
}

/** What the head sees of each response, float32 `[2B, D]`. */
export async function responseFeatures(
  model: LanguageModel,
  { batch }: DeviceBatch,
  hidden: Tensor,
): Promise<Tensor> {
  return scope(async () => {
    const inputs = { hidden, finalNorm: model.weights.finalNorm, indices: endsOf(batch) };
    return (await callNamedAsync(headFunctions(model).features, inputs)).features!;
  });
}

/** `r = w · norm(h)` of each response, float32 `[2B]`. */
export async function responseRewards(
  model: LanguageModel,
  head: RewardHead,
  { batch }: DeviceBatch,
  hidden: Tensor,
): Promise<Tensor> {
  return scope(async () => {
    const { finalNorm } = model.weights;
    const inputs = { hidden, finalNorm, indices: endsOf(batch), score: head.weight };
    return (await callNamedAsync(headFunctions(model).rewards, inputs)).rewards!;
  });
}

/**
 * The gradient of the hidden states, `[N, D]`; the head's goes to `sink`, and that of the final norm where all weights
 * are trained.
 *
 * @param dRewards `d loss / d reward`, float32 `[2B]`
 */
export async function headBackward(
  model: LanguageModel,
  head: RewardHead,
  { batch, tokens }: DeviceBatch,
  hidden: Tensor,
  dRewards: Tensor,
  sink: GradientSink,
): Promise<Tensor> {
  return scope(async () => {
    const outputs = await callNamedAsync(headFunctions(model).backward, {
      hidden,
      finalNorm: model.weights.finalNorm,
      indices: endsOf(batch),
      score: head.weight,
      dRewards,
      tokens: tensor('int32', [], [tokens]),
    });
    sink(SCORE_ID, keep(outputs['d:score']!));
    if (model.adapter === null) sink('finalNorm', keep(outputs['d:finalNorm']!));
    return outputs.dHidden!;
  });
}

function endsOf(batch: PackedBatch): Tensor {
  const ends = responseEnds(batch);
  return tensor('int32', [ends.length], ends);
}
