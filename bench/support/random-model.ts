/** Models of known shapes with random weights, made in the device's memory: nothing to download. */

import type { ComputeDType } from '../../src/kernels/graph-math.js';
import { layerWeights } from '../../src/models/decoder-layer.js';
import { LanguageModel } from '../../src/models/language-model.js';
import { moduleSize } from '../../src/models/linear-modules.js';
import type { LinearModule } from '../../src/models/lora-shape.js';
import type { ModelConfig } from '../../src/models/model-config.js';
import { attr } from '../../src/runtime/attributes.js';
import { execute } from '../../src/runtime/execute.js';
import { keep, scope, type Tensor, tensor } from '../../src/runtime/tensor.js';

export const SMOLLM2_135M: ModelConfig = {
  architecture: 'llama',
  vocabSize: 49_152,
  hiddenSize: 576,
  intermediateSize: 1536,
  numLayers: 30,
  numHeads: 9,
  numKeyValueHeads: 3,
  headDim: 64,
  rmsNormEps: 1e-5,
  ropeTheta: 100_000,
  ropeScaling: { type: 'default' },
  maxPositionEmbeddings: 8192,
  slidingWindow: null,
  tieWordEmbeddings: true,
  attentionBias: false,
  attentionOutputBias: false,
  mlpBias: false,
  queryKeyNorm: false,
  bosTokenId: 1,
  eosTokenIds: [2],
  padTokenId: null,
};

export const LLAMA_3_2_1B: ModelConfig = {
  ...SMOLLM2_135M,
  vocabSize: 128_256,
  hiddenSize: 2048,
  intermediateSize: 8192,
  numLayers: 16,
  numHeads: 32,
  numKeyValueHeads: 8,
  ropeTheta: 500_000,
};

/** By the names that the benchmarks' `--shape` takes. */
export const SHAPES = { 'smollm2-135m': SMOLLM2_135M, 'llama-3.2-1b': LLAMA_3_2_1B } as const;
export type ShapeName = keyof typeof SHAPES;

/** Standard deviation of transformers' initial weights. */
const SPREAD = 0.02;

/** A tied-embedding Llama without biases, `w ~ N(0, 0.02²)`, norms 1; the same weights for the same configuration. */
export function randomModel(
  config: ModelConfig,
  dtype: ComputeDType,
  { xla = false, weightDtype = dtype }: { xla?: boolean; weightDtype?: ComputeDType } = {},
): LanguageModel {
  const size = (module: LinearModule) => moduleSize(config, module);
  const rows = (...modules: LinearModule[]) => modules.reduce((sum, module) => sum + size(module).outputs, 0);
  const shapes: Readonly<Record<string, readonly number[]>> = {
    qkv: [rows('q_proj', 'k_proj', 'v_proj'), size('q_proj').inputs],
    output: [rows('o_proj'), size('o_proj').inputs],
    gate: [size('gate_proj').outputs, size('gate_proj').inputs],
    up: [size('up_proj').outputs, size('up_proj').inputs],
    down: [rows('down_proj'), size('down_proj').inputs],
  };
  let seed = 0;
  const matrix = (shape: readonly number[]) => normal(shape, weightDtype, seed++);
  const ones = () =>
    keep(tensor('float32', [config.hiddenSize], new Float32Array(config.hiddenSize).fill(1)));
  const layers = Array.from({ length: config.numLayers }, () =>
    Object.fromEntries(
      Object.keys(layerWeights({ config, weightDtype })).map((name) => {
        const shape = shapes[name];
        return [name, shape === undefined ? ones() : matrix(shape)];
      }),
    ),
  );
  const embedding = matrix([config.vocabSize, config.hiddenSize]);
  return new LanguageModel(config, dtype, { embedding, layers, finalNorm: ones(), head: null }, { xla });
}

function normal(shape: readonly number[], dtype: ComputeDType, seed: number): Tensor {
  return scope(() => {
    const inputs = [tensor('int32', [shape.length], shape), tensor('int32', [2], [seed, 0])];
    const [values] = execute('StatelessRandomNormal', inputs, {
      dtype: attr.type('float32'),
      T: attr.type('int32'),
      Tseed: attr.type('int32'),
    });
    const [scaled] = execute('Mul', [values!, tensor('float32', [], [SPREAD])], { T: attr.type('float32') });
    if (dtype === 'float32') return keep(scaled!);
    return keep(
      execute('Cast', [scaled!], { SrcT: attr.type('float32'), DstT: attr.type(dtype) })[0] as Tensor,
    );
  });
}
