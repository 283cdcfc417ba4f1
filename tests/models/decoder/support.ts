import * as tf from '@tensorflow/tfjs';
import { type PackedBatch, type PackOptions, packPairs } from '../../../src/data/pack.js';
import { createRandom } from '../../../src/data/random.js';
import type { TokenizedPair } from '../../../src/data/tokenize.js';
import {
  type DecoderWeights,
  decoderHead,
  decoderHiddenStates,
} from '../../../src/kernels/oracle/decoder.js';
import type { LowRankFactors } from '../../../src/kernels/oracle/layers.js';
import { tokenScores } from '../../../src/kernels/oracle/token-scores.js';
import { fusedWeights } from '../../../src/models/fused-weights.js';
import { LanguageModel } from '../../../src/models/language-model.js';
import { loadWeights } from '../../../src/models/load-weights.js';
import { LoraAdapter, type LoraConfig } from '../../../src/models/lora-adapter.js';
import { LINEAR_MODULES, type LinearModule } from '../../../src/models/lora-shape.js';
import { expectedWeights, type ModelConfig } from '../../../src/models/model-config.js';
import { loadModelFiles } from '../../../src/models/model-files.js';
import { placeBatch } from '../../../src/models/packed-batch.js';
import {
  backward,
  completionLogps,
  completionScores,
  forward,
  type GradientRows,
  type Keep,
} from '../../../src/models/passes.js';
import { ropeFrequencies } from '../../../src/models/rope-frequencies.js';
import { type WeightSource, weightInfo } from '../../../src/models/weight-source.js';
import { disposeAll, keep, tensor } from '../../../src/runtime/tensor.js';
import { worstError } from '../../support/worst-error.js';

export type Precision = 'float32' | 'bfloat16';

export interface ModelOptions {
  dtype?: Precision;
  /** What is multiplied in, where it is not what this machine's processor suggests. */
  computeDtype?: Precision;
  xla?: boolean;
}

/** The model in a Hugging Face folder. */
export function loadDecoder(
  folder: string,
  { dtype = 'float32', xla = false }: ModelOptions = {},
): LanguageModel {
  const { config, weights } = loadModelFiles(folder);
  try {
    return new LanguageModel(config, dtype, loadWeights(weights, config, { dtype }), { xla });
  } finally {
    weights.close();
  }
}

/** Weights on the host by Hugging Face's names. */
export type HostWeights = Record<string, { shape: readonly number[]; data: Float32Array }>;

/** Random weights; norms around 1, biases around 0, so that a missing one shows. */
export function randomWeights(config: ModelConfig, seed: number, scale = 0.15): HostWeights {
  const random = createRandom(seed);
  return Object.fromEntries(
    expectedWeights(config).map(({ name, shape }) => {
      const mean = /norm\.weight$/.test(name) ? 1 : 0;
      const count = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length: count }, () => mean + scale * random.normal());
      return [name, { shape, data }];
    }),
  );
}

export function modelOf(
  config: ModelConfig,
  weights: HostWeights,
  { dtype = 'float32', xla = false, computeDtype }: ModelOptions = {},
): LanguageModel {
  const source: WeightSource = {
    format: 'safetensors',
    tensors: new Map(
      Object.entries(weights).map(([name, { shape, data }]) => [
        name,
        { name, dtype: 'float32', shape: [...shape], byteLength: data.byteLength },
      ]),
    ),
    read(name, target) {
      weightInfo(source, name);
      const { data } = weights[name]!;
      target.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    },
    close() {},
  };
  const loaded = loadWeights(source, config, { dtype });
  return new LanguageModel(config, dtype, loaded, { xla, ...(computeDtype && { computeDtype }) });
}

/** A small decoder, every size different where it may be. */
export function smallConfig(overrides: Partial<ModelConfig> = {}): ModelConfig {
  return {
    architecture: 'llama',
    vocabSize: 29,
    hiddenSize: 12,
    intermediateSize: 14,
    numLayers: 2,
    numHeads: 4,
    numKeyValueHeads: 2,
    headDim: 6,
    rmsNormEps: 1e-5,
    ropeTheta: 10_000,
    ropeScaling: { type: 'default' },
    maxPositionEmbeddings: 64,
    slidingWindow: null,
    tieWordEmbeddings: false,
    attentionBias: false,
    attentionOutputBias: false,
    mlpBias: false,
    queryKeyNorm: false,
    bosTokenId: null,
    eosTokenIds: [2],
    padTokenId: null,
    ...overrides,
  };
}

/** Pairs of random tokens, at least one in each part. */
export function randomPairs(
  count: number,
  seed: number,
  { vocabSize = 29, longest = 9 } = {},
): TokenizedPair[] {
  const random = createRandom(seed, 1);
  const ids = () => Array.from({ length: 1 + random.int(longest) }, () => random.int(vocabSize));
  return Array.from({ length: count }, (_, i) => ({
    id: `${i}`,
    promptIds: ids(),
    chosenIds: ids(),
    rejectedIds: ids(),
  }));
}

/** LoRA factors on every module, neither A nor B zero. */
export function randomAdapter(
  config: ModelConfig,
  seed: number,
  { rank = 3, ...rest }: Partial<LoraConfig> = {},
): { adapter: LoraAdapter; factors: HostWeights } {
  const random = createRandom(seed, 2);
  const lora = { rank, alpha: 6, dropout: 0, modules: LINEAR_MODULES, useRslora: false, ...rest };
  const shapes = Object.fromEntries(expectedWeights(config).map(({ name, shape }) => [name, shape]));
  const factors: HostWeights = {};
  const layers = Array.from({ length: config.numLayers }, (_, layer) =>
    Object.fromEntries(
      lora.modules.flatMap((module) => {
        const [out, input] = shapes[moduleWeight(layer, module)] as [number, number];
        return (['A', 'B'] as const).map((factor) => {
          const shape = factor === 'A' ? [rank, input] : [out, rank];
          const data = Float32Array.from({ length: shape[0]! * shape[1]! }, () => 0.3 * random.normal());
          factors[`layers.${layer}.${module}.${factor}`] = { shape, data };
          return [`${module}.${factor}`, keep(tensor('float32', shape, data))];
        });
      }),
    ),
  );
  return { adapter: new LoraAdapter(lora, layers), factors };
}

export function modulePath(layer: number, module: string): string {
  return `model.layers.${layer}.${/gate|up|down/.test(module) ? 'mlp' : 'self_attn'}.${module}`;
}

export function moduleWeight(layer: number, module: string): string {
  return `${modulePath(layer, module)}.weight`;
}

export interface PassOptions extends PackOptions {
  keep?: Keep;
  adapter?: LoraAdapter | null;
  dropoutSeed?: number;
}

export type Gradients = Record<string, Float32Array>;

/** What the loss says of the tokens: `d loss / d logp` of each, from their log-probabilities. */
export type LossSlopes = (logps: Float32Array, batch: PackedBatch) => ArrayLike<number>;

/** Log-probabilities of the completion tokens of one packed row. */
export async function rowLogps(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  { adapter = null, ...pack }: PassOptions = {},
): Promise<Float32Array> {
  const batch = placeBatch(model, packPairs(pairs, pack));
  const { hidden } = await forward(model, batch, { keep: 'nothing', adapter });
  const logps = await completionLogps(model, batch, hidden);
  const values = logps.data() as Float32Array;
  disposeAll([logps, hidden, batch.tensors]);
  return values;
}

/** Forward and backward through one packed row; gradients by the model's identifiers, summed where several came. */
export async function rowGradients(
  model: LanguageModel,
  pairs: readonly TokenizedPair[],
  slopes: LossSlopes,
  { adapter = null, keep = 'everything', dropoutSeed, ...pack }: PassOptions = {},
): Promise<{ logps: Float32Array; gradients: Gradients }> {
  const row = packPairs(pairs, pack);
  const batch = placeBatch(model, row);
  const state = await forward(model, batch, {
    keep,
    adapter,
    ...(dropoutSeed !== undefined && { dropoutSeed }),
  });
  const scores = await completionScores(model, batch, state.hidden);
  const logps = scores.logps.data() as Float32Array;
  const dLogps = tensor('float32', [logps.length], Float32Array.from(slopes(logps, row)));
  const gradients: Gradients = {};
  await backward(model, batch, state, scores, dLogps, (id, gradient, rows) => {
    const { dtype } = gradient;
    const values =
      dtype === 'float32' ? (gradient.data() as Float32Array) : Float32Array.from(gradient.toNumbers());
    accumulate(gradients, id, rows === undefined ? values : allRows(values, rows));
    disposeAll([gradient, rows?.indices]);
  });
  disposeAll([Object.values(scores), dLogps, batch.tensors]);
  return { logps, gradients };
}

/** A gradient of some rows as one of the whole matrix. */
export function allRows(values: Float32Array, { indices, count }: GradientRows): Float32Array {
  const rows = indices.data() as Int32Array;
  const width = values.length / rows.length;
  const all = new Float32Array(count * width);
  rows.forEach((row, i) => {
    for (let column = 0; column < width; column++) all[row * width + column] = values[i * width + column]!;
  });
  return all;
}

export function accumulate(sums: Gradients, id: string, values: Float32Array): void {
  const sum = sums[id];
  if (sum === undefined) sums[id] = values.slice();
  else for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
}

/** Gradients of the fused weights as those of Hugging Face's tensors. */
export function byHuggingFaceName(config: ModelConfig, gradients: Gradients): Gradients {
  const sizes = Object.fromEntries(
    expectedWeights(config).map(({ name, shape }) => [name, shape.reduce((a, b) => a * b, 1)]),
  );
  const named: Gradients = {};
  const take = (id: string, sources: readonly string[]) => {
    const gradient = gradients[id]!;
    let offset = 0;
    for (const name of sources) {
      named[name] = gradient.subarray(offset, offset + sizes[name]!);
      offset += sizes[name]!;
    }
    if (offset !== gradient.length) throw new Error(`${id} has ${gradient.length} elements, not ${offset}`);
  };
  take('embedding', ['model.embed_tokens.weight']);
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const [name, { sources }] of Object.entries(fusedWeights(config, layer))) {
      take(`layers.${layer}.${name}`, sources);
    }
  }
  take('finalNorm', ['model.norm.weight']);
  if (!config.tieWordEmbeddings) take('head', ['lm_head.weight']);
  return named;
}

/** Slopes that differ from token to token and in sign. */
export const unevenSlopes: LossSlopes = (logps) => Array.from(logps, (_, i) => Math.cos(1.3 * i + 0.4));

/** Which of the oracle's adapters acts where. */
export function oracleAdapters(
  factors: Readonly<Record<string, tf.Tensor>>,
  config: ModelConfig,
  { alpha, rank, modules, useRslora }: LoraConfig,
  dropout?: (layer: number, module: LinearModule, width: number) => tf.Tensor2D,
): Record<string, LowRankFactors> {
  const entries = Array.from({ length: config.numLayers }, (_, layer) =>
    modules.map((module): [string, LowRankFactors] => {
      const a = factors[`layers.${layer}.${module}.A`] as tf.Tensor2D;
      const b = factors[`layers.${layer}.${module}.B`] as tf.Tensor2D;
      const drawn = dropout && { dropout: dropout(layer, module, a.shape[1]) };
      return [
        modulePath(layer, module),
        { a, b, scale: alpha / (useRslora ? Math.sqrt(rank) : rank), ...drawn },
      ];
    }),
  );
  return Object.fromEntries(entries.flat());
}

/** The oracle's log-probabilities of the completion tokens of a packed row. */
export function oracleLogps(
  config: ModelConfig,
  weights: DecoderWeights,
  row: PackedBatch,
  adapters: Readonly<Record<string, LowRankFactors>> = {},
): tf.Tensor1D {
  return tf.tidy(() => {
    const options = { frequencies: ropeFrequencies(config), adapters };
    const hidden = decoderHiddenStates(config, weights, row.inputIds, row, options).at(-1)!;
    const rows = tf.gather(hidden, tf.tensor1d(row.gatherIndices, 'int32'));
    return tokenScores(rows, decoderHead(weights), tf.tensor1d(row.labels, 'int32')).logps;
  });
}

export function toTfjs(weights: HostWeights): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { shape, data }]) => [name, tf.tensor(data, [...shape])]),
  );
}

/** Gradients of `sum(slopes * logps)` by tfjs through the oracle, for all of `free`. */
export function oracleGradients(
  free: Readonly<Record<string, tf.Tensor>>,
  logps: (tensors: Readonly<Record<string, tf.Tensor>>) => tf.Tensor1D,
  slopes: ArrayLike<number>,
): Gradients {
  return tf.tidy(() => {
    const names = Object.keys(free);
    const loss = (...xs: tf.Tensor[]) => {
      const tensors = Object.fromEntries(names.map((name, i) => [name, xs[i]!]));
      return logps(tensors)
        .mul(tf.tensor1d(Array.from(slopes)))
        .sum();
    };
    const gradients = tf.grads(loss)(Object.values(free));
    return Object.fromEntries(names.map((name, i) => [name, gradients[i]!.dataSync() as Float32Array]));
  });
}

/** The error of each gradient, those above `tolerance`, by name. */
export function wrongGradients(
  actual: Gradients,
  expected: Gradients,
  tolerance: number,
): Record<string, number> {
  const names = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  const errors = [...names].map((name): [string, number] => [
    name,
    worstError(actual[name] ?? [], expected[name] ?? []),
  ]);
  return Object.fromEntries(errors.filter(([, error]) => !(error < tolerance)));
}
