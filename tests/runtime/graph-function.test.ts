import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpError } from '../../src/errors.js';
import { attr } from '../../src/runtime/attributes.js';
import {
  call,
  callAsync,
  defineFunction,
  type GraphBuilder,
  type GraphFunction,
  type GraphValue,
} from '../../src/runtime/graph-function.js';
import { disposeAll, memory, scope, type Tensor, tensor } from '../../src/runtime/tensor.js';

const float32 = { T: attr.type('float32') };
const vector = (...values: number[]) => tensor('float32', [values.length], values);
const numbersOf = (tensors: readonly Tensor[]) => tensors.map((each) => each.toNumbers());

/** `[softmax(scale * x), sum of exp(x)]` along the last axis. */
function softmaxAndSum(g: GraphBuilder): GraphValue[] {
  const x = g.input('float32');
  const scaled = g.op('Mul', [x, g.constant('float32', 0.5)], float32);
  const reduction = { ...float32, Tidx: attr.type('int32'), keep_dims: attr.bool(false) };
  const sum = g.op('Sum', [g.op('Exp', [x], float32), g.constant('int32', [-1])], reduction);
  return [g.op('Softmax', [scaled], float32), sum];
}

let before: number;

beforeEach(() => {
  before = memory().tensors;
});

afterEach(() => {
  expect(memory().tensors, 'tensors left behind').toBe(before);
});

describe('defineFunction', () => {
  test('a function with several outputs', () => {
    const fn = defineFunction('sum_and_difference', (g) => {
      const [a, b] = [g.input('float32'), g.input('float32')];
      return [g.op('AddV2', [a, b], float32), g.op('Sub', [a, b], float32)];
    });
    expect(fn).toMatchObject({ outputs: 2, compiled: false });
    scope(() =>
      expect(numbersOf(call(fn, [vector(3, 4), vector(1, 2)]))).toEqual([
        [4, 6],
        [2, 2],
      ]),
    );
  });

  test('operations with several outputs, lists of inputs, and constants', () => {
    const fn = defineFunction('swap_halves', (g) => {
      const x = g.input('float32');
      const parts = g.ops('Split', [g.constant('int32', 0), x], { ...float32, num_split: attr.int(2) }, 2);
      const joined = g.op('ConcatV2', [[...parts].reverse(), g.constant('int32', 0)], {
        ...float32,
        N: attr.int(2),
        Tidx: attr.type('int32'),
      });
      return [g.op('AddV2', [joined, g.constant('float32', [10, 20, 30, 40], [4])], float32)];
    });
    scope(() => expect(numbersOf(call(fn, [vector(1, 2, 3, 4)]))).toEqual([[13, 24, 31, 42]]));
  });

  test('two functions of one name are two functions', () => {
    const doubled = defineFunction('same', (g) => {
      const x = g.input('float32');
      return [g.op('AddV2', [x, x], float32)];
    });
    const squared = defineFunction('same', (g) => [g.op('Square', [g.input('float32')], float32)]);
    scope(() => {
      expect(numbersOf(call(doubled, [vector(3)]))).toEqual([[6]]);
      expect(numbersOf(call(squared, [vector(3)]))).toEqual([[9]]);
    });
  });

  test('takes any shape', () => {
    const fn = defineFunction('softmax_and_sum', softmaxAndSum);
    scope(() => {
      const one = call(fn, [tensor('float32', [1, 2], [0, 0])]);
      const other = call(fn, [tensor('float32', [2, 3, 4], new Float32Array(24))]);
      expect(numbersOf(one)).toEqual([[0.5, 0.5], [2]]);
      expect(other.map(({ shape }) => shape)).toEqual([
        [2, 3, 4],
        [2, 3],
      ]);
      expect(other[0]?.toNumbers()).toEqual(Array(24).fill(0.25));
    });
  });

  test('runs on another thread', async () => {
    const fn = defineFunction('square', (g) => [g.op('Square', [g.input('float32')], float32)]);
    await scope(async () => expect(numbersOf(await callAsync(fn, [vector(2, 3)]))).toEqual([[4, 9]]));
  });
});

describe('functions that call functions', () => {
  const square = (xla: boolean) =>
    defineFunction('square', (g) => [g.op('Square', [g.input('float32')], float32)], { xla });
  const sumOfSquares = (inner: GraphFunction, xla: boolean) =>
    defineFunction(
      'sum_of_squares',
      (g) => {
        const [a, b] = [g.input('float32'), g.input('float32')];
        const squares = [a, b].flatMap((each) => g.call(inner, [each]));
        return [g.op('AddN', [squares], { ...float32, N: attr.int(2) })];
      },
      { xla },
    );

  test.each([
    ['plain in plain', false, false],
    ['compiled in plain', true, false],
    ['plain in compiled', false, true],
    ['compiled in compiled', true, true],
  ])('%s', (_, innerXla, outerXla) => {
    const fn = sumOfSquares(square(innerXla), outerXla);
    scope(() => expect(numbersOf(call(fn, [vector(3, 1), vector(4, 2)]))).toEqual([[25, 5]]));
  });

  test('three deep', () => {
    const twice = (inner: GraphFunction) =>
      defineFunction('twice', (g) => g.call(inner, g.call(inner, [g.input('float32')])));
    const toTheEighth = defineFunction('power', (g) =>
      g.call(square(false), g.call(twice(square(false)), [g.input('float32')])),
    );
    scope(() => expect(numbersOf(call(toTheEighth, [vector(2)]))).toEqual([[256]]));
  });
});

describe('compiled by XLA', () => {
  test('the same numbers within float32 rounding, at each shape', () => {
    const plain = defineFunction('plain', softmaxAndSum);
    const compiled = defineFunction('compiled', softmaxAndSum, { xla: true });
    expect(compiled.compiled).toBe(true);
    for (const shape of [[3], [4, 7], [2, 3, 5]]) {
      const size = shape.reduce((a, b) => a * b, 1);
      const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7) * 3);
      scope(() => {
        const x = tensor('float32', shape, values);
        const [expected, actual] = [call(plain, [x]), call(compiled, [x])];
        expect(actual.map((each) => each.shape)).toEqual(expected.map((each) => each.shape));
        const [flatExpected, flatActual] = [numbersOf(expected).flat(), numbersOf(actual).flat()];
        flatActual.forEach((value, i) => {
          expect(Math.abs(value / (flatExpected[i] as number) - 1)).toBeLessThan(1e-5);
        });
      });
    }
  });

  test('bfloat16 in and out, float32 inside', () => {
    const body = (g: GraphBuilder) => {
      const wide = g.op('Cast', [g.input('bfloat16')], {
        SrcT: attr.type('bfloat16'),
        DstT: attr.type('float32'),
      });
      const result = g.op('Mul', [wide, g.op('Sigmoid', [wide], float32)], float32);
      return [g.op('Cast', [result], { SrcT: attr.type('float32'), DstT: attr.type('bfloat16') })];
    };
    const [plain, compiled] = [defineFunction('silu', body), defineFunction('silu', body, { xla: true })];
    scope(() => {
      const x = tensor('bfloat16', [5], [-2, -1, 0, 1, 2]);
      const [expected, actual] = [call(plain, [x]), call(compiled, [x])];
      expect(actual[0]?.dtype).toBe('bfloat16');
      numbersOf(actual)[0]?.forEach((value, i) => {
        expect(Math.abs(value - (numbersOf(expected)[0]?.[i] as number))).toBeLessThan(2 ** -7);
      });
    });
  });
});

describe('what goes wrong', () => {
  test('while a body is built', () => {
    const build = (type: string, dtype: 'float32' | 'int32') => () =>
      defineFunction('broken', (g) => [g.op(type, [g.input('float32'), g.input(dtype)], float32)]);
    expect(build('Levitate', 'float32')).toThrow(/^Levitate cannot be put into a graph: .*not registered/s);
    expect(build('AddV2', 'int32')).toThrow(/^AddV2 cannot be put into a graph: /);
    expect(build('AddV2', 'int32')).toThrow(OpError);
  });

  test('while a function runs: its name and its inputs', () => {
    const fn = defineFunction('product', (g) => [
      g.op('MatMul', [g.input('float32'), g.input('float32')], float32),
    ]);
    const inputs = [
      tensor('float32', [2, 3], new Float32Array(6)),
      tensor('float32', [2, 3], new Float32Array(6)),
    ];
    expect(() => call(fn, inputs)).toThrow(/^product_\d+\(float32\[2,3\], float32\[2,3\]\) failed: /);
    disposeAll(inputs);
  });
});
