import { CheckpointError } from '../errors.js';
import type { GgufMetadata, GgufTensor } from './gguf-header.js';
import { type Architecture, checkModelConfig, type ModelConfig, type RopeScaling } from './model-config.js';

/** llama.cpp's names of what the decoder has; "llama" stands for Mistral too. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
};

const MAX_SIZE = 2 ** 31;

export interface ModelConfigFromGgufOptions {
  /** What messages call the file. Default: 'the GGUF file'. */
  file?: string;
}

/**
 * The configuration of a GGUF file's model from its metadata; what the metadata doesn't say (tied embedding,
 * biases) from its tensors' names. Llama 3's rotary factors, a tensor, are not seen here: see ropeScalingFromFactors.
 * Throws CheckpointError, naming what is supported, for other architectures and features.
 */
export function modelConfigFromGguf(
  metadata: GgufMetadata,
  tensors: ReadonlyMap<string, Pick<GgufTensor, 'shape'>>,
  { file = 'the GGUF file' }: ModelConfigFromGgufOptions = {},
): ModelConfig {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${file}: ${problem}.`, { details: { file } });
  };
  const name = metadata['general.architecture'];
  const family =
    typeof name === 'string' && Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (family === undefined) {
    return fail(
      `the architecture ${JSON.stringify(name)} is not supported; supported are llama (Llama, SmolLM2, TinyLlama, Mistral), qwen2 and qwen3`,
    );
  }
  const key = (suffix: string) => `${name as string}.${suffix}`;
  const count = (suffix: string, fallback?: number): number => {
    const value = metadata[key(suffix)] ?? fallback;
    if (Array.isArray(value)) return fail(`${key(suffix)} differs between layers, which is not supported`);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > MAX_SIZE) {
      return fail(`${key(suffix)} is ${String(value)}; a whole number from 1 to ${MAX_SIZE} was expected`);
    }
    return value;
  };
  const positive = (suffix: string, fallback?: number): number => {
    const value = metadata[key(suffix)] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      return fail(`${key(suffix)} is ${String(value)}; a number above 0 was expected`);
    }
    return shortestDecimal(value);
  };
  const tokenId = (suffix: string): number[] => {
    const value = metadata[`tokenizer.ggml.${suffix}`];
    if (value === undefined) return [];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      return fail(`tokenizer.ggml.${suffix} is ${String(value)}; a token id was expected`);
    }
    return [value];
  };
  const experts = metadata[key('expert_count')];
  if (experts !== undefined && experts !== 0) {
    fail(
      `mixtures of experts (${key('expert_count')} ${String(experts)}) are not supported; supported are dense models`,
    );
  }

  const hiddenSize = count('embedding_length');
  const numHeads = count('attention.head_count');
  const headDim = count('attention.key_length', hiddenSize / numHeads);
  if (count('attention.value_length', headDim) !== headDim)
    fail('keys and values have different widths, which is not supported');
  if (count('rope.dimension_count', headDim) !== headDim) {
    fail(
      `rotary embedding of ${count('rope.dimension_count')} of ${headDim} dimensions is not supported; supported is all of them`,
    );
  }
  const window = metadata[key('attention.sliding_window')];
  const slidingWindow = window === undefined || window === 0 ? null : count('attention.sliding_window');
  if (slidingWindow !== null && family !== 'llama')
    fail('a sliding window is supported in Mistral models only');
  const has = (tensor: string) => tensors.has(tensor);
  const embedding = tensors.get('token_embd.weight');
  const config: ModelConfig = {
    architecture: slidingWindow === null ? family : 'mistral',
    // the embedding may have more rows than the tokenizer has tokens; what counts is what is multiplied
    vocabSize: embedding?.shape[0] ?? count('vocab_size'),
    hiddenSize,
    intermediateSize: count('feed_forward_length'),
    numLayers: count('block_count'),
    numHeads,
    numKeyValueHeads: count('attention.head_count_kv', numHeads),
    headDim,
    rmsNormEps: positive('attention.layer_norm_rms_epsilon'),
    ropeTheta: positive('rope.freq_base', 10_000),
    ropeScaling: parseRopeScaling(metadata, key, positive, fail),
    maxPositionEmbeddings: count('context_length'),
    slidingWindow,
    tieWordEmbeddings: !has('output.weight'),
    attentionBias: has('blk.0.attn_q.bias'),
    attentionOutputBias: has('blk.0.attn_output.bias'),
    mlpBias: has('blk.0.ffn_up.bias'),
    queryKeyNorm: has('blk.0.attn_q_norm.weight'),
    bosTokenId: tokenId('bos_token_id')[0] ?? null,
    eosTokenIds: [...new Set([...tokenId('eos_token_id'), ...tokenId('eot_token_id')])],
    padTokenId: tokenId('padding_token_id')[0] ?? null,
  };
  checkBiases(config, fail);
  checkModelConfig(config, file);
  return config;
}

/** The shortest decimal with the same float32, the type that files store these in: 1e-5, not 0.00000999999974. */
function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9 && Math.fround(value) === value; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return value;
}

/** A model must be one that Hugging Face's class of its architecture can be configured to be, or it couldn't be saved. */
function checkBiases(config: ModelConfig, fail: (problem: string) => never): void {
  const { architecture, attentionBias, attentionOutputBias, mlpBias, queryKeyNorm } = config;
  const outputFollows = architecture === 'llama' || architecture === 'qwen3';
  if (attentionOutputBias !== (outputFollows && attentionBias)) {
    fail(
      `an attention output ${attentionOutputBias ? 'with' : 'without'} bias is not what ${architecture} models have`,
    );
  }
  if (mlpBias && architecture !== 'llama')
    fail(`biases in the feed-forward layers are not what ${architecture} models have`);
  if (attentionBias !== (architecture === 'qwen2') && architecture !== 'llama' && architecture !== 'qwen3') {
    fail(
      `${attentionBias ? 'biases' : 'no biases'} on queries, keys and values are not what ${architecture} models have`,
    );
  }
  if (queryKeyNorm !== (architecture === 'qwen3')) {
    fail(`${queryKeyNorm ? 'a' : 'no'} query and key norm is not what ${architecture} models have`);
  }
}

function parseRopeScaling(
  metadata: GgufMetadata,
  key: (suffix: string) => string,
  positive: (suffix: string, fallback?: number) => number,
  fail: (problem: string) => never,
): RopeScaling {
  const oldFactor = metadata[key('rope.scale_linear')];
  const type = metadata[key('rope.scaling.type')] ?? (oldFactor === undefined ? 'none' : 'linear');
  if (type === 'none') return { type: 'default' };
  if (type === 'linear') {
    const factor = positive(oldFactor === undefined ? 'rope.scaling.factor' : 'rope.scale_linear');
    return factor === 1 ? { type: 'default' } : { type: 'linear', factor };
  }
  return fail(
    `the rope scaling ${JSON.stringify(type)} is not supported; supported are "none", "linear" and Llama 3's factors`,
  );
}

/** Llama 3.1 and later all have these. */
const LLAMA3 = { lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 8192 } as const;
const FACTOR_TOLERANCE = 1e-4;

/**
 * Llama 3's scaling out of the tensor `rope_freqs.weight`, the numbers that each frequency is divided by
 * (headDim / 2 of them). The largest is the factor; the others must be what Llama 3.1's formula gives
 * with it. Throws CheckpointError where they aren't: some other scaling, unknown to the decoder.
 */
export function ropeScalingFromFactors(
  factors: Float32Array,
  { ropeTheta, headDim }: Pick<ModelConfig, 'ropeTheta' | 'headDim'>,
  metadata: GgufMetadata,
): RopeScaling {
  const declared = metadata['llama.rope.scaling.original_context_length'];
  const contexts = [LLAMA3.originalMaxPositionEmbeddings as number];
  if (typeof declared === 'number' && declared > 0) contexts.unshift(declared);
  const factor = factors.reduce((largest, value) => Math.max(largest, value), 0);
  if (factors.length === headDim / 2 && factors.every((value) => value === 1)) return { type: 'default' };
  for (const originalMaxPositionEmbeddings of contexts) {
    const scaling = { type: 'llama3' as const, ...LLAMA3, factor, originalMaxPositionEmbeddings };
    const wanted = llama3Factors(scaling, ropeTheta, headDim);
    const same = wanted.every((value, i) => Math.abs(value - (factors[i] ?? 0)) <= FACTOR_TOLERANCE * value);
    if (same && factors.length === wanted.length) return scaling;
  }
  throw new CheckpointError(
    "The tensor rope_freqs.weight holds rotary factors that are not Llama 3's (low 1, high 4, original context 8192); other tables of factors are not supported.",
    { details: { factors: [...factors] } },
  );
}

/**
 * What Llama 3.1 divides frequency i by: 1 for wavelengths below context / high, `factor` above context / low,
 * and `1 / ((1 - s) / factor + s)`, `s = (context / wavelength - low) / (high - low)`, between.
 */
function llama3Factors(
  scaling: Extract<RopeScaling, { type: 'llama3' }>,
  ropeTheta: number,
  headDim: number,
): number[] {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: context } = scaling;
  return Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * ropeTheta ** ((2 * i) / headDim);
    if (wavelength < context / highFreqFactor) return 1;
    if (wavelength > context / lowFreqFactor) return factor;
    const smooth = (context / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
