import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adapterTensorName, openAdapter, writeAdapter } from '../../../src/models/peft.js';
import {
  adapterConfigToJson,
  isTargeted,
  type PeftConfig,
  parseAdapterConfig,
  rankOf,
  scalingOf,
} from '../../../src/models/peft-config.js';
import { writeSafetensors } from '../../../src/models/safetensors-write.js';
import { checkpointErrorOf, countingTensor, rawBytes, temporaryFolders } from './support.js';

const temporaryFolder = temporaryFolders();

/** As PEFT 0.21 writes it, without the keys that are null. */
const JSON_OF_PEFT = {
  alpha_pattern: {},
  bias: 'none',
  fan_in_fan_out: false,
  init_lora_weights: true,
  loftq_config: {},
  lora_alpha: 16,
  lora_bias: false,
  lora_dropout: 0.05,
  megatron_core: 'megatron.core',
  peft_type: 'LORA',
  peft_version: '0.21.0',
  qalora_group_size: 16,
  r: 8,
  rank_pattern: {},
  target_modules: ['q_proj', 'v_proj'],
  task_type: 'CAUSAL_LM',
  use_dora: false,
  use_rslora: false,
  some_future_key: null,
};

const Q = 'model.layers.0.self_attn.q_proj';

describe('parseAdapterConfig', () => {
  it('reads plain LoRA', () => {
    expect(parseAdapterConfig(JSON_OF_PEFT)).toEqual({
      rank: 8,
      alpha: 16,
      dropout: 0.05,
      targetModules: { kind: 'names', names: ['q_proj', 'v_proj'] },
      useRslora: false,
      rankPattern: {},
      alphaPattern: {},
      baseModel: null,
      revision: null,
    });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['another method', { peft_type: 'LOHA' }, /peft_type "LOHA" is not supported; supported is "LORA"/],
    ['another task', { task_type: 'SEQ_CLS' }, /task_type "SEQ_CLS"/],
    ['DoRA', { use_dora: true }, /use_dora \(true\) is not supported/],
    ['biases', { bias: 'all' }, /bias "all"/],
    ['biases of the matrices', { lora_bias: true }, /lora_bias \(true\)/],
    ['whole modules', { modules_to_save: ['embed_tokens'] }, /modules_to_save \(\["embed_tokens"\]\)/],
    ['some layers', { layers_to_transform: [0] }, /layers_to_transform/],
    ['excluded modules', { exclude_modules: ['q_proj'] }, /exclude_modules/],
    ['trained tokens', { trainable_token_indices: [1] }, /trainable_token_indices/],
    [
      'an initialisation that changes the base',
      { init_lora_weights: 'pissa' },
      /init_lora_weights "pissa".*changes the base/,
    ],
    ['a key of a later version', { some_future_key: { x: 1 } }, /some_future_key/],
    ['no rank', { r: 0 }, /r is 0; a whole number from 1/],
    ['a dropout above one', { lora_dropout: 1.5 }, /lora_dropout is 1.5/],
    ['no target modules', { target_modules: null }, /target_modules is null/],
    ['a pattern that is none', { target_modules: '(' }, /target_modules holds/],
    ['a rank pattern that is none', { rank_pattern: { '[': 3 } }, /rank_pattern holds/],
    ['a rank pattern with half a rank', { rank_pattern: { q_proj: 1.5 } }, /rank_pattern is/],
    ['a flag that is text', { use_rslora: 'yes' }, /use_rslora is "yes"/],
    ['a base model that is a number', { base_model_name_or_path: 3 }, /base_model_name_or_path is 3/],
  ])('refuses %s by name', (_, change, message) => {
    const error = checkpointErrorOf(() =>
      parseAdapterConfig({ ...JSON_OF_PEFT, ...change }, 'x/adapter_config.json'),
    );
    expect(error.message).toMatch(message);
    expect(error.message).toContain('x/adapter_config.json');
  });

  it.each<[string, Partial<PeftConfig>]>([
    ['names', {}],
    ['all linear layers', { targetModules: { kind: 'all-linear' } }],
    ['a pattern', { targetModules: { kind: 'pattern', pattern: '.*q_proj' }, useRslora: true }],
    [
      'patterns of rank',
      { rankPattern: { q_proj: 4 }, alphaPattern: { q_proj: 2.5 }, baseModel: 'a/b', revision: 'c' },
    ],
  ])('reads back what is written: %s', (_, change) => {
    const config = { ...parseAdapterConfig(JSON_OF_PEFT), ...change };
    const text = JSON.stringify(adapterConfigToJson(config));
    expect(parseAdapterConfig(JSON.parse(text) as Record<string, unknown>)).toEqual(config);
  });
});

describe("PEFT's rules", () => {
  const config = parseAdapterConfig(JSON_OF_PEFT);

  it('names match the end of a path after a dot, patterns the whole path, all-linear all but the head', () => {
    const names = {
      targetModules: { kind: 'names' as const, names: ['proj', 'q_proj', 'layers.1.mlp.up_proj'] },
    };
    expect(isTargeted(names, Q)).toBe(true);
    expect(isTargeted(names, 'q_proj')).toBe(true);
    expect(isTargeted(names, 'model.layers.0.self_attn.k_proj')).toBe(false);
    expect(isTargeted(names, 'model.layers.1.mlp.up_proj')).toBe(true);
    expect(isTargeted(names, 'model.layers.0.mlp.up_proj')).toBe(false);
    const pattern = { targetModules: { kind: 'pattern' as const, pattern: 'model.*q_proj|lm_head' } };
    expect(isTargeted(pattern, Q)).toBe(true);
    expect(isTargeted(pattern, `${Q}.x`)).toBe(false);
    expect(isTargeted(pattern, 'x.lm_head')).toBe(false);
    expect(isTargeted({ targetModules: { kind: 'all-linear' } }, Q)).toBe(true);
    expect(isTargeted({ targetModules: { kind: 'all-linear' } }, 'lm_head')).toBe(false);
  });

  it('scales by alpha / r, or alpha / sqrt(r) with rsLoRA, with the patterns of the module', () => {
    const patterns = { ...config, rankPattern: { 'layers.0.*q_proj': 4 }, alphaPattern: { q_proj: 2 } };
    expect(scalingOf(config, Q)).toBe(2);
    expect(scalingOf({ ...config, useRslora: true }, Q)).toBeCloseTo(16 / Math.sqrt(8), 12);
    expect(rankOf(patterns, Q)).toBe(4);
    expect(rankOf(patterns, 'model.layers.1.self_attn.q_proj')).toBe(8);
    expect(scalingOf(patterns, Q)).toBe(0.5);
    // the expression for ranks covers this name, the one for alphas, a whole part of the path, does not
    expect(scalingOf(patterns, 'model.layers.0.mlp.x_q_proj')).toBe(4);
  });
});

describe('adapter folders', () => {
  const config: PeftConfig = { ...parseAdapterConfig(JSON_OF_PEFT), rank: 2 };
  const matrices = (module = Q, rank = 2) => [
    countingTensor(adapterTensorName(module, 'A'), 'float32', [rank, 6], 1),
    countingTensor(adapterTensorName(module, 'B'), 'float32', [4, rank], 2),
  ];

  it('are written and opened again', () => {
    const folder = join(temporaryFolder(), 'new', 'adapter');
    writeAdapter(folder, config, matrices());
    const adapter = openAdapter(folder);
    expect(adapter.config).toEqual(config);
    expect([...adapter.modules.keys()]).toEqual([Q]);
    const { rank, a, b } = adapter.modules.get(Q)!;
    expect([rank, a.shape, b.shape]).toEqual([2, [2, 6], [4, 2]]);
    expect(a.name).toBe('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight');
    expect(rawBytes(adapter.weights, b.name)).toEqual(matrices()[1]!.bytes());
    adapter.weights.close();
  });

  it.each<[string, () => ReturnType<typeof matrices>, RegExp]>([
    ['half a pair', () => matrices().slice(0, 1), /q_proj has lora_A only/],
    ['another rank', () => matrices(Q, 3), /lora_A \[3, 6\] and lora_B \[4, 3\].*\[2, in\] and \[out, 2\]/],
    ['nothing', () => [], /holds no tensors/],
    [
      'a module that is no target',
      () => matrices('model.layers.0.mlp.up_proj'),
      /up_proj has matrices, but is none of the configured target_modules/,
    ],
    [
      'a tensor of DoRA',
      () => [countingTensor(`base_model.model.${Q}.lora_magnitude_vector`, 'float32', [4])],
      /lora_magnitude_vector is no matrix of plain LoRA/,
    ],
  ])('with %s are refused', (_, tensors, message) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(adapterConfigToJson(config)));
    writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors());
    expect(checkpointErrorOf(() => openAdapter(folder)).message).toMatch(message);
  });

  it('that are none are refused with a hint', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'config.json'), '{}');
    expect(checkpointErrorOf(() => openAdapter(folder)).message).toMatch(
      /no adapter_config.json \(it is a whole model/,
    );
    writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(JSON_OF_PEFT));
    expect(checkpointErrorOf(() => openAdapter(folder)).message).toMatch(
      /adapter_model.safetensors cannot be opened/,
    );
    writeFileSync(join(folder, 'adapter_model.bin'), '');
    expect(checkpointErrorOf(() => openAdapter(folder)).message).toMatch(/adapter_model.bin only/);
  });

  it('are not written with names that PEFT does not know', () => {
    const folder = temporaryFolder();
    expect(
      checkpointErrorOf(() => writeAdapter(folder, config, [countingTensor('x', 'float32', [1])])).message,
    ).toMatch(/x is no name/);
  });
});

const REFERENCE = process.env.PERSONA_DPO_REFERENCE_DIR;
describe.skipIf(!REFERENCE)(
  "PEFT's own adapter (skipped unless PERSONA_DPO_REFERENCE_DIR names its folder)",
  () => {
    it('opens, and is written again with the same matrices and meaning', () => {
      const folder = join(REFERENCE!, 'reference', 'golden', 'dpo-lora-adapter-init');
      const adapter = openAdapter(folder);
      expect(adapter.modules.size).toBe(3 * 7);
      expect(adapter.config).toMatchObject({ rank: 4, alpha: 8 });
      const copy = temporaryFolder();
      const tensors = [...adapter.weights.tensors.values()].map((info) => ({
        ...info,
        bytes: () => rawBytes(adapter.weights, info.name),
      }));
      writeAdapter(copy, adapter.config, tensors);
      const again = openAdapter(copy);
      expect(again.config).toEqual(adapter.config);
      // the same order and padding as the Rust library's: the same file
      const file = 'adapter_model.safetensors';
      const [ours, theirs] = [readFileSync(join(copy, file)), readFileSync(join(folder, file))];
      expect(ours.length).toBe(theirs.length);
      for (const { name } of tensors)
        expect(rawBytes(again.weights, name)).toEqual(rawBytes(adapter.weights, name));
      again.weights.close();
      adapter.weights.close();
    });
  },
);
