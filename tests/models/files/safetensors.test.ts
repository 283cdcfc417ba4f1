import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../../src/errors.js';
import { openSafetensorsFile, openSafetensorsFolder } from '../../../src/models/safetensors.js';
import { findDuplicateKey } from '../../../src/models/safetensors-header.js';
import { writeSafetensors, writeSafetensorsFolder } from '../../../src/models/safetensors-write.js';
import { checkWeights, readFloat32, type WeightSource } from '../../../src/models/weight-source.js';
import { checkpointErrorOf, countingTensor, damaged, rawBytes, temporaryFolders } from './support.js';

const temporaryFolder = temporaryFolders();

/** A safetensors file by hand: header as given (object or text), then data. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

function open(bytes: Uint8Array): WeightSource {
  const path = join(temporaryFolder(), 'model.safetensors');
  writeFileSync(path, bytes);
  return openSafetensorsFile(path);
}

const entry = (dtype: string, shape: unknown, from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

describe('openSafetensorsFile', () => {
  it('reads F32, F16 and BF16 tensors, empty ones and scalars included', () => {
    const bytes = fileOf(
      {
        __metadata__: { format: 'pt' },
        f32: entry('F32', [2], 0, 8),
        f16: entry('F16', [1, 2], 8, 12),
        bf16: entry('BF16', [], 12, 14),
        empty: entry('F32', [0, 7], 14, 14),
      },
      14,
    );
    const data = new DataView(bytes.buffer, bytes.length - 14);
    data.setFloat32(0, 1.5, true);
    data.setFloat32(4, -2, true);
    data.setUint16(8, 0x3e00, true); // 1.5
    data.setUint16(10, 0x0001, true); // the smallest subnormal
    data.setUint16(12, 0x4049, true); // 3.140625
    const source = open(bytes);
    expect(source.tensors.get('f16')).toEqual({
      name: 'f16',
      dtype: 'float16',
      shape: [1, 2],
      byteLength: 4,
    });
    expect([...readFloat32(source, 'f32')]).toEqual([1.5, -2]);
    expect([...readFloat32(source, 'f16')]).toEqual([1.5, 2 ** -24]);
    expect([...readFloat32(source, 'bf16')]).toEqual([3.140625]);
    expect(readFloat32(source, 'empty').length).toBe(0);
    source.close();
    source.close();
    expect(checkpointErrorOf(() => readFloat32(source, 'f32')).message).toMatch(/is closed/);
  });

  it('opens a file with other dtypes and refuses them only when they are asked for', () => {
    const source = open(fileOf({ ids: entry('I64', [2], 0, 16), w: entry('F32', [1], 16, 20) }, 20));
    expect([...source.tensors.keys()]).toEqual(['w']);
    expect([...readFloat32(source, 'w')]).toEqual([0]);
    expect(checkpointErrorOf(() => readFloat32(source, 'ids')).message).toMatch(
      /ids cannot be read: it is stored as I64/,
    );
    source.close();
  });

  it('refuses a target of another size and a name that is not there', () => {
    const source = open(fileOf({ w: entry('F32', [1], 0, 4) }, 4));
    expect(checkpointErrorOf(() => source.read('w', new Uint8Array(5))).message).toMatch(
      /takes 4 bytes.*target has 5/,
    );
    expect(checkpointErrorOf(() => source.read('v', new Uint8Array(4))).message).toMatch(/no tensor v/);
    source.close();
  });

  const huge = new Uint8Array(16);
  new DataView(huge.buffer).setBigUint64(0, 2n ** 62n, true);
  const long = fileOf('{}', 0);
  new DataView(long.buffer).setBigUint64(0, 1000n, true);
  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /it has 0 bytes/],
    [
      'a header longer than the format allows',
      huge,
      /4611686018427387904 bytes, the format allows 100000000/,
    ],
    ['a header longer than the file', long, /header of 1000 bytes, the whole file has 10/],
    ['a header that is no JSON', fileOf('{"a":', 0), /is not JSON/],
    ['a header that is no object', fileOf('[1]', 0), /does not start with "\{"/],
    ['a header of no bytes', fileOf('', 0), /does not start with "\{"/],
    ['invalid UTF-8', fileOf('{}', 0).with(8, 0x7b).with(9, 0xff), /is not JSON/],
    [
      'a name that is there twice',
      fileOf(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      /names "a" twice/,
    ],
    [
      'a dtype nobody knows',
      fileOf({ a: entry('F31', [1], 0, 4) }, 4),
      /dtype "F31", which the format does not know/,
    ],
    [
      'a dtype that is a property of every object',
      fileOf({ a: entry('constructor', [1], 0, 4) }, 4),
      /dtype "constructor"/,
    ],
    ['a negative size', fileOf({ a: entry('F32', [-1], 0, 4) }, 4), /shape of "a" is not a list of sizes/],
    [
      'a shape whose product overflows',
      fileOf({ a: entry('F32', [2 ** 40, 2 ** 40], 0, 4) }, 4),
      /impossibly large/,
    ],
    ['offsets in the wrong order', fileOf({ a: entry('F32', [1], 4, 0) }, 4), /not two positions in order/],
    [
      'bytes that do not fit the shape',
      fileOf({ a: entry('F32', [3], 0, 4) }, 4),
      /"a" has 4 bytes, its shape \[3\] in F32 takes 12/,
    ],
    [
      'a tensor beyond the end',
      fileOf({ a: entry('F32', [2], 0, 8) }, 4),
      /tensors end at byte .* \(cut short/,
    ],
    ['bytes that belong to no tensor', fileOf({ a: entry('F32', [1], 0, 4) }, 9), /goes on for 5 bytes/],
    [
      'overlapping tensors',
      fileOf({ a: entry('F32', [2], 0, 8), b: entry('F32', [1], 4, 8) }, 8),
      /"b" overlaps/,
    ],
    ['a hole', fileOf({ a: entry('F32', [1], 0, 4), b: entry('F32', [1], 8, 12) }, 12), /"b" leaves a hole/],
    [
      'metadata that are no strings',
      fileOf({ __metadata__: { n: 1 } }, 0),
      /__metadata__ is not an object of strings/,
    ],
    ['an entry that is no object', fileOf({ a: 3 }, 0), /entry of "a" is not an object/],
  ])('refuses %s, naming file and problem', (_, bytes, message) => {
    const error = checkpointErrorOf(() => open(bytes));
    expect(error.message).toMatch(message);
    expect(error.message).toContain('model.safetensors');
  });

  it('refuses a folder and a path that is not there', () => {
    const folder = temporaryFolder();
    expect(checkpointErrorOf(() => openSafetensorsFile(folder)).message).toMatch(/is not a file/);
    expect(checkpointErrorOf(() => openSafetensorsFile(join(folder, 'x'))).message).toMatch(
      /no such file or folder/,
    );
  });

  it('notices a file that is cut short after it was opened', () => {
    const path = join(temporaryFolder(), 'm.safetensors');
    writeSafetensors(path, [countingTensor('w', 'float32', [100])]);
    const source = openSafetensorsFile(path);
    writeFileSync(path, readFileSync(path).subarray(0, 200));
    expect(checkpointErrorOf(() => rawBytes(source, 'w')).message).toMatch(
      /ends in the middle of the tensor w/,
    );
    source.close();
  });
});

describe('damaged files', () => {
  it('are a CheckpointError or a file that can be read in full, whatever bytes change', () => {
    const folder = temporaryFolder();
    const good = join(folder, 'good.safetensors');
    writeSafetensors(good, [
      countingTensor('model.a.weight', 'float32', [4, 3]),
      countingTensor('model.b.weight', 'bfloat16', [5]),
      countingTensor('model.c.weight', 'float16', [2, 2, 2]),
    ]);
    const bytes = readFileSync(good);
    const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
    const damage = fc.record({
      // the characters of numbers, names and structure, and any others
      flips: fc.array(
        fc.record({
          place: fc.double({ min: 0, max: 1, noNaN: true }),
          value: fc.oneof(fc.constantFrom(...Buffer.from('0123456789{}[]",:eE-+.FBabc ')), fc.nat(255)),
        }),
        { maxLength: 4 },
      ),
      keep: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 4 }),
      append: fc.constantFrom(0, 0, 0, 1, 100),
    });
    const path = join(folder, 'damaged.safetensors');
    const outcomes = { read: 0, refused: 0 };
    fc.assert(
      fc.property(damage, (one) => {
        writeFileSync(path, damaged(bytes, one, headerEnd));
        try {
          const source = openSafetensorsFile(path);
          try {
            for (const info of source.tensors.values())
              expect(rawBytes(source, info.name).length).toBe(info.byteLength);
          } finally {
            source.close();
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
    expect(outcomes.refused).toBeGreaterThan(500);
  });
});

describe('findDuplicateKey', () => {
  it('finds a key that is written twice in any JSON text, and no other', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (object) => {
        const text = JSON.stringify(object);
        expect(findDuplicateKey(text)).toBeUndefined();
        const [key] = Object.keys(object);
        const twice = `${text.slice(0, -1)} , ${JSON.stringify(key)} : "}{"}`;
        expect(findDuplicateKey(twice)).toBe(key);
      }),
    );
    expect(findDuplicateKey('{"a":{"b":1},"c":[{"b":1},{"b":"a"}]}')).toBeUndefined();
    expect(findDuplicateKey('{"a\\u0062":1,"ab":2}')).toBe('ab');
  });
});

describe('writeSafetensors', () => {
  it('writes what openSafetensorsFile reads back, for any tensors', () => {
    const folder = temporaryFolder();
    const tensor = fc.record({
      name: fc.string({ minLength: 1 }).filter((name) => name !== '__metadata__'),
      dtype: fc.constantFrom('float32' as const, 'float16' as const, 'bfloat16' as const),
      shape: fc.array(fc.nat(5), { maxLength: 3 }),
      start: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 }), (tensors) => {
        const path = join(folder, 'any.safetensors');
        const written = tensors.map(({ name, dtype, shape, start }) =>
          countingTensor(name, dtype, shape, start),
        );
        writeSafetensors(path, written);
        const source = openSafetensorsFile(path);
        expect(source.metadata).toEqual({ format: 'pt' });
        expect([...source.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
        for (const one of written) {
          expect(source.tensors.get(one.name)).toMatchObject({ dtype: one.dtype, shape: one.shape });
          expect(rawBytes(source, one.name)).toEqual(one.bytes());
        }
        source.close();
      }),
      { numRuns: 100 },
    );
  });

  it('asks for one tensor at a time, takes it in pieces, and starts the data at a multiple of 8', () => {
    const path = join(temporaryFolder(), 'pieces.safetensors');
    const asked: string[] = [];
    const tensor = (name: string) => ({
      name,
      dtype: 'float32' as const,
      shape: [2],
      *bytes() {
        asked.push(name);
        yield new Uint8Array(3).fill(7);
        yield new Uint8Array(5).fill(9);
      },
    });
    writeSafetensors(path, [tensor('b'), tensor('a')]);
    expect(asked).toEqual(['a', 'b']);
    const source = openSafetensorsFile(path);
    expect([...rawBytes(source, 'b')]).toEqual([7, 7, 7, 9, 9, 9, 9, 9]);
    source.close();
    expect(readFileSync(path).readBigUInt64LE(0) % 8n).toBe(0n);
  });

  it('leaves the old file and nothing else when a callback fails or gives the wrong number of bytes', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'model.safetensors');
    writeSafetensors(path, [countingTensor('w', 'float32', [2])]);
    const before = readFileSync(path);
    const wrong = { ...countingTensor('w', 'float32', [3]), bytes: () => new Uint8Array(11) };
    expect(checkpointErrorOf(() => writeSafetensors(path, [wrong])).message).toMatch(
      /takes 12 bytes; 11 were given/,
    );
    const failing = {
      ...wrong,
      bytes: (): Uint8Array => {
        throw new Error('device lost');
      },
    };
    expect(checkpointErrorOf(() => writeSafetensors(path, [failing])).message).toMatch(/device lost/);
    expect(checkpointErrorOf(() => writeSafetensors(path, [wrong, wrong])).message).toMatch(/taken twice/);
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
  });

  it('says so where it cannot write', () => {
    const path = join(temporaryFolder(), 'missing', 'model.safetensors');
    expect(checkpointErrorOf(() => writeSafetensors(path, [])).message).toMatch(
      /cannot be written: no such file or folder/,
    );
  });
});

describe('shards', () => {
  const tensors = Array.from({ length: 5 }, (_, i) => countingTensor(`t${i}`, 'float32', [10], i));

  it('are split by size, indexed, read as one, and replace an earlier save', () => {
    const folder = temporaryFolder();
    writeSafetensorsFolder(folder, tensors);
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
    writeSafetensorsFolder(folder, tensors, { maxShardBytes: 80 });
    expect(readdirSync(folder).sort()).toEqual([
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
      'model.safetensors.index.json',
    ]);
    const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
    expect(index.metadata).toEqual({ total_size: 200, total_parameters: 50 });
    expect(index.weight_map.t3).toBe('model-00002-of-00003.safetensors');
    const source = openSafetensorsFolder(folder);
    for (const tensor of tensors) expect(rawBytes(source, tensor.name)).toEqual(tensor.bytes());
    source.close();
    writeSafetensorsFolder(folder, tensors, { maxShardBytes: 120 });
    expect(readdirSync(folder).filter((name) => name.includes('of-00003'))).toEqual([]);
    writeSafetensorsFolder(folder, tensors.slice(0, 1), { maxShardBytes: 8 });
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
  });

  it.each<[string, (index: { weight_map: Record<string, unknown> }) => unknown, RegExp]>([
    [
      'a tensor in a shard that does not hold it',
      (index) => Object.assign(index.weight_map, { t0: 'model-00002-of-00002.safetensors' }),
      /places t0 in model-00002.*it is in model-00001/,
    ],
    [
      'a tensor that is nowhere',
      (index) => Object.assign(index.weight_map, { t9: 'model-00002-of-00002.safetensors' }),
      /places t9 .* in none of the shards/,
    ],
    ['too few tensors', (index) => delete index.weight_map.t0, /holds t0, which .* does not name/],
    [
      'a shard outside the folder',
      (index) => Object.assign(index.weight_map, { t0: '../x.safetensors' }),
      /"\.\.\/x\.safetensors"; a \.safetensors file of the same folder/,
    ],
    [
      'a shard that is missing',
      (index) => Object.assign(index.weight_map, { t0: 'gone.safetensors' }),
      /gone\.safetensors cannot be opened/,
    ],
    ['no map', (index) => Object.assign(index, { weight_map: [] }), /no "weight_map" object/],
    ['an empty map', (index) => Object.assign(index, { weight_map: {} }), /names 0 shards/],
  ])('with an index that names %s are refused', (_, change, message) => {
    const folder = temporaryFolder();
    writeSafetensorsFolder(folder, tensors, { maxShardBytes: 120 });
    const path = join(folder, 'model.safetensors.index.json');
    const index = JSON.parse(readFileSync(path, 'utf8'));
    change(index);
    writeFileSync(path, JSON.stringify(index));
    expect(checkpointErrorOf(() => openSafetensorsFolder(folder)).message).toMatch(message);
  });

  it('are asked for where a folder has none', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'x'));
    expect(existsSync(join(folder, 'x'))).toBe(true);
    expect(checkpointErrorOf(() => openSafetensorsFolder(folder)).message).toMatch(
      /neither model.safetensors nor .*index.json/,
    );
  });
});

describe('checkWeights', () => {
  const source = (names: Record<string, number[]>, refused: Record<string, string> = {}): WeightSource => ({
    format: 'safetensors',
    tensors: new Map(
      Object.entries(names).map(([name, shape]) => [name, { name, shape, dtype: 'float32', byteLength: 0 }]),
    ),
    refused: new Map(Object.entries(refused)),
    read: () => {},
    close: () => {},
  });
  const expected = [
    { name: 'a', shape: [2, 3] },
    { name: 'b', shape: [2] },
  ];

  it('takes what fits, buffers that follow from the configuration, and what may be there', () => {
    const held = source({ a: [2, 3], b: [2], 'model.layers.0.self_attn.rotary_emb.inv_freq': [4], c: [1] });
    expect(() => checkWeights(held, expected, { mayHold: ['c'] })).not.toThrow();
  });

  it.each<[string, WeightSource, RegExp]>([
    ['missing weights', source({ a: [2, 3] }), /missing: b/],
    ['other shapes', source({ a: [3, 2], b: [2] }), /a has shape \[3, 2\], the configuration needs \[2, 3\]/],
    [
      'unexpected weights',
      source({ a: [2, 3], b: [2], c: [1] }),
      /not part of the configured architecture: c/,
    ],
    [
      'weights that cannot be read',
      source({ a: [2, 3] }, { b: 'it is stored as F8_E4M3' }),
      /b: it is stored as F8_E4M3/,
    ],
  ])('names %s', (_, held, message) => {
    expect(checkpointErrorOf(() => checkWeights(held, expected, { label: 'X' })).message).toMatch(message);
  });
});
