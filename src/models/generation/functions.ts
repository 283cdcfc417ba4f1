/** The graph functions of generation, built once for a model and an adapter's shape. */

import { decodeAttention, decodeLayout, type HeadShape } from '../../kernels/decode-attention.js';
import { writeCache } from '../../kernels/decode-cache.js';
import { promptAttention } from '../../kernels/decode-prompt-attention.js';
import {
  add,
  cast,
  div,
  exp,
  gather,
  log,
  matmul,
  max,
  reshape,
  sub,
  sum,
  toFloat32,
  transpose,
} from '../../kernels/graph-math.js';
import { causalMask, embed, rotaryAngles } from '../../kernels/packed-layout.js';
import { rmsNorm } from '../../kernels/rms-norm.js';
import type { DType } from '../../runtime/dtypes.js';
import type { GraphBuilder, GraphValue } from '../../runtime/graph-function.js';
import { defineNamed, type NamedFunction } from '../../runtime/named-function.js';
import type { LanguageModel } from '../language-model.js';
import type { LayerSpec, Values } from '../layer-graph.js';
import type { LoraAdapter } from '../lora-adapter.js';
import type { DecodePrecision } from './decode-weights.js';
import { FUSED_LINEARS, layerBody, layerBodyInputs } from './layer-body.js';
import { stackedFactorsFunction } from './stacked-factors.js';

export interface GenerationFunctions {
  /** What all layers of a block of prompts share: angles, mask. */
  promptLayout: NamedFunction;
  /** One layer over a block of prompts; gives `y` and the cache, `keys` and `values`. */
  promptLayer: NamedFunction;
  /** Chosen rows of the last hidden states to scores: `logits`, `max`, `logNormalizer`. */
  scores: NamedFunction;
  /** One new token of every sequence through all layers, to scores. Caches are written in place. */
  step: NamedFunction;
  /** {@link GenerationFunctions.step} where sequences are not their prompts' places in order. */
  stepByPlace: NamedFunction;
  /** `weights` `[rows, V]`, `exp((logits - max) / temperature)`. */
  weights: NamedFunction;
  stackedFactors: NamedFunction | null;
}

/** Names of a layer's caches among the inputs of `step`. */
export const CACHES = ['promptKeys', 'promptValues', 'ownKeys', 'ownValues'] as const;

const built = new WeakMap<LanguageModel, Map<string, GenerationFunctions>>();

export function generationFunctions(
  model: LanguageModel,
  adapter: LoraAdapter | null,
  decode: DecodePrecision,
): GenerationFunctions {
  const lora = adapter?.shape(false) ?? null;
  const ofModel = built.get(model) ?? new Map<string, GenerationFunctions>();
  built.set(model, ofModel);
  const key = JSON.stringify([lora, adapter?.config.rank ?? null, decode.dtype, decode.copied]);
  let functions = ofModel.get(key);
  if (functions === undefined) {
    const { config, dtype, computeDtype, weightDtype } = model;
    const spec: LayerSpec = {
      ...{ dtype, activationDtype: dtype, weightDtype },
      ...{ config, pairs: 0, xla: false, lora },
    };
    functions = {
      promptLayout: promptLayoutFunction(spec),
      promptLayer: promptLayerFunction({ ...spec, dtype: computeDtype }),
      scores: scoresFunction(spec),
      step: stepFunction(spec, decode, false),
      stepByPlace: stepFunction(spec, decode, true),
      weights: weightsFunction(),
      stackedFactors: stackedFactorsFunction(spec, adapter?.config.rank ?? 0),
    };
    ofModel.set(key, functions);
  }
  return functions;
}

function headShape({ config }: LayerSpec): HeadShape {
  const { numHeads, numKeyValueHeads, headDim } = config;
  return { keyValueHeads: numKeyValueHeads, groups: numHeads / numKeyValueHeads, headDim };
}

/** Name of layer `index`'s input `name` of `step`. */
export function layerInput(index: number, name: string): string {
  return `${index}/${name}`;
}

function promptLayoutFunction({ config }: LayerSpec): NamedFunction {
  const inputs = { positions: 'int32', frequencies: 'float32', queries: 'int32', keys: 'int32' } as const;
  return defineNamed('prompt_layout', inputs, (g, v) => ({
    ...rotaryAngles(g, v.positions!, v.frequencies!, config.headDim),
    mask: causalMask(g, v.queries!, v.keys!, config.slidingWindow),
  }));
}

function promptLayerFunction(spec: LayerSpec): NamedFunction {
  const { dtype, activationDtype } = spec;
  const inputs: Record<string, DType> = {
    ...{ x: activationDtype, cos: 'float32', sin: 'float32', mask: 'float32' },
    ...{ tokenAtPlace: 'int32', placeOfToken: 'int32', prompts: 'int32' },
    ...{ pastKeys: activationDtype, pastValues: activationDtype },
    ...layerBodyInputs(spec),
  };
  return defineNamed('prompt_layer', inputs, (g, v) => {
    const layout = {
      tokenAtPlace: v.tokenAtPlace!,
      placeOfToken: v.placeOfToken!,
      prompts: v.prompts!,
      mask: v.mask!,
      pastKeys: cast(g, v.pastKeys!, dtype),
      pastValues: cast(g, v.pastValues!, dtype),
    };
    let cache: Values = {};
    const y = layerBody(g, spec, v, cast(g, v.x!, dtype), (heads) => {
      const { output, keys, values } = promptAttention(g, heads, layout, headShape(spec));
      cache = { keys: cast(g, keys, activationDtype), values: cast(g, values, activationDtype) };
      return output;
    });
    return { y: cast(g, y, activationDtype), ...cache };
  });
}

const scoreInputs = { finalNorm: 'float32', head32: 'float32' } as const;

function scoresFunction(spec: LayerSpec): NamedFunction {
  const inputs = { hidden: spec.activationDtype, rows: 'int32', ...scoreInputs } as const;
  return defineNamed('next_token_scores', inputs, (g, v) =>
    scores(g, spec, gather(g, v.hidden!, v.rows!), v),
  );
}

/** `logits = rmsNorm(h) E^T` in float32, with E^T given, and what the choice of a token needs to know of each row. */
function scores(g: GraphBuilder, { config }: LayerSpec, hidden: GraphValue, inputs: Values): Values {
  const normed = rmsNorm(g, hidden, inputs.finalNorm!, config.rmsNormEps);
  const logits = matmul(g, toFloat32(g, normed), inputs.head32!);
  const largest = max(g, logits, [1]);
  const total = sum(g, exp(g, sub(g, logits, largest)), [1]);
  const logNormalizer = add(g, largest, log(g, total));
  return { logits, max: reshape(g, largest, [-1]), logNormalizer: reshape(g, logNormalizer, [-1]) };
}

function weightsFunction(): NamedFunction {
  const inputs = { logits: 'float32', max: 'float32', temperature: 'float32' } as const;
  return defineNamed('sampling_weights', inputs, (g, { logits, max: largest, temperature }) => ({
    weights: exp(g, div(g, sub(g, logits!, reshape(g, largest!, [-1, 1])), temperature!)),
  }));
}

/**
 * Inputs: `ids`, `positions`, `steps`, `promptOfSequence` int32 `[B]`; `slots` int32 `[KV B]`; `promptLengths` int32
 * `[P]`; and for each layer its weights, stacked factors and caches.
 */
function stepFunction(model: LayerSpec, decode: DecodePrecision, byPlace: boolean): NamedFunction {
  const { config, activationDtype, weightDtype } = model;
  const { dtype } = decode;
  const spec = { ...model, dtype, turned: decode.copied };
  const shape = headShape(spec);
  const ofLayer: Record<string, DType> = {
    ...layerBodyInputs(spec),
    ...(decode.copied && Object.fromEntries(FUSED_LINEARS.map((name) => [name, dtype]))),
    ...Object.fromEntries(CACHES.map((name) => [name, activationDtype])),
  };
  const layers = Array.from({ length: config.numLayers }, (_, i) =>
    Object.entries(ofLayer).map(([name, type]) => [layerInput(i, name), type]),
  ).flat();
  const inputs: Record<string, DType> = {
    ...{ ids: 'int32', positions: 'int32', slots: 'int32', steps: 'int32' },
    ...{ promptOfSequence: 'int32', promptLengths: 'int32' },
    ...(byPlace && { sequenceAtPlace: 'int32', placeOfSequence: 'int32' }),
    ...{ frequencies: 'float32', embedding: weightDtype, ...scoreInputs },
    ...Object.fromEntries(layers),
  };
  return defineNamed('decode_step', inputs, (g, v) => {
    const angles = rotaryAngles(g, v.positions!, v.frequencies!, config.headDim);
    const positions = {
      promptLengths: v.promptLengths!,
      promptOfSequence: v.promptOfSequence!,
      steps: v.steps!,
    };
    const [keys, own] = [v[layerInput(0, 'promptKeys')]!, v[layerInput(0, 'ownKeys')]!];
    const layout = {
      ...decodeLayout(g, keys, own, positions, shape, config.slidingWindow),
      ...(byPlace && { sequenceAtPlace: v.sequenceAtPlace!, placeOfSequence: v.placeOfSequence! }),
    };
    let x = embed(g, v.embedding!, v.ids!, dtype);
    for (let i = 0; i < config.numLayers; i++) {
      const at = (name: string) => v[layerInput(i, name)]!;
      const ofThis = Object.fromEntries(Object.keys(ofLayer).map((name) => [name, at(name)]));
      x = layerBody(g, spec, { ...ofThis, ...angles }, x, (heads) => {
        const write = (cache: string, rows: GraphValue) =>
          writeCache(g, at(cache), v.slots!, cast(g, rows, activationDtype), config.headDim);
        const caches = {
          promptKeys: at('promptKeys'),
          promptValues: at('promptValues'),
          ownKeys: write('ownKeys', heads.k),
          ownValues: write('ownValues', heads.v),
        };
        const q = transpose(g, cast(g, heads.q, activationDtype), [0, 2, 1, 3]);
        const attended = transpose(g, decodeAttention(g, q, caches, layout, shape), [1, 0, 2, 3]);
        return cast(g, reshape(g, attended, [-1, config.numHeads * config.headDim]), dtype);
      });
    }
    return scores(g, spec, x, v);
  });
}
