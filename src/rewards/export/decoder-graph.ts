/**
 * A decoder of the Llama family with a reward head as an ONNX graph.
 *
 * Rows may go on from contexts that were computed before (inputs `past_key_values.*`), each shared by any number of
 * rows; a context is computed by the same graph, as a row without a past. Rows are padded at the end, where causal
 * attention does not see it. Everything between weights is float32.
 *
 * Operators are ONNX's own of opset 23 where there is one (Attention, RMSNormalization, RotaryEmbedding: ONNX Runtime
 * computes each in one pass), and two of com.microsoft.
 */

import type { ModelConfig } from '../../models/model-config.js';
import { ropeFrequencies } from '../../models/rope-frequencies.js';
import type { WeightSource } from '../../models/weight-source.js';
import {
  INPUT_IDS,
  LENGTHS,
  PREFIX_INDEX,
  PREFIX_LENGTHS,
  pastName,
  presentName,
  REWARDS,
} from '../model-values.js';
import type { RewardDType } from './export-options.js';
import { GraphBuilder, MICROSOFT } from './graph-builder.js';
import { LinearWeights } from './linear-weights.js';
import { ELEMENT_TYPES } from './onnx-proto.js';

export const OPSET = 23;

export interface DecoderGraphOptions {
  config: ModelConfig;
  source: WeightSource;
  dtype: RewardDType;
  /** Name of the head's weight, `[1, D]`. */
  headWeight: string;
  /** Most tokens of a row with its context. */
  maxPositions: number;
  dataFile: string;
}

/** What is computed once for all layers. */
interface Common {
  /** `[B, T]` */
  positions: string;
  /** `[B, 1, T, P + T]`, added to attention scores. */
  bias: string;
  /** `[B, 1]`: place of the token whose reward is read. */
  last: string;
  cos: string;
  sin: string;
}

/** One layer's input: the residual stream before it, and normed. */
interface LayerInput {
  residual: string;
  normed: string;
}

export function decoderGraph(options: DecoderGraphOptions): GraphBuilder {
  const { config, source, dtype, headWeight, dataFile } = options;
  const builder = new GraphBuilder(dataFile);
  const weights = new LinearWeights(builder, source, dtype);
  const common = commonNodes(builder, options);
  builder.within('embedding');
  const embedded = weights.embedding(INPUT_IDS, 'model.embed_tokens.weight');
  let input: LayerInput = {
    residual: embedded,
    normed: norm(builder, embedded, weights.vector('model.layers.0.input_layernorm.weight'), config),
  };
  for (let layer = 0; layer < config.numLayers; layer++) {
    builder.within(`layers.${layer}`);
    input = decoderLayer(builder, weights, { config, common, layer, input });
  }
  builder.within('head');
  const reward = weights.head(input.normed, headWeight);
  builder.add('Reshape', [reward, builder.ints(-1)], { names: [REWARDS] });
  builder.output(REWARDS, 'float32', ['rows']);
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const kind of ['key', 'value'] as const) {
      const shape = ['rows', config.numKeyValueHeads, 'total', config.headDim];
      builder.output(presentName(layer, kind), 'float32', shape);
    }
  }
  return builder;
}

/** Further than any position: padding of a context, which no token sees. */
const NEVER = 2 ** 40;
/** Added to the score of a token that is not seen. */
const UNSEEN = -1e30;

function commonNodes(builder: GraphBuilder, { config, maxPositions }: DecoderGraphOptions): Common {
  const { numLayers, numKeyValueHeads, headDim, slidingWindow } = config;
  builder.input(INPUT_IDS, 'int64', ['rows', 'tokens']);
  builder.input(LENGTHS, 'int64', ['rows']);
  builder.input(PREFIX_LENGTHS, 'int64', ['contexts']);
  builder.input(PREFIX_INDEX, 'int64', ['rows']);
  for (let layer = 0; layer < numLayers; layer++) {
    for (const kind of ['key', 'value'] as const) {
      builder.input(pastName(layer, kind), 'float32', ['contexts', numKeyValueHeads, 'past', headDim]);
    }
  }
  builder.within('positions');
  const size = (of: string, axis: number) =>
    builder.add('Reshape', [
      builder.add('Shape', [of], { attributes: { start: axis, end: axis + 1 } }),
      builder.ints(),
    ]);
  const range = (count: string) => builder.add('Range', [builder.int(0), count, builder.int(1)]);
  const past = builder.add(
    'Unsqueeze',
    [builder.add('Gather', [PREFIX_LENGTHS, PREFIX_INDEX]), builder.ints(1)],
    {},
  );
  const positions = builder.add('Add', [past, range(size(INPUT_IDS, 1))]);
  const places = range(size(pastName(0, 'key'), 2));
  const pastPositions = builder.add('Where', [
    builder.add('Less', [places, past]),
    places,
    builder.int(NEVER),
  ]);
  const keyPositions = builder.add('Concat', [pastPositions, positions], { attributes: { axis: 1 } });
  const distance = builder.add('Sub', [
    builder.add('Unsqueeze', [positions, builder.ints(2)]),
    builder.add('Unsqueeze', [keyPositions, builder.ints(1)]),
  ]);
  const before = builder.add('GreaterOrEqual', [distance, builder.int(0)]);
  const seen =
    slidingWindow === null
      ? before
      : builder.add('And', [before, builder.add('Less', [distance, builder.int(slidingWindow)])]);
  const bias = builder.add('Unsqueeze', [
    builder.add('Where', [seen, builder.float(0), builder.float(UNSEEN)]),
    builder.ints(1),
  ]);
  return {
    // Padding may lie behind the last position that there are angles for.
    positions: builder.add('Min', [positions, builder.int(maxPositions - 1)]),
    bias,
    last: builder.add('Unsqueeze', [builder.add('Sub', [LENGTHS, builder.int(1)]), builder.ints(1)]),
    cos: angles(builder, config, maxPositions, 'cos'),
    sin: angles(builder, config, maxPositions, 'sin'),
  };
}

/** Cosines or sines of the rotary embedding, `[positions, hd / 2]`. */
function angles(builder: GraphBuilder, config: ModelConfig, positions: number, of: 'cos' | 'sin'): string {
  const frequencies = ropeFrequencies(config);
  return builder.tensor(`rotary.${of}`, 'float32', [positions, frequencies.length], () => {
    const values = new Float32Array(positions * frequencies.length);
    for (let position = 0; position < positions; position++) {
      for (let i = 0; i < frequencies.length; i++) {
        values[position * frequencies.length + i] = Math[of](position * frequencies[i]!);
      }
    }
    return new Uint8Array(values.buffer);
  });
}

interface LayerOptions {
  config: ModelConfig;
  common: Common;
  layer: number;
  input: LayerInput;
}

/** The layer's output: the residual stream, and normed for what comes next. Of the last one the last tokens only. */
function decoderLayer(
  builder: GraphBuilder,
  weights: LinearWeights,
  { config, common, layer, input }: LayerOptions,
): LayerInput {
  const isLast = layer === config.numLayers - 1;
  const name = (module: string) => `model.layers.${layer}.${module}`;
  // Behind the last layer only one token a row is asked for; its keys and values still come from all.
  const own = (x: string) =>
    isLast
      ? builder.add(
          'Unsqueeze',
          [builder.add('GatherND', [x, common.last], { attributes: { batch_dims: 1 } }), builder.ints(1)],
          {},
        )
      : x;
  const residual = own(input.residual);
  const attended = attention(builder, weights, {
    ...{ config, layer, name },
    queries: own(input.normed),
    keys: input.normed,
    queryPositions: isLast
      ? builder.add('GatherND', [common.positions, common.last], {
          attributes: { batch_dims: 1 },
          names: [undefined],
        })
      : common.positions,
    isLast,
    common,
  });
  const output = weights.linear(attended, name('self_attn.o_proj'));
  const between = skipNorm(
    builder,
    output,
    residual,
    weights.vector(name('post_attention_layernorm.weight')),
    config,
  );
  const gate = builder.add('QuickGelu', [weights.linear(between.normed, name('mlp.gate_proj'))], {
    domain: MICROSOFT,
    // x sigmoid(x): SiLU
    attributes: { alpha: { float: 1 } },
  });
  const up = weights.linear(between.normed, name('mlp.up_proj'));
  const down = weights.linear(builder.add('Mul', [gate, up]), name('mlp.down_proj'));
  const next = isLast ? 'model.norm.weight' : `model.layers.${layer + 1}.input_layernorm.weight`;
  return skipNorm(builder, down, between.residual, weights.vector(next), config);
}

interface AttentionOptions {
  config: ModelConfig;
  common: Common;
  layer: number;
  isLast: boolean;
  name: (module: string) => string;
  queries: string;
  keys: string;
  queryPositions: string;
}

function attention(builder: GraphBuilder, weights: LinearWeights, options: AttentionOptions): string {
  const { config, common, layer, isLast, name, queries, keys } = options;
  const { numHeads, numKeyValueHeads } = config;
  const queryPositions = isLast
    ? builder.add('Unsqueeze', [options.queryPositions, builder.ints(1)])
    : options.queryPositions;
  const rotated = (x: string, positions: string, heads: number) =>
    builder.add('RotaryEmbedding', [x, common.cos, common.sin, positions], {
      attributes: { num_heads: heads },
    });
  const normedHeads = (x: string, heads: number, norms: string) =>
    config.queryKeyNorm ? headNorm(builder, x, heads, weights.vector(name(norms)), config) : x;
  const q = normedHeads(
    weights.linear(queries, name('self_attn.q_proj')),
    numHeads,
    'self_attn.q_norm.weight',
  );
  const k = normedHeads(
    weights.linear(keys, name('self_attn.k_proj')),
    numKeyValueHeads,
    'self_attn.k_norm.weight',
  );
  const v = weights.linear(keys, name('self_attn.v_proj'));
  const past = (kind: 'key' | 'value') => builder.add('Gather', [pastName(layer, kind), PREFIX_INDEX]);
  const inputs = [
    rotated(q, queryPositions, numHeads),
    rotated(k, common.positions, numKeyValueHeads),
    v,
    isLast ? lastBias(builder, common) : common.bias,
    past('key'),
    past('value'),
  ];
  return builder.add('Attention', inputs, {
    outputs: 3,
    names: [undefined, presentName(layer, 'key'), presentName(layer, 'value')],
    attributes: { q_num_heads: numHeads, kv_num_heads: numKeyValueHeads },
  });
}

/** The bias of each row's last token, `[B, 1, 1, P + T]`. */
function lastBias(builder: GraphBuilder, { bias, last }: Common): string {
  const rows = builder.add('Squeeze', [bias, builder.ints(1)]);
  const row = builder.add('GatherND', [rows, last], { attributes: { batch_dims: 1 } });
  return builder.add('Unsqueeze', [row, builder.ints(1, 2)]);
}

function norm(builder: GraphBuilder, x: string, weight: string, { rmsNormEps }: ModelConfig): string {
  return builder.add('RMSNormalization', [x, weight], {
    attributes: { axis: -1, epsilon: { float: rmsNormEps }, stash_type: ELEMENT_TYPES.float32 },
  });
}

/** RMSNorm over each head of `[B, T, heads * hd]` (Qwen3). */
function headNorm(
  builder: GraphBuilder,
  x: string,
  heads: number,
  weight: string,
  config: ModelConfig,
): string {
  const apart = builder.add('Reshape', [x, builder.ints(0, 0, heads, config.headDim)]);
  return builder.add('Reshape', [
    norm(builder, apart, weight, config),
    builder.ints(0, 0, heads * config.headDim),
  ]);
}

/** `x + residual`, and normed. */
function skipNorm(
  builder: GraphBuilder,
  x: string,
  residual: string,
  weight: string,
  { rmsNormEps }: ModelConfig,
): LayerInput {
  const [normed, , , sum] = builder.addAll('SkipSimplifiedLayerNormalization', [x, residual, weight], {
    domain: MICROSOFT,
    attributes: { epsilon: { float: rmsNormEps } },
    outputs: 4,
    names: [undefined, '', ''],
  }) as [string, string, string, string];
  return { residual: sum, normed };
}
