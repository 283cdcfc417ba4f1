import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  expectedWeights,
  type ModelConfig,
  modelConfigToJson,
  parseModelConfig,
} from '../../../src/models/model-config.js';
import { elementCount } from '../../../src/runtime/dtypes.js';
import { checkpointErrorOf } from './support.js';

const LLAMA3_ROPE = {
  factor: 32.0,
  high_freq_factor: 4.0,
  low_freq_factor: 1.0,
  original_max_position_embeddings: 8192,
  rope_type: 'llama3',
};

function sizes(
  vocab: number,
  width: number,
  ffn: number,
  layers: number,
  heads: number,
  keyValueHeads: number,
) {
  return {
    vocab_size: vocab,
    hidden_size: width,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
  };
}

/** Shapes as published, and the number of parameters that their model cards give. */
const PUBLISHED: Record<
  string,
  { json: Record<string, unknown>; parameters: number; expected: Partial<ModelConfig> }
> = {
  'Llama 2 7B': {
    json: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes(32000, 4096, 11008, 32, 32, 32),
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      max_position_embeddings: 4096,
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: -1,
    },
    parameters: 6_738_415_616,
    expected: {
      headDim: 128,
      ropeTheta: 10_000,
      ropeScaling: { type: 'default' },
      padTokenId: null,
      eosTokenIds: [2],
    },
  },
  'Llama 3.2 1B': {
    json: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes(128256, 2048, 8192, 16, 32, 8),
      head_dim: 64,
      rms_norm_eps: 1e-5,
      rope_theta: 500000.0,
      rope_scaling: LLAMA3_ROPE,
      max_position_embeddings: 131072,
      tie_word_embeddings: true,
      bos_token_id: 128000,
      eos_token_id: [128001, 128008, 128009],
    },
    parameters: 1_235_814_400,
    expected: {
      tieWordEmbeddings: true,
      eosTokenIds: [128001, 128008, 128009],
      ropeScaling: {
        type: 'llama3',
        factor: 32,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositionEmbeddings: 8192,
      },
    },
  },
  'TinyLlama 1.1B': {
    json: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes(32000, 2048, 5632, 22, 32, 4),
      rms_norm_eps: 1e-5,
    },
    parameters: 1_100_048_384,
    expected: { headDim: 64, maxPositionEmbeddings: 2048, bosTokenId: 1, eosTokenIds: [2] },
  },
  'SmolLM2 135M': {
    json: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...sizes(49152, 576, 1536, 30, 9, 3),
      rope_theta: 100000,
      tie_word_embeddings: true,
    },
    parameters: 134_515_008,
    expected: { headDim: 64, ropeTheta: 100_000, attentionBias: false, mlpBias: false },
  },
  'Mistral 7B v0.1': {
    json: {
      architectures: ['MistralForCausalLM'],
      model_type: 'mistral',
      ...sizes(32000, 4096, 14336, 32, 32, 8),
      sliding_window: 4096,
    },
    parameters: 7_241_732_096,
    expected: { slidingWindow: 4096, architecture: 'mistral' },
  },
  'Mistral 7B v0.3': {
    json: {
      architectures: ['MistralForCausalLM'],
      model_type: 'mistral',
      ...sizes(32768, 4096, 14336, 32, 32, 8),
      rope_theta: 1e6,
      sliding_window: null,
    },
    parameters: 7_248_023_552,
    expected: { slidingWindow: null, ropeTheta: 1e6 },
  },
  'Qwen2.5 0.5B': {
    json: {
      architectures: ['Qwen2ForCausalLM'],
      model_type: 'qwen2',
      ...sizes(151936, 896, 4864, 24, 14, 2),
      sliding_window: 32768,
      use_sliding_window: false,
      tie_word_embeddings: true,
      bos_token_id: 151643,
      eos_token_id: 151645,
    },
    parameters: 494_032_768,
    expected: { attentionBias: true, attentionOutputBias: false, slidingWindow: null, queryKeyNorm: false },
  },
  'Qwen3 0.6B': {
    json: {
      architectures: ['Qwen3ForCausalLM'],
      model_type: 'qwen3',
      ...sizes(151936, 1024, 3072, 28, 16, 8),
      head_dim: 128,
      attention_bias: false,
      tie_word_embeddings: true,
      layer_types: Array(28).fill('full_attention'),
    },
    parameters: 596_049_920,
    expected: { headDim: 128, queryKeyNorm: true, attentionBias: false },
  },
};

describe('parseModelConfig', () => {
  it.each(Object.entries(PUBLISHED))(
    'reads %s, whose weights have the published number of parameters',
    (_, model) => {
      const config = parseModelConfig(model.json);
      expect(config).toMatchObject(model.expected);
      const parameters = expectedWeights(config).reduce((sum, { shape }) => sum + elementCount(shape), 0);
      expect(parameters).toBe(model.parameters);
    },
  );

  it('reads the same configuration from the spellings of transformers 4 and 5', () => {
    const base = { model_type: 'llama', ...sizes(100, 64, 96, 2, 4, 2) };
    const old = parseModelConfig({ ...base, rope_theta: 5e5, rope_scaling: LLAMA3_ROPE });
    const current = parseModelConfig({ ...base, rope_parameters: { ...LLAMA3_ROPE, rope_theta: 5e5 } });
    expect(current).toEqual(old);
    expect(parseModelConfig({ ...base, rope_scaling: { type: 'linear', factor: 2 } }).ropeScaling).toEqual({
      type: 'linear',
      factor: 2,
    });
  });

  const llama = PUBLISHED['SmolLM2 135M']!.json;
  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'another class',
      { architectures: ['Gemma3ForCausalLM'], model_type: 'gemma3' },
      /Gemma3ForCausalLM.*supported are LlamaForCausalLM.*Qwen3ForCausalLM/,
    ],
    [
      'a class and a type that disagree',
      { model_type: 'mllama' },
      /LlamaForCausalLM \(model_type mllama\) is not supported/,
    ],
    [
      'no architecture',
      { architectures: undefined, model_type: undefined },
      /neither "architectures" nor "model_type"/,
    ],
    [
      'a sequence classifier',
      { architectures: ['LlamaForSequenceClassification'] },
      /LlamaForSequenceClassification/,
    ],
    ['another activation', { hidden_act: 'gelu' }, /hidden_act\) "gelu".*supported is "silu"/],
    [
      'yarn',
      { rope_scaling: { rope_type: 'yarn', factor: 4 } },
      /"yarn" is not supported; supported are "default", "linear" and "llama3"/,
    ],
    [
      'rope by kind of layer',
      { rope_parameters: { full_attention: { rope_type: 'default' } } },
      /differs by kind of layer/,
    ],
    ['experts', { num_local_experts: 8 }, /mixtures of experts \(num_local_experts 8\)/],
    ['quantized weights', { quantization_config: { quant_method: 'fp8' } }, /quantized by "fp8"/],
    ['partial rotary embedding', { partial_rotary_factor: 0.5 }, /partial_rotary_factor 0.5/],
    ['a missing size', { hidden_size: undefined }, /hidden_size is missing/],
    ['a size that is text', { num_hidden_layers: '30' }, /num_hidden_layers is "30"; a whole number from 1/],
    ['a size beyond reason', { vocab_size: 1e12 }, /vocab_size is 1000000000000/],
    [
      'heads that do not divide the width',
      { num_attention_heads: 10, num_key_value_heads: 10 },
      /576 is no multiple of num_attention_heads 10/,
    ],
    [
      'heads that cannot be shared out',
      { num_key_value_heads: 4 },
      /9 query heads cannot be shared out among 4/,
    ],
    ['a negative eps', { rms_norm_eps: -1 }, /rms_norm_eps is -1/],
    ['a theta that is text', { rope_theta: 'big' }, /rope_theta is "big"/],
    [
      'llama3 scaling without its numbers',
      { rope_scaling: { rope_type: 'llama3', factor: 8 } },
      /rope_scaling.low_freq_factor is undefined/,
    ],
    ['an end token that is text', { eos_token_id: '</s>' }, /eos_token_id is "<\/s>"/],
  ])('refuses %s by name', (_, change, message) => {
    const error = checkpointErrorOf(() =>
      parseModelConfig({ ...llama, ...change }, { file: 'here/config.json' }),
    );
    expect(error.message).toMatch(message);
    expect(error.message).toContain('here/config.json');
  });

  it("refuses Qwen's windows in some layers", () => {
    const error = checkpointErrorOf(() =>
      parseModelConfig({ ...PUBLISHED['Qwen2.5 0.5B']!.json, use_sliding_window: true }),
    );
    expect(error.message).toMatch(/use_sliding_window/);
  });
});

describe('modelConfigToJson', () => {
  it('keeps the original and notes the dtype under the name that it uses', () => {
    const original = { ...PUBLISHED['SmolLM2 135M']!.json, custom: 1, torch_dtype: 'bfloat16' };
    const config = parseModelConfig(original);
    expect(modelConfigToJson(config, { dtype: 'float32', original })).toEqual({
      ...original,
      torch_dtype: 'float32',
    });
    expect(modelConfigToJson(config, { dtype: 'float32', original: { dtype: 'float16' } })).toEqual({
      dtype: 'float32',
    });
  });

  it('writes what parseModelConfig reads back, for any configuration', () => {
    const positive = fc.double({ min: 1e-6, max: 1e7, noNaN: true });
    const size = fc.integer({ min: 1, max: 5000 });
    const token = fc.option(fc.nat(100_000));
    const config = fc
      .record({
        architecture: fc.constantFrom(
          'llama' as const,
          'mistral' as const,
          'qwen2' as const,
          'qwen3' as const,
        ),
        vocabSize: size,
        hiddenSize: size,
        intermediateSize: size,
        numLayers: size.map((n) => 1 + (n % 100)),
        group: fc.integer({ min: 1, max: 8 }),
        numKeyValueHeads: fc.integer({ min: 1, max: 64 }),
        headDim: size.map((n) => 2 * n),
        rmsNormEps: positive,
        ropeTheta: positive,
        ropeScaling: fc.oneof(
          fc.constant({ type: 'default' as const }),
          fc.record({ type: fc.constant('linear' as const), factor: positive }),
          fc.record({
            type: fc.constant('llama3' as const),
            factor: positive,
            lowFreqFactor: fc.constant(1),
            highFreqFactor: fc.integer({ min: 2, max: 9 }),
            originalMaxPositionEmbeddings: size,
          }),
        ),
        maxPositionEmbeddings: size,
        window: fc.option(size),
        tieWordEmbeddings: fc.boolean(),
        bias: fc.boolean(),
        mlpBias: fc.boolean(),
        bosTokenId: token,
        eosTokenIds: fc.uniqueArray(fc.nat(100_000), { maxLength: 3 }),
        padTokenId: token,
      })
      .map(({ group, window, bias, mlpBias, ...rest }): ModelConfig => {
        const chosenBias = (rest.architecture === 'llama' || rest.architecture === 'qwen3') && bias;
        return {
          ...rest,
          numHeads: group * rest.numKeyValueHeads,
          slidingWindow: rest.architecture === 'mistral' ? window : null,
          attentionBias: rest.architecture === 'qwen2' || chosenBias,
          attentionOutputBias: chosenBias,
          mlpBias: rest.architecture === 'llama' && mlpBias,
          queryKeyNorm: rest.architecture === 'qwen3',
        };
      });
    fc.assert(
      fc.property(config, (one) => {
        const text = JSON.stringify(modelConfigToJson(one, { dtype: 'bfloat16' }));
        expect(parseModelConfig(JSON.parse(text) as Record<string, unknown>)).toEqual(one);
      }),
      { numRuns: 200 },
    );
  });
});
