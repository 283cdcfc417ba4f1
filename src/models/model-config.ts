/**
 * The configuration of a decoder of the Llama family, out of Hugging Face's config.json, and back.
 * Facts about defaults are those of transformers' configuration classes.
 */
import { CheckpointError } from '../errors.js';
import type { ExpectedWeight } from './weight-source.js';

export type Architecture = 'llama' | 'mistral' | 'qwen2' | 'qwen3';

export type RopeScaling =
  | { type: 'default' }
  /** Positions are divided by `factor`. */
  | { type: 'linear'; factor: number }
  /** Llama 3.1's: low frequencies are divided by `factor`, high ones kept, those between interpolated. */
  | {
      type: 'llama3';
      factor: number;
      lowFreqFactor: number;
      highFreqFactor: number;
      originalMaxPositionEmbeddings: number;
    };

/** What the computation of a model of the Llama family depends on. */
export interface ModelConfig {
  architecture: Architecture;
  vocabSize: number;
  /** Width D of the residual stream. */
  hiddenSize: number;
  /** Width of the SwiGLU layer. */
  intermediateSize: number;
  numLayers: number;
  /** Query heads H. */
  numHeads: number;
  /** Key/value heads KV; divides H. */
  numKeyValueHeads: number;
  /** Width of one head; H times it need not be D. */
  headDim: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling: RopeScaling;
  /** Longest context that the model was made for, in tokens. */
  maxPositionEmbeddings: number;
  /** A token sees itself and this many minus one before it; null: all before it. */
  slidingWindow: number | null;
  /** The output layer is the embedding matrix; there is no `lm_head.weight`. */
  tieWordEmbeddings: boolean;
  /** Bias on the query, key and value projections. */
  attentionBias: boolean;
  /** Bias on the attention's output projection. */
  attentionOutputBias: boolean;
  /** Bias on the three projections of the SwiGLU layer. */
  mlpBias: boolean;
  /** RMSNorm on each query and key head, before the rotary embedding (Qwen3). */
  queryKeyNorm: boolean;
  bosTokenId: number | null;
  eosTokenIds: number[];
  padTokenId: number | null;
}

/** What is supported, in words for messages. */
export const SUPPORTED_ARCHITECTURES =
  'LlamaForCausalLM (Llama 2, 3, 3.1, 3.2, SmolLM2, TinyLlama), MistralForCausalLM, Qwen2ForCausalLM (Qwen2, Qwen2.5) and Qwen3ForCausalLM';

/** transformers' class name of each architecture. */
const CLASS_NAMES: Readonly<Record<Architecture, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

/** What transformers assumes where config.json says nothing. */
const DEFAULTS = {
  llama: { keyValueHeads: null, headDim: null, positions: 2048, slidingWindow: null, bos: 1, eos: 2 },
  mistral: { keyValueHeads: 8, headDim: null, positions: 131_072, slidingWindow: 4096, bos: 1, eos: 2 },
  qwen2: { keyValueHeads: 32, headDim: null, positions: 32_768, slidingWindow: null, bos: null, eos: null },
  qwen3: { keyValueHeads: 32, headDim: 128, positions: 32_768, slidingWindow: null, bos: null, eos: null },
} as const satisfies Record<Architecture, unknown>;

/** Sizes above these are no model's: a typing error, or a file that lies. */
const MAX_VOCABULARY = 2 ** 24;
const MAX_WIDTH = 2 ** 20;
const MAX_LAYERS = 4096;
const MAX_HEADS = 4096;
const MAX_POSITIONS = 2 ** 31;

export interface ParseModelConfigOptions {
  /** What messages call the file. Default: 'config.json'. */
  file?: string;
}

/**
 * Reads the configuration of a Llama, Mistral, Qwen2 or Qwen3 model from the object in config.json, in the
 * spelling of transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`).
 * Throws CheckpointError, naming what is supported, for another architecture or a feature that the
 * decoder does not have: other rope types, mixtures of experts, activations other than SiLU,
 * quantized weights, layers of different kinds.
 */
export function parseModelConfig(
  json: Record<string, unknown>,
  { file = 'config.json' }: ParseModelConfigOptions = {},
): ModelConfig {
  const read = fieldReader(json, file);
  const architecture = parseArchitecture(json, read);
  refuseUnsupported(json, read);
  const defaults = DEFAULTS[architecture];
  const hiddenSize = read.count('hidden_size', MAX_WIDTH);
  const numHeads = read.count('num_attention_heads', MAX_HEADS);
  const numKeyValueHeads = read.count('num_key_value_heads', MAX_HEADS, defaults.keyValueHeads ?? numHeads);
  const headDim = read.count('head_dim', MAX_WIDTH, defaults.headDim ?? hiddenSize / numHeads);
  const maxPositionEmbeddings = read.count('max_position_embeddings', MAX_POSITIONS, defaults.positions);
  const ownBias = architecture === 'llama' || architecture === 'qwen3';
  const attentionBias = architecture === 'qwen2' || (ownBias && read.flag('attention_bias'));
  const config: ModelConfig = {
    architecture,
    vocabSize: read.count('vocab_size', MAX_VOCABULARY),
    hiddenSize,
    intermediateSize: read.count('intermediate_size', MAX_WIDTH),
    numLayers: read.count('num_hidden_layers', MAX_LAYERS),
    numHeads,
    numKeyValueHeads,
    headDim,
    rmsNormEps: read.positive('rms_norm_eps', 1e-6),
    ...parseRope(json, read),
    maxPositionEmbeddings,
    slidingWindow: parseSlidingWindow(json, architecture, read),
    tieWordEmbeddings: read.flag('tie_word_embeddings'),
    attentionBias,
    attentionOutputBias: ownBias && attentionBias,
    mlpBias: architecture === 'llama' && read.flag('mlp_bias'),
    queryKeyNorm: architecture === 'qwen3',
    bosTokenId: read.tokenIds('bos_token_id', defaults.bos)[0] ?? null,
    eosTokenIds: read.tokenIds('eos_token_id', defaults.eos),
    padTokenId: read.tokenIds('pad_token_id', null)[0] ?? null,
  };
  checkModelConfig(config, file);
  return config;
}

/** Checks that the sizes are a model's and go together; used for every configuration, wherever it comes from. */
export function checkModelConfig(config: ModelConfig, file: string): void {
  const { hiddenSize, numHeads, numKeyValueHeads, headDim } = config;
  const fail = (problem: string): never => {
    throw new CheckpointError(`${file}: ${problem}.`, { details: { file } });
  };
  const limits: [string, number, number][] = [
    ['tokens in the vocabulary', config.vocabSize, MAX_VOCABULARY],
    ['for the width', hiddenSize, MAX_WIDTH],
    ['for the width of the feed-forward layer', config.intermediateSize, MAX_WIDTH],
    ['layers', config.numLayers, MAX_LAYERS],
    ['heads', numHeads, MAX_HEADS],
    ['for the width of a head', headDim, MAX_WIDTH],
  ];
  for (const [what, value, max] of limits) {
    if (value < 1 || value > max) fail(`${value} ${what} is out of range (1 to ${max})`);
  }
  if (!Number.isInteger(headDim)) {
    fail(
      `hidden_size ${hiddenSize} is no multiple of num_attention_heads ${numHeads}, and there is no head_dim`,
    );
  }
  if (headDim % 2 !== 0) fail(`the head width ${headDim} is odd; rotary embedding needs pairs`);
  if (numHeads % numKeyValueHeads !== 0) {
    fail(`${numHeads} query heads cannot be shared out among ${numKeyValueHeads} key/value heads`);
  }
}

interface FieldReader {
  count(key: string, max: number, fallback?: number): number;
  positive(key: string, fallback?: number): number;
  flag(key: string): boolean;
  tokenIds(key: string, fallback: number | null): number[];
  fail(problem: string): never;
}

function fieldReader(json: Record<string, unknown>, file: string): FieldReader {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${file}: ${problem}.`, { details: { file } });
  };
  const isTokenId = (value: unknown): value is number => Number.isSafeInteger(value);
  return {
    fail,
    count(key, max, fallback) {
      const value = json[key] ?? fallback;
      if (value === undefined) return fail(`${key} is missing`);
      // a fallback that is no whole number is reported with its reason, by checkModelConfig
      if (json[key] === undefined || json[key] === null) return value as number;
      if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > max) {
        return fail(`${key} is ${JSON.stringify(value)}; a whole number from 1 to ${max} was expected`);
      }
      return value as number;
    },
    positive(key, fallback) {
      const value = json[key] ?? fallback;
      if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
        return fail(`${key} is ${JSON.stringify(value)}; a number above 0 was expected`);
      }
      return value;
    },
    flag(key) {
      const value = json[key] ?? false;
      if (typeof value !== 'boolean')
        return fail(`${key} is ${JSON.stringify(value)}; true or false was expected`);
      return value;
    },
    tokenIds(key, fallback) {
      const value = key in json ? json[key] : fallback;
      if (value === null || value === undefined) return [];
      const list = Array.isArray(value) ? value : [value];
      if (!list.every(isTokenId))
        return fail(`${key} is ${JSON.stringify(value)}; a token id or a list of them was expected`);
      // -1 is how some Llama 2 conversions say "none"
      return [...new Set(list)].filter((id) => id >= 0);
    },
  };
}

function parseArchitecture(json: Record<string, unknown>, read: FieldReader): Architecture {
  const { architectures, model_type: modelType } = json;
  const className = Array.isArray(architectures) ? architectures[0] : undefined;
  if (className === undefined && modelType === undefined) {
    return read.fail(
      'it has neither "architectures" nor "model_type": not the config.json of a language model',
    );
  }
  const match = Object.entries(CLASS_NAMES).find(([type, name]) =>
    className === undefined ? type === modelType : name === className && (modelType ?? type) === type,
  );
  if (match === undefined) {
    const found = className ?? modelType;
    const typed =
      className !== undefined && modelType !== undefined ? ` (model_type ${String(modelType)})` : '';
    return read.fail(
      `the architecture ${String(found)}${typed} is not supported; supported are ${SUPPORTED_ARCHITECTURES}`,
    );
  }
  return match[0] as Architecture;
}

/** Features that the classes above can be configured to have and that the decoder does not. */
function refuseUnsupported(json: Record<string, unknown>, read: FieldReader): void {
  const activation = json.hidden_act ?? 'silu';
  if (activation !== 'silu' && activation !== 'swish') {
    read.fail(
      `the activation (hidden_act) ${JSON.stringify(activation)} is not supported; supported is "silu"`,
    );
  }
  for (const key of ['num_local_experts', 'num_experts', 'n_routed_experts']) {
    if (typeof json[key] === 'number' && json[key] > 1) {
      read.fail(`mixtures of experts (${key} ${json[key]}) are not supported; supported are dense models`);
    }
  }
  if (json.quantization_config !== undefined && json.quantization_config !== null) {
    const { quant_method: method } = json.quantization_config as { quant_method?: unknown };
    read.fail(
      `weights quantized by ${JSON.stringify(method ?? 'an unnamed method')} are not supported; supported are F32, F16 and BF16 safetensors, and GGUF`,
    );
  }
  if ((json.partial_rotary_factor ?? 1) !== 1) {
    read.fail(
      `partial_rotary_factor ${JSON.stringify(json.partial_rotary_factor)} is not supported; supported is 1 (rotary embedding of whole heads)`,
    );
  }
}

function parseRope(
  json: Record<string, unknown>,
  read: FieldReader,
): Pick<ModelConfig, 'ropeTheta' | 'ropeScaling'> {
  const spelling = isObject(json.rope_parameters) ? 'rope_parameters' : 'rope_scaling';
  const parameters = isObject(json[spelling]) ? json[spelling] : {};
  if (Object.values(parameters).some(isObject)) {
    read.fail(`${spelling} differs by kind of layer, which is not supported`);
  }
  const theta = parameters.rope_theta ?? json.rope_theta ?? 10_000;
  if (typeof theta !== 'number' || !Number.isFinite(theta) || theta <= 0) {
    read.fail(`rope_theta is ${JSON.stringify(theta)}; a number above 0 was expected`);
  }
  const number = (key: string, fallback?: unknown): number => {
    const value = parameters[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      return read.fail(`${spelling}.${key} is ${JSON.stringify(value)}; a number above 0 was expected`);
    }
    return value;
  };
  // transformers' first spelling of the key was "type"
  const type: unknown = parameters.rope_type ?? parameters.type ?? 'default';
  const ropeTheta = theta as number;
  switch (type) {
    case 'default':
      return { ropeTheta, ropeScaling: { type: 'default' } };
    case 'linear':
      return { ropeTheta, ropeScaling: { type: 'linear', factor: number('factor') } };
    case 'llama3': {
      const ropeScaling = {
        type: 'llama3' as const,
        factor: number('factor'),
        lowFreqFactor: number('low_freq_factor'),
        highFreqFactor: number('high_freq_factor'),
        originalMaxPositionEmbeddings: number(
          'original_max_position_embeddings',
          json.original_max_position_embeddings,
        ),
      };
      if (ropeScaling.highFreqFactor <= ropeScaling.lowFreqFactor) {
        read.fail(`${spelling}.high_freq_factor must be above low_freq_factor`);
      }
      return { ropeTheta, ropeScaling };
    }
    default:
      return read.fail(
        `the rope type ${JSON.stringify(type)} is not supported; supported are "default", "linear" and "llama3"`,
      );
  }
}

function parseSlidingWindow(
  json: Record<string, unknown>,
  architecture: Architecture,
  read: FieldReader,
): number | null {
  const layerTypes = Array.isArray(json.layer_types) ? new Set(json.layer_types) : new Set();
  if (architecture === 'llama') return null;
  if (architecture === 'mistral') {
    const window = 'sliding_window' in json ? json.sliding_window : DEFAULTS.mistral.slidingWindow;
    if (window === null || window === undefined) return null;
    return read.count('sliding_window', MAX_POSITIONS, DEFAULTS.mistral.slidingWindow);
  }
  // Qwen names a window in every config.json and uses it in some layers only, if at all
  if (read.flag('use_sliding_window') || layerTypes.has('sliding_attention')) {
    read.fail('use_sliding_window (some layers see a window only) is not supported; supported is false');
  }
  return null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The config.json of a model: the original one where there is one (training changes weights, never the
 * shape), with the dtype that the weights are saved in; else one made from `config`, in the spelling that
 * transformers 4 and 5, vLLM and llama.cpp all read.
 */
export function modelConfigToJson(
  config: ModelConfig,
  {
    dtype,
    original,
  }: { dtype: 'float32' | 'float16' | 'bfloat16'; original?: Record<string, unknown> | null },
): Record<string, unknown> {
  if (original) {
    const key = 'dtype' in original ? 'dtype' : 'torch_dtype';
    return { ...original, [key]: dtype };
  }
  const { architecture } = config;
  const eos = config.eosTokenIds;
  return {
    architectures: [CLASS_NAMES[architecture]],
    model_type: architecture,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKeyValueHeads,
    head_dim: config.headDim,
    hidden_act: 'silu',
    max_position_embeddings: config.maxPositionEmbeddings,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    rope_scaling: ropeScalingToJson(config.ropeScaling),
    ...(architecture === 'mistral' ? { sliding_window: config.slidingWindow } : {}),
    ...(architecture === 'qwen2' || architecture === 'qwen3' ? { use_sliding_window: false } : {}),
    ...(architecture === 'llama' || architecture === 'qwen3' ? { attention_bias: config.attentionBias } : {}),
    ...(architecture === 'llama' ? { mlp_bias: config.mlpBias } : {}),
    tie_word_embeddings: config.tieWordEmbeddings,
    bos_token_id: config.bosTokenId,
    eos_token_id: eos.length > 1 ? eos : (eos[0] ?? null),
    pad_token_id: config.padTokenId,
    initializer_range: 0.02,
    use_cache: true,
    torch_dtype: dtype,
  };
}

function ropeScalingToJson(scaling: RopeScaling): Record<string, unknown> | null {
  switch (scaling.type) {
    case 'default':
      return null;
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor };
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
      };
  }
}

/** The weights that a configuration needs, in the order of the forward pass, with Hugging Face's names and shapes. */
export function expectedWeights(config: ModelConfig): ExpectedWeight[] {
  const { hiddenSize: D, intermediateSize: F, headDim } = config;
  const queries = config.numHeads * headDim;
  const keys = config.numKeyValueHeads * headDim;
  const weights: ExpectedWeight[] = [{ name: 'model.embed_tokens.weight', shape: [config.vocabSize, D] }];
  for (let layer = 0; layer < config.numLayers; layer++) {
    const add = (name: string, ...shape: number[]) =>
      weights.push({ name: `model.layers.${layer}.${name}`, shape });
    const linear = (name: string, out: number, inputs: number, bias: boolean) => {
      add(`${name}.weight`, out, inputs);
      if (bias) add(`${name}.bias`, out);
    };
    add('input_layernorm.weight', D);
    linear('self_attn.q_proj', queries, D, config.attentionBias);
    linear('self_attn.k_proj', keys, D, config.attentionBias);
    linear('self_attn.v_proj', keys, D, config.attentionBias);
    if (config.queryKeyNorm) {
      add('self_attn.q_norm.weight', headDim);
      add('self_attn.k_norm.weight', headDim);
    }
    linear('self_attn.o_proj', D, queries, config.attentionOutputBias);
    add('post_attention_layernorm.weight', D);
    linear('mlp.gate_proj', F, D, config.mlpBias);
    linear('mlp.up_proj', F, D, config.mlpBias);
    linear('mlp.down_proj', D, F, config.mlpBias);
  }
  weights.push({ name: 'model.norm.weight', shape: [D] });
  if (!config.tieWordEmbeddings) weights.push({ name: 'lm_head.weight', shape: [config.vocabSize, D] });
  return weights;
}
