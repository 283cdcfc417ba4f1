import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../../src/errors.js';
import { modelConfigFromGguf, ropeScalingFromFactors } from '../../../src/models/gguf-config.js';
import { dequantizerOf } from '../../../src/models/gguf-dequantize.js';
import { openGguf } from '../../../src/models/gguf-file.js';
import type { GgufValue } from '../../../src/models/gguf-header.js';
import { hfNameOf, unpermutedRow } from '../../../src/models/gguf-names.js';
import { GGUF_TYPES } from '../../../src/models/gguf-types.js';
import { loadModelFiles } from '../../../src/models/model-files.js';
import { readFloat32 } from '../../../src/models/weight-source.js';
import { elementCount } from '../../../src/runtime/dtypes.js';
import { checkpointErrorOf, damaged, sha256, temporaryFolders } from './support.js';

const temporaryFolder = temporaryFolders();
const GOLDEN = new URL('../../golden/gguf/', import.meta.url);
const golden = (name: string) => new URL(name, GOLDEN).pathname;
const goldenJson = <T>(name: string) => JSON.parse(readFileSync(golden(name), 'utf8')) as T;

describe('dequantization', () => {
  const cases = Object.entries(goldenJson<Record<string, { blocks: string; values: string }>>('blocks.json'));

  it.each(cases)(
    "of %s gives the float32 values of llama.cpp's Python package, bit for bit",
    (name, { blocks, values }) => {
      const type = [...GGUF_TYPES.values()].find((candidate) => candidate.name === name)!;
      const bytes = Buffer.from(blocks, 'base64');
      const count = bytes.length / type.blockBytes;
      // in the middle of both arrays, so that offsets count
      const source = new Uint8Array(bytes.length + 7);
      source.set(bytes, 7);
      const target = new Float32Array(count * type.blockSize + 3).fill(42);
      dequantizerOf(name)!(source, 7, target, 2, count);
      expect(target[1]).toBe(42);
      expect(target.at(-1)).toBe(42);
      expect(sha256(new Uint8Array(target.slice(2, -1).buffer))).toBe(sha256(Buffer.from(values, 'base64')));
    },
  );

  it('covers every quantized type that is promised', () => {
    expect(cases.map(([name]) => name).sort()).toEqual([
      'Q2_K',
      'Q3_K',
      'Q4_0',
      'Q4_1',
      'Q4_K',
      'Q5_0',
      'Q5_1',
      'Q5_K',
      'Q6_K',
      'Q8_0',
    ]);
    expect(dequantizerOf('IQ4_XS')).toBeUndefined();
    expect(dequantizerOf('constructor')).toBeUndefined();
  });
});

describe('openGguf', () => {
  it.each(['tiny-llama', 'tiny-qwen2', 'tiny-qwen3'])(
    "reads %s: every tensor under Hugging Face's name, in its order of rows",
    (name) => {
      const files = loadModelFiles(golden(`${name}.gguf`));
      const hashes = goldenJson<Record<string, string>>(`${name}.json`);
      const found = Object.fromEntries(
        [...files.weights.tensors.keys()].map((tensor) => [
          tensor,
          sha256(new Uint8Array(readFloat32(files.weights, tensor).buffer)),
        ]),
      );
      expect(found).toEqual(hashes);
      files.weights.close();
    },
  );

  it('reads the configuration: sizes, rotary factors as Llama 3 scaling, ties, biases, norms', () => {
    const { config: llama, metadata } = openGguf(golden('tiny-llama.gguf'));
    expect(llama).toMatchObject({
      architecture: 'llama',
      vocabSize: 32,
      headDim: 16,
      numHeads: 4,
      numKeyValueHeads: 2,
      rmsNormEps: 1e-5,
      ropeTheta: 500_000,
      ropeScaling: {
        type: 'llama3',
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositionEmbeddings: 8192,
      },
      tieWordEmbeddings: false,
      bosTokenId: 1,
      eosTokenIds: [2],
      padTokenId: null,
    });
    expect(metadata['tokenizer.ggml.tokens']).toHaveLength(32);
    expect(openGguf(golden('tiny-qwen2.gguf')).config).toMatchObject({
      architecture: 'qwen2',
      attentionBias: true,
      tieWordEmbeddings: true,
      ropeScaling: { type: 'default' },
    });
    expect(openGguf(golden('tiny-qwen3.gguf')).config).toMatchObject({
      architecture: 'qwen3',
      queryKeyNorm: true,
      headDim: 32,
    });
  });

  it('reads into a target at any byte offset', () => {
    const { weights } = openGguf(golden('tiny-llama.gguf'));
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const { byteLength } = weights.tensors.get(name)!;
    const odd = new Uint8Array(byteLength + 1).subarray(1);
    weights.read(name, odd);
    const aligned = new Uint8Array(byteLength);
    weights.read(name, aligned);
    expect(sha256(odd)).toBe(sha256(aligned));
    weights.close();
  });
});

describe('damaged GGUF files', () => {
  it('are a CheckpointError or a file that can be read in full, whatever bytes change', () => {
    const bytes = readFileSync(golden('tiny-qwen3.gguf'));
    const path = join(temporaryFolder(), 'damaged.gguf');
    const headerEnd = bytes.indexOf('blk.0.attn_norm.weight') + 900;
    const damage = fc.record({
      flips: fc.array(
        fc.record({
          place: fc.double({ min: 0, max: 1, noNaN: true }),
          value: fc.oneof(fc.constantFrom(0, 1, 8, 9, 127, 128, 255), fc.nat(255)),
        }),
        { maxLength: 4 },
      ),
      keep: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 4 }),
      append: fc.constantFrom(0, 0, 1, 100),
    });
    const outcomes = { read: 0, refused: 0 };
    fc.assert(
      fc.property(damage, (one) => {
        writeFileSync(path, damaged(bytes, one, headerEnd));
        try {
          const files = loadModelFiles(path);
          try {
            for (const { name, shape } of files.weights.tensors.values()) {
              expect(readFloat32(files.weights, name).length).toBe(elementCount(shape));
            }
          } finally {
            files.weights.close();
          }
          outcomes.read++;
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
          outcomes.refused++;
        }
      }),
      { numRuns: 1500 },
    );
    // both happened, or the test shows nothing
    expect(outcomes.read).toBeGreaterThan(10);
    expect(outcomes.refused).toBeGreaterThan(300);
  });
});

/** Writes headers by hand, right or wrong. */
class GgufBytes {
  readonly #parts: Buffer[] = [];
  u32(value: number) {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.#parts.push(part);
    return this;
  }
  u64(value: number | bigint) {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.#parts.push(part);
    return this;
  }
  text(value: string) {
    this.u64(Buffer.byteLength(value));
    this.#parts.push(Buffer.from(value));
    return this;
  }
  raw(...bytes: number[]) {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }
  start(tensors: number | bigint, entries: number | bigint, version = 3) {
    return this.raw(0x47, 0x47, 0x55, 0x46).u32(version).u64(tensors).u64(entries);
  }
  tensor(name: string, sizes: (number | bigint)[], type: number, offset: number | bigint) {
    this.text(name).u32(sizes.length);
    for (const size of sizes) this.u64(size);
    return this.u32(type).u64(offset);
  }
  /** Padding to the data part, then data. */
  data(bytes: number) {
    const length = this.bytes().length;
    this.#parts.push(Buffer.alloc((32 - (length % 32)) % 32), Buffer.alloc(bytes));
    return this;
  }
  bytes() {
    return Buffer.concat(this.#parts);
  }
}

describe('lying GGUF headers', () => {
  const gguf = () => new GgufBytes();
  it.each<[string, GgufBytes, RegExp]>([
    ['an empty file', gguf(), /the magic would take 4 bytes.*the file has 0/],
    ['another magic', gguf().raw(1, 2, 3, 4), /does not start with "GGUF"/],
    ['version 1', gguf().start(0, 0, 1), /version is 1; versions 2 and 3/],
    ['big-endian', gguf().raw(0x47, 0x47, 0x55, 0x46, 0, 0, 0, 3), /big-endian/],
    [
      'a count of 2^63 tensors',
      gguf().start(2n ** 63n, 0),
      /number of tensors is 9223372036854775808, more than/,
    ],
    ['more entries than there are', gguf().start(0, 3), /the length of a metadata key would take 8 bytes/],
    [
      'a key of 2^40 bytes',
      gguf()
        .start(0, 1)
        .u64(2n ** 40n),
      /length of a metadata key is 1099511627776/,
    ],
    [
      'a string longer than the file',
      gguf().start(0, 1).text('k').u32(8).u64(1000),
      /the value of k would take 1000 bytes/,
    ],
    [
      'an array longer than the file',
      gguf().start(0, 1).text('k').u32(9).u32(4).u64(1_000_000),
      /1000000 elements of k would take 4000000 bytes/,
    ],
    [
      'an array of 2^60',
      gguf()
        .start(0, 1)
        .text('k')
        .u32(9)
        .u32(0)
        .u64(2n ** 60n),
      /length of k is 1152921504606846976/,
    ],
    [
      'arrays in arrays in arrays',
      gguf().start(0, 1).text('k').u32(9).u32(9).u64(1).u32(9).u64(1).u32(9).u64(0).u64(0),
      /nested more than 2 deep/,
    ],
    ['a value type of 13', gguf().start(0, 1).text('k').u32(13), /k has the value type 13/],
    [
      'an element type of 99',
      gguf().start(0, 1).text('k').u32(9).u32(99).u64(0),
      /k has the element type 99/,
    ],
    ['a boolean of 2', gguf().start(0, 1).text('k').u32(7).raw(2), /the value of k is 2, a boolean/],
    [
      'a key twice',
      gguf().start(0, 2).text('k').u32(0).raw(1).text('k').u32(0).raw(1),
      /metadata key "k" is there twice/,
    ],
    [
      'an alignment of 3',
      gguf().start(0, 1).text('general.alignment').u32(4).u32(3),
      /alignment is 3; a power of two/,
    ],
    [
      'an alignment that is text',
      gguf().start(0, 1).text('general.alignment').u32(8).text('x'),
      /alignment is x/,
    ],
    ['five dimensions', gguf().start(1, 0).tensor('t', [1, 1, 1, 1, 1], 0, 0), /"t" has 5 dimensions/],
    [
      'a shape that overflows',
      gguf()
        .start(1, 0)
        .tensor('t', [2n ** 40n, 2n ** 40n], 0, 0),
      /impossibly large/,
    ],
    ['a type nobody knows', gguf().start(1, 0).tensor('t', [1], 77, 0), /"t" has the type 77/],
    [
      'rows that are no blocks',
      gguf().start(1, 0).tensor('t', [33], 2, 0).data(64),
      /rows of "t" have 33 elements, no multiple of Q4_0's block of 32/,
    ],
    [
      'a tensor beyond the end',
      gguf().start(1, 0).tensor('t', [16], 0, 0).data(63),
      /"t" ends at byte .*cut short/,
    ],
    [
      'an offset beyond the end',
      gguf()
        .start(1, 0)
        .tensor('t', [1], 0, 2n ** 52n)
        .data(4),
      /"t" ends at byte/,
    ],
    [
      'an offset off the alignment',
      gguf().start(1, 0).tensor('t', [1], 0, 4).data(32),
      /offset 4, no multiple of the alignment 32/,
    ],
    [
      'overlapping tensors',
      gguf().start(2, 0).tensor('a', [16], 0, 0).tensor('b', [1], 0, 32).data(64),
      /"b" overlaps/,
    ],
    [
      'a tensor twice',
      gguf().start(2, 0).tensor('a', [1], 0, 0).tensor('a', [1], 0, 32).data(64),
      /tensor "a" is there twice/,
    ],
    [
      'no architecture',
      gguf().start(0, 0),
      /the architecture undefined is not supported; supported are llama/,
    ],
    ['one part of several', gguf().start(0, 1).text('split.count').u32(2).raw(3, 0), /one of 3 parts/],
  ])('are refused: %s', (_, file, message) => {
    const path = join(temporaryFolder(), 'x.gguf');
    writeFileSync(path, file.bytes());
    const error = checkpointErrorOf(() => openGguf(path));
    expect(error.message).toMatch(message);
    expect(error.message).toContain(path);
  });
});

describe('modelConfigFromGguf', () => {
  const base: Record<string, GgufValue> = {
    'general.architecture': 'llama',
    'llama.embedding_length': 64,
    'llama.block_count': 2,
    'llama.feed_forward_length': 96,
    'llama.attention.head_count': 4,
    'llama.attention.head_count_kv': 2,
    'llama.attention.layer_norm_rms_epsilon': Math.fround(1e-6),
    'llama.context_length': 128,
    'llama.vocab_size': 10,
    'tokenizer.ggml.eos_token_id': 3,
    'tokenizer.ggml.eot_token_id': 4,
  };
  const tensors = (...names: string[]) => new Map(names.map((name) => [name, { shape: [1] }]));

  it('fills in what a file leaves out', () => {
    expect(modelConfigFromGguf(base, tensors('output.weight'))).toMatchObject({
      headDim: 16,
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      vocabSize: 10,
      tieWordEmbeddings: false,
      eosTokenIds: [3, 4],
    });
    expect(modelConfigFromGguf({ ...base, 'llama.attention.sliding_window': 64 }, tensors())).toMatchObject({
      architecture: 'mistral',
      slidingWindow: 64,
      tieWordEmbeddings: true,
    });
    const linear = { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 };
    expect(modelConfigFromGguf({ ...base, ...linear }, tensors()).ropeScaling).toEqual({
      type: 'linear',
      factor: 4,
    });
  });

  it.each<[string, Record<string, GgufValue>, string[], RegExp]>([
    [
      'architectures',
      { 'general.architecture': 'gemma3' },
      [],
      /"gemma3" is not supported; supported are llama/,
    ],
    ['experts', { 'llama.expert_count': 8 }, [], /mixtures of experts \(llama.expert_count 8\)/],
    [
      'layers of different kinds',
      { 'llama.attention.head_count_kv': [2, 4] },
      [],
      /head_count_kv differs between layers/,
    ],
    ['yarn', { 'llama.rope.scaling.type': 'yarn' }, [], /rope scaling "yarn" is not supported/],
    ['partial rotary embedding', { 'llama.rope.dimension_count': 8 }, [], /rotary embedding of 8 of 16/],
    ['numbers of layers', { 'llama.block_count': 16_000_000 }, [], /16000000 layers is out of range/],
    ['missing sizes', { 'llama.block_count': 'many' }, [], /llama.block_count is many/],
    ['biases that its class lacks', {}, ['blk.0.attn_q.bias'], /attention output without bias/],
    [
      'norms that its class lacks',
      {},
      ['blk.0.attn_q_norm.weight'],
      /a query and key norm is not what llama/,
    ],
    ['tokens that are none', { 'tokenizer.ggml.eos_token_id': -1 }, [], /eos_token_id is -1/],
  ])('refuses other %s by name', (_, change, names, message) => {
    const error = checkpointErrorOf(() => modelConfigFromGguf({ ...base, ...change }, tensors(...names)));
    expect(error.message).toMatch(message);
  });

  it("refuses rotary factors that are not Llama 3's, and takes factors of one as none", () => {
    const shape = { ropeTheta: 10_000, headDim: 8 };
    expect(ropeScalingFromFactors(new Float32Array(4).fill(1), shape, {})).toEqual({ type: 'default' });
    const error = checkpointErrorOf(() => ropeScalingFromFactors(new Float32Array([1, 2, 3, 4]), shape, {}));
    expect(error.message).toMatch(/not Llama 3's/);
    expect(() => ropeScalingFromFactors(new Float32Array(3).fill(1), shape, {})).toThrow(CheckpointError);
  });
});

describe('names and rows', () => {
  it('gives no name to tensors of other architectures', () => {
    expect(hfNameOf('blk.12.ffn_down.weight')).toBe('model.layers.12.mlp.down_proj.weight');
    expect(hfNameOf('blk.0.ffn_gate_inp.weight')).toBeUndefined();
    expect(hfNameOf('blk.01.ffn_up.weight')).toBeUndefined();
    expect(hfNameOf('constructor')).toBeUndefined();
    expect(hfNameOf('blk.0.constructor.weight')).toBeUndefined();
  });

  it('undoes the interleaving of the halves of each head', () => {
    // two heads of six: Hugging Face's rows 0 1 2 | 3 4 5 are stored as 0 3 1 4 2 5
    const stored = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11];
    expect(stored.map((_, row) => unpermutedRow(row, 6))).toEqual(stored);
  });
});

const SMOLLM2 = process.env.PERSONA_DPO_TEST_GGUF;
describe.skipIf(!SMOLLM2 || !existsSync(SMOLLM2))(
  'SmolLM2-135M-Instruct.Q4_1.gguf (skipped unless PERSONA_DPO_TEST_GGUF names it)',
  () => {
    it("loads, with the weights that llama.cpp's Python package gives", () => {
      const files = loadModelFiles(SMOLLM2!);
      expect(files.config).toMatchObject({
        architecture: 'llama',
        vocabSize: 49152,
        hiddenSize: 576,
        numLayers: 30,
        numHeads: 9,
        numKeyValueHeads: 3,
        headDim: 64,
        ropeTheta: 100_000,
        rmsNormEps: 1e-5,
        maxPositionEmbeddings: 8192,
        tieWordEmbeddings: true,
        eosTokenIds: [2],
      });
      const start = (name: string) =>
        sha256(new Uint8Array(readFloat32(files.weights, name).buffer)).slice(0, 16);
      expect(start('model.layers.0.self_attn.k_proj.weight')).toBe('814d239237d0643a');
      expect(start('model.layers.1.mlp.up_proj.weight')).toBe('0ae7966fefed7ce4');
      let parameters = 0;
      for (const name of files.weights.tensors.keys()) parameters += readFloat32(files.weights, name).length;
      expect(parameters).toBe(134_515_008);
      files.weights.close();
    });
  },
);
