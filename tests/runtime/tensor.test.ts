import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpError, ShapeError } from '../../src/errors.js';
import { attr } from '../../src/runtime/attributes.js';
import type { DType } from '../../src/runtime/dtypes.js';
import { execute } from '../../src/runtime/execute.js';
import {
  allocateTensor,
  bfloat16ToFloat32,
  copyToDevice,
  disposeAll,
  float32ToBfloat16,
  keep,
  memory,
  scope,
  shareTensor,
  stringData,
  stringTensor,
  type Tensor,
  type TensorData,
  tensor,
} from '../../src/runtime/tensor.js';

const numbers = (...values: number[]) => tensor('float32', [values.length], values);
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

let before: { tensors: number; bytes: number };

beforeEach(() => {
  before = memory();
});

afterEach(() => {
  expect(memory(), 'tensors left behind').toEqual(before);
});

describe('scope', () => {
  test('frees what was made in it and not returned', () => {
    let inner: Tensor | undefined;
    const result = scope(() => {
      inner = numbers(1, 2);
      return numbers(3);
    });
    expect(inner?.disposed).toBe(true);
    expect(result.toNumbers()).toEqual([3]);
    result.dispose();
  });

  test('finds returned tensors in arrays, objects and maps', () => {
    const result = scope(() => {
      numbers(0);
      return { list: [numbers(1)], map: new Map([['two', numbers(2)]]), deep: { three: [[numbers(3)]] } };
    });
    expect(memory().tensors).toBe(before.tensors + 3);
    expect(result.map.get('two')?.toNumbers()).toEqual([2]);
    disposeAll(result);
  });

  test('gives what it returns to the scope around it', () => {
    let inner: Tensor | undefined;
    scope(() => {
      inner = scope(() => numbers(1));
      expect(inner.disposed).toBe(false);
    });
    expect(inner?.disposed).toBe(true);
  });

  test('frees everything when the work throws', () => {
    expect(() =>
      scope(() => {
        numbers(1);
        throw new RangeError('broken off');
      }),
    ).toThrow('broken off');
  });

  test('leaves kept tensors alone', () => {
    const kept = scope(() => {
      const one = keep(numbers(1));
      numbers(2);
      return { hidden: () => one };
    }).hidden();
    expect(kept.toNumbers()).toEqual([1]);
    kept.dispose();
  });

  test('keeps a tensor of an outer scope from within an inner one', () => {
    let kept: Tensor | undefined;
    scope(() => {
      const made = numbers(1);
      scope(() => {
        kept = keep(made);
      });
    });
    expect(kept?.toNumbers()).toEqual([1]);
    kept?.dispose();
  });

  test('does not touch tensors made outside', () => {
    const outside = numbers(1);
    const [negative] = scope(() => execute('Neg', [outside], { T: attr.type('float32') }));
    expect(outside.disposed).toBe(false);
    expect(negative?.toNumbers()).toEqual([-1]);
    disposeAll([outside, negative]);
  });

  test('frees after asynchronous work, not before', async () => {
    let early: Tensor | undefined;
    const result = await scope(async () => {
      early = numbers(1);
      await turn();
      expect(early.disposed).toBe(false);
      const late = numbers(2);
      await turn();
      return late;
    });
    expect(early?.disposed).toBe(true);
    expect(result.toNumbers()).toEqual([2]);
    result.dispose();
  });

  test('frees when asynchronous work fails', async () => {
    await expect(
      scope(async () => {
        numbers(1);
        await turn();
        numbers(2);
        throw new RangeError('broken off');
      }),
    ).rejects.toThrow('broken off');
  });

  test('keeps interleaved asynchronous scopes apart', async () => {
    const work = (value: number, turns: number) =>
      scope(async () => {
        const mine: Tensor[] = [];
        for (let i = 0; i < turns; i++) {
          mine.push(numbers(value));
          await turn();
        }
        expect(mine.every(({ disposed }) => !disposed)).toBe(true);
        return mine.at(-1) as Tensor;
      });
    const outer = scope(async () => {
      const results = await Promise.all([work(1, 5), work(2, 2), work(3, 9)]);
      expect(results.map((result) => result.toNumbers())).toEqual([[1], [2], [3]]);
      return results[1];
    });
    const survivor = await outer;
    expect(memory().tensors).toBe(before.tensors + 1);
    expect(survivor?.toNumbers()).toEqual([2]);
    survivor?.dispose();
  });

  test('a chain of calls without a scope is not caught by another chain that has one', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const scoped = scope(async () => {
      await gate;
    });
    const free = numbers(1);
    release();
    await scoped;
    expect(free.disposed).toBe(false);
    free.dispose();
  });
});

describe('memory', () => {
  test('counts tensors and bytes', () => {
    const a = tensor('float32', [2, 3], new Float32Array(6));
    const b = tensor('bool', [5], [1, 0, 1, 0, 1]);
    expect(memory()).toEqual({ tensors: before.tensors + 2, bytes: before.bytes + 24 + 5 });
    a.dispose();
    a.dispose();
    expect(memory()).toEqual({ tensors: before.tensors + 1, bytes: before.bytes + 5 });
    b.dispose();
  });

  test('counts both owners of shared memory', () => {
    const a = numbers(1, 2);
    const b = shareTensor(a);
    expect(memory().tensors).toBe(before.tensors + 2);
    a.dispose();
    expect(b.toNumbers()).toEqual([1, 2]);
    b.dispose();
  });
});

describe('elements come back as they went in', () => {
  const cases: [DType, TensorData][] = [
    ['float32', Float32Array.of(0, -0, 1.5, -3e38, Number.POSITIVE_INFINITY, Number.NaN)],
    ['float64', Float64Array.of(0, Math.PI, -1e300, Number.NaN, 5e-324, 1)],
    ['int32', Int32Array.of(0, -1, 2147483647, -2147483648, 7, 8)],
    ['int64', BigInt64Array.of(0n, -1n, 9223372036854775807n, -9223372036854775808n, 7n, 8n)],
    ['uint8', Uint8Array.of(0, 1, 127, 128, 254, 255)],
    ['bool', Uint8Array.of(0, 1, 1, 0, 0, 1)],
    ['uint16', Uint16Array.of(0, 1, 255, 256, 65534, 65535)],
    ['bfloat16', Uint16Array.of(0, 0x3f80, 0xbf80, 0x7f80, 0x4049, 0x8000)],
    ['float16', Uint16Array.of(0, 0x3c00, 0xbc00, 0x7c00, 0x4248, 0x8000)],
  ];
  test.each(cases)('%s', (dtype, data) => {
    const made = tensor(dtype, [2, 3], data);
    expect(made.dtype).toBe(dtype);
    expect(made.shape).toEqual([2, 3]);
    expect(made.byteLength).toBe(data.byteLength);
    expect(made.data()).toEqual(data);
    made.dispose();
  });

  test('complex64, as pairs of real and imaginary part', () => {
    const made = tensor('complex64', [2], Float32Array.of(1, 2, 3, -4));
    expect(made.data()).toEqual(Float32Array.of(1, 2, 3, -4));
    made.dispose();
  });

  test('strings: empty, short, longer than a slot holds, any bytes', () => {
    const values = ['', 'ä', 'x'.repeat(100), Uint8Array.of(0, 255, 0)];
    const made = stringTensor([2, 2], values);
    const encoded = values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value));
    expect(stringData(made).map((bytes) => [...bytes])).toEqual(encoded.map((bytes) => [...bytes]));
    expect(() => made.data()).toThrow(ShapeError);
    made.dispose();
  });

  test('scalars and empty tensors', () => {
    const scalar = tensor('float32', [], [4]);
    const empty = tensor('float32', [0, 3], []);
    const noStrings = stringTensor([0], []);
    expect([scalar.shape, scalar.toNumbers()]).toEqual([[], [4]]);
    expect([empty.shape, empty.toNumbers()]).toEqual([[0, 3], []]);
    expect(stringData(noStrings)).toEqual([]);
    disposeAll([scalar, empty, noStrings]);
  });

  test('a view on part of a buffer', () => {
    const made = tensor('float32', [2], Float32Array.of(1, 2, 3, 4).subarray(1, 3));
    expect(made.toNumbers()).toEqual([2, 3]);
    made.dispose();
  });

  test('numbers are converted to the dtype', () => {
    const made = (['float64', 'int32', 'int64', 'uint8', 'bool', 'bfloat16'] as const).map((dtype) =>
      tensor(dtype, [2], [1, 0]),
    );
    expect(made.map((each) => each.toNumbers())).toEqual(made.map(() => [1, 0]));
    disposeAll(made);
  });

  test('what was read is a copy', () => {
    const made = numbers(1);
    made.data()[0] = 5;
    expect(made.toNumbers()).toEqual([1]);
    made.dispose();
  });
});

describe('bfloat16', () => {
  const one = new Float32Array(1);
  const round = (value: number) => {
    one[0] = value;
    return bfloat16ToFloat32(float32ToBfloat16(one))[0] as number;
  };

  test('rounds as TensorFlow casts', () => {
    fc.assert(
      fc.property(fc.array(fc.float(), { minLength: 1, maxLength: 20 }), (values) => {
        const expected = scope(() =>
          (
            execute('Cast', [tensor('float32', [values.length], values)], {
              SrcT: attr.type('float32'),
              DstT: attr.type('bfloat16'),
            })[0] as Tensor
          ).toNumbers(),
        );
        expect(values.map(round)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test('ties go to even, NaN stays NaN, the largest numbers become infinite', () => {
    expect(round(1 + 2 ** -8)).toBe(1);
    expect(round(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
    expect(round(Number.NaN)).toBeNaN();
    expect(round(3.4028235e38)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('what cannot be', () => {
  test('sizes that are no sizes', () => {
    expect(() => tensor('float32', [-1], [])).toThrow('whole numbers from 0 on, got [-1]');
    expect(() => tensor('float32', [1.5], [1])).toThrow(ShapeError);
  });

  test('as many bytes as the shape does not take', () => {
    expect(() => tensor('float32', [3], [1, 2])).toThrow('float32 tensor of shape [3] takes 12 bytes, got 8');
    expect(() => stringTensor([3], ['a'])).toThrow('string tensor of shape [3] takes 3 strings, got 1');
  });

  test('a tensor after its disposal', () => {
    const made = numbers(1);
    made.dispose();
    expect(() => made.data()).toThrow(OpError);
    expect(() => made.handle).toThrow('this tensor has been disposed');
  });

  test('a filling that fails leaves nothing behind', () => {
    expect(() =>
      allocateTensor('float32', [4], () => {
        throw new RangeError('disk gone');
      }),
    ).toThrow('disk gone');
  });

  test('a device that is not there', () => {
    const made = numbers(1);
    expect(() => copyToDevice(made, '/device:TPU:7')).toThrow(OpError);
    made.dispose();
  });
});

test('a file can be read straight into a tensor', () => {
  const made = allocateTensor('int32', [2], (bytes) => {
    expect(bytes.byteLength).toBe(8);
    bytes.set([1, 0, 0, 0, 2, 0, 0, 0]);
  });
  expect(made.toNumbers()).toEqual([1, 2]);
  made.dispose();
});
