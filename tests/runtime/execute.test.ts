import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpError } from '../../src/errors.js';
import { attr } from '../../src/runtime/attributes.js';
import { execute, executeAsync } from '../../src/runtime/execute.js';
import { runsOnGpu } from '../../src/runtime/runtime.js';
import {
  disposeAll,
  memory,
  scope,
  stringData,
  stringTensor,
  type Tensor,
  tensor,
} from '../../src/runtime/tensor.js';

const float32 = { T: attr.type('float32') };
const int32s = (...values: number[]) => tensor('int32', [values.length], values);
const first = (tensors: readonly Tensor[]) => tensors[0] as Tensor;

function caught(work: () => unknown): OpError {
  try {
    work();
  } catch (error) {
    if (error instanceof OpError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

let before: number;

beforeEach(() => {
  before = memory().tensors;
});

afterEach(() => {
  expect(memory().tensors, 'tensors left behind').toBe(before);
});

describe('execute', () => {
  test('multiplies matrices', () => {
    const product = scope(() => {
      const a = tensor('float32', [2, 3], [1, 2, 3, 4, 5, 6]);
      const b = tensor('float32', [3, 1], [1, 0, -1]);
      return first(execute('MatMul', [a, b], float32));
    });
    expect([product.shape, product.toNumbers()]).toEqual([
      [2, 1],
      [-2, -2],
    ]);
    product.dispose();
  });

  test('gives several outputs, and none', () => {
    const parts = scope(() =>
      execute(
        'Split',
        [tensor('int32', [], [0]), tensor('float32', [3], [1, 2, 3])],
        { ...float32, num_split: attr.int(3) },
        3,
      ),
    );
    expect(parts.map((part) => part.toNumbers())).toEqual([[1], [2], [3]]);
    disposeAll(parts);
    expect(execute('NoOp', [], {}, 0)).toEqual([]);
  });

  test('passes every kind of attribute', () => {
    scope(() => {
      const image = tensor('float32', [1, 2, 2, 1], [1, 2, 3, 4]);
      const pooled = execute('MaxPool', [image], {
        ...float32,
        ksize: attr.ints([1, 2, 2, 1]),
        strides: attr.ints([1, 2, 2, 1]),
        padding: attr.string('VALID'),
      });
      expect(first(pooled).toNumbers()).toEqual([4]);

      const leaky = execute('LeakyRelu', [tensor('float32', [2], [-1, 1])], {
        ...float32,
        alpha: attr.float(0.5),
      });
      expect(first(leaky).toNumbers()).toEqual([-0.5, 1]);

      const transposed = execute(
        'MatMul',
        [tensor('float32', [1, 2], [1, 2]), tensor('float32', [1, 2], [3, 4])],
        {
          ...float32,
          transpose_b: attr.bool(true),
        },
      );
      expect(first(transposed).toNumbers()).toEqual([11]);

      const words = first(
        execute('StringJoin', [stringTensor([], ['a']), stringTensor([2], ['b', 'c'])], {
          N: attr.int(2),
          separator: attr.string('–'),
        }),
      );
      expect(stringData(words).map((bytes) => Buffer.from(bytes).toString())).toEqual(['a–b', 'a–c']);

      const empty = first(
        execute('Empty', [int32s(2, 3)], { dtype: attr.type('float32'), init: attr.bool(true) }),
      );
      expect(empty.toNumbers()).toEqual([0, 0, 0, 0, 0, 0]);

      const buckets = execute('Bucketize', [tensor('float32', [2], [0.5, 2])], {
        ...float32,
        boundaries: attr.floats([1]),
      });
      expect(first(buckets).toNumbers()).toEqual([0, 1]);
    });
  });

  test('an integer attribute loses its fraction', () => {
    const parts = scope(() =>
      execute(
        'Split',
        [tensor('int32', [], [0]), tensor('float32', [2], [1, 2])],
        { ...float32, num_split: attr.int(2.9) },
        2,
      ),
    );
    expect(parts).toHaveLength(2);
    disposeAll(parts);
  });
});

describe("an error names the operation, its inputs' dtypes and shapes, and what TensorFlow said", () => {
  test('for shapes that do not fit', () => {
    scope(() => {
      const inputs = [
        tensor('float32', [2, 3], new Float32Array(6)),
        tensor('float32', [2, 3], new Float32Array(6)),
      ];
      const error = caught(() => execute('MatMul', inputs, float32));
      expect(error.message).toMatch(
        /^MatMul\(float32\[2,3\], float32\[2,3\]\) failed: .*Matrix size-incompatible/,
      );
      expect(error.details).toMatchObject({
        op: 'MatMul',
        inputs: ['float32[2,3]', 'float32[2,3]'],
        code: 3,
      });
      expect(error.code).toBe('OP');
    });
  });

  test('for dtypes that do not fit', () => {
    scope(() => {
      const error = caught(() => execute('AddV2', [tensor('float32', [], [1]), int32s(1, 2)], float32));
      expect(error.message).toMatch(
        /^AddV2\(float32\[\], int32\[2\]\) failed: .*expected to be a float tensor but is a int32/,
      );
    });
  });

  test('for an operation that does not exist', () => {
    expect(caught(() => execute('Levitate', [])).message).toMatch(
      /^Levitate\(\) failed: 'Levitate' is neither .* operation nor/s,
    );
  });

  test('for an attribute that does not fit', () => {
    scope(() => {
      const image = tensor('float32', [1, 2, 2, 1], [1, 2, 3, 4]);
      const sizes = attr.ints([1, 2, 2, 1]);
      const attributes = { ...float32, ksize: sizes, strides: sizes, padding: attr.string('SIDEWAYS') };
      expect(caught(() => execute('MaxPool', [image], attributes)).message).toMatch(
        /^MaxPool\(float32\[1,2,2,1\]\) failed: .*SIDEWAYS/s,
      );
    });
  });

  test('for a device that does not exist', () => {
    scope(() => {
      const error = caught(() => execute('Neg', [tensor('float32', [], [1])], float32, 1, '/device:TPU:3'));
      expect(error.message).toMatch(/^Neg\(float32\[\]\) failed: .*TPU:3/s);
    });
  });

  test('for an input that is disposed', () => {
    const gone = tensor('float32', [], [1]);
    gone.dispose();
    expect(() => execute('Neg', [gone], float32)).toThrow('this tensor has been disposed');
  });

  test('and the next call works', () => {
    scope(() => {
      caught(() => execute('Levitate', []));
      expect(first(execute('Neg', [tensor('float32', [], [1])], float32)).toNumbers()).toEqual([-1]);
    });
  });
});

describe('executeAsync', () => {
  test('leaves the event loop free while a large product is computed', async ({ skip }) => {
    skip(runsOnGpu(), 'a GPU is too fast for a timer to see');
    const size = 2048;
    const a = tensor('float32', [size, size], new Float32Array(size * size).fill(1));
    let ticks = 0;
    let longestPause = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      ticks++;
      longestPause = Math.max(longestPause, performance.now() - last);
      last = performance.now();
    }, 5);
    const started = performance.now();
    const outputs: Tensor[] = [];
    for (let i = 0; i < 3; i++) outputs.push(...(await executeAsync('MatMul', [a, a], float32)));
    const elapsed = performance.now() - started;
    clearInterval(timer);
    expect(first(outputs).data()[0]).toBe(size);
    // A blocked loop would have ticked three times at most, and paused for a third of the whole.
    expect(ticks).toBeGreaterThan(6);
    expect(longestPause).toBeLessThan(elapsed / 3);
    disposeAll([a, ...outputs]);
  });

  test('gives what execute gives, to the scope around the call', async () => {
    const numbers = await scope(async () => {
      const inputs = [tensor('float32', [2], [1, 2]), tensor('float32', [2], [3, 4])];
      const [later] = await executeAsync('Mul', inputs, float32);
      const [now] = execute('Mul', inputs, float32);
      return [later?.toNumbers(), now?.toNumbers()];
    });
    expect(numbers[0]).toEqual([3, 8]);
    expect(numbers[0]).toEqual(numbers[1]);
  });

  test('many at once come back each with its own result', async () => {
    await scope(async () => {
      const inputs = Array.from({ length: 50 }, (_, i) => tensor('float32', [], [i]));
      const squares = await Promise.all(inputs.map((input) => executeAsync('Square', [input], float32)));
      expect(squares.map((outputs) => first(outputs).toNumbers()[0])).toEqual(inputs.map((_, i) => i * i));
    });
  });

  test('the inputs may be disposed while it runs', async () => {
    const a = tensor('float32', [256, 256], new Float32Array(256 * 256).fill(1));
    const running = executeAsync('MatMul', [a, a], float32);
    a.dispose();
    const product = first(await running);
    expect(product.data()[0]).toBe(256);
    product.dispose();
  });

  test('rejects with the same error', async () => {
    await scope(async () => {
      const inputs = [
        tensor('float32', [2, 3], new Float32Array(6)),
        tensor('float32', [2, 3], new Float32Array(6)),
      ];
      await expect(executeAsync('MatMul', inputs, float32)).rejects.toThrow(
        /^MatMul\(float32\[2,3\], float32\[2,3\]\) failed: .*Matrix size-incompatible/,
      );
      await expect(executeAsync('Levitate', [])).rejects.toThrow(OpError);
    });
  });
});
