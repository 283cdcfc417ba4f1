import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpError, ShapeError } from '../../../src/errors.js';
import { memory, scope, tensor } from '../../../src/runtime/tensor.js';
import { createBinding, type KernelAttribute } from '../../../src/runtime/tfjs/binding.js';

const binding = createBinding();
const { TF_FLOAT, TF_INT32, TF_INT64, TF_BOOL, TF_STRING, TF_UINT8, TF_ATTR_TYPE, TF_ATTR_INT } = binding;
const typed = (value: number, name = 'T'): KernelAttribute => ({ name, type: TF_ATTR_TYPE, value });

let before: number;

beforeEach(() => {
  before = memory().tensors;
});

afterEach(() => {
  expect(memory().tensors, 'tensors left behind').toBe(before);
  expect(binding.getNumOfTensors()).toBe(0);
});

/** Creates, reads back, deletes. */
function roundTrip(
  dtype: number,
  values: Parameters<typeof binding.createTensor>[2],
  shape = [values.length],
) {
  const id = binding.createTensor(shape, dtype, values);
  try {
    return binding.tensorDataSync(id);
  } finally {
    binding.deleteTensor(id);
  }
}

describe('tensors', () => {
  test('come back as they were made', () => {
    expect(roundTrip(TF_FLOAT, Float32Array.of(1.5, -2))).toEqual(Float32Array.of(1.5, -2));
    expect(roundTrip(TF_INT32, Int32Array.of(1, -2))).toEqual(Int32Array.of(1, -2));
    expect(roundTrip(TF_BOOL, Uint8Array.of(1, 0))).toEqual(Uint8Array.of(1, 0));
    const text = [Buffer.from('ab'), Buffer.from('')];
    expect((roundTrip(TF_STRING, text) as Uint8Array[]).map(String)).toEqual(
      text.map((each) => String([...each])),
    );
  });

  test('int64 comes as halves and is read as int32, as long as it fits', () => {
    expect(roundTrip(TF_INT64, Int32Array.of(7, 0, -1, -1), [2])).toEqual(Int32Array.of(7, -1));
    expect(() => roundTrip(TF_INT64, Int32Array.of(0, 1), [])).toThrow('which does not hold 4294967296');
  });

  test('bytes are read as int32, which is what tfjs takes them for', () => {
    expect(roundTrip(TF_UINT8, Uint8Array.of(0, 255))).toEqual(Int32Array.of(0, 255));
  });

  test("elements in another dtype's array are converted, not reinterpreted", () => {
    expect(roundTrip(TF_FLOAT, Int32Array.of(1, 2))).toEqual(Float32Array.of(1, 2));
    expect(roundTrip(TF_BOOL, Int32Array.of(1, 0))).toEqual(Uint8Array.of(1, 0));
  });

  test('too few elements are refused', () => {
    expect(() => roundTrip(TF_FLOAT, Float32Array.of(1), [2])).toThrow(ShapeError);
  });

  test('are counted, and belong to no scope', () => {
    const id = scope(() => binding.createTensor([2], TF_FLOAT, Float32Array.of(1, 2)));
    expect([memory().tensors - before, binding.getNumOfTensors()]).toEqual([1, 1]);
    expect(binding.tensorDataSync(id)).toEqual(Float32Array.of(1, 2));
    binding.deleteTensor(id);
    expect(() => binding.tensorDataSync(id)).toThrow(`tensor ${id}, which does not exist or is disposed`);
    expect(() => binding.deleteTensor(id)).toThrow(OpError);
  });

  test('can be handed over by us', () => {
    const id = scope(() => binding.adopt(tensor('float32', [1], [5])));
    expect(binding.tensorDataSync(id)).toEqual(Float32Array.of(5));
    binding.deleteTensor(id);
  });
});

describe('executeOp', () => {
  const run = (name: string, attributes: KernelAttribute[], inputs: number[], outputs = 1) => {
    const results = binding.executeOp(name, attributes, inputs, outputs);
    const read = results.map(({ id, shape, dtype }) => ({ shape, dtype, data: binding.tensorDataSync(id) }));
    for (const id of [...inputs, ...results.map((result) => result.id)]) binding.deleteTensor(id);
    return read;
  };
  const ints = (...values: number[]) =>
    binding.createTensor([values.length], TF_INT32, Int32Array.from(values));
  const floats = (...values: number[]) =>
    binding.createTensor([values.length], TF_FLOAT, Float32Array.from(values));
  const int = (value: number) => binding.createTensor([], TF_INT32, Int32Array.of(value));

  test('an integer attribute of 3.14 is 3', () => {
    const split: KernelAttribute[] = [{ name: 'num_split', type: TF_ATTR_INT, value: 3.14 }, typed(TF_FLOAT)];
    expect(run('Split', split, [int(0), floats(1, 2, 3)], 3).map(({ data }) => data[0])).toEqual([1, 2, 3]);
  });

  test('rounding integers gives them back, in memory of their own', () => {
    expect(run('Round', [typed(TF_INT32)], [ints(3, -4)])).toEqual([
      { shape: [2], dtype: TF_INT32, data: Int32Array.of(3, -4) },
    ]);
    expect(run('Round', [typed(TF_FLOAT)], [floats(2.5, 3.5)])[0]?.data).toEqual(Float32Array.of(2, 4));
  });

  test('a vector of indices scatters to that many places', () => {
    const attributes = [typed(TF_FLOAT), typed(TF_INT32, 'Tindices')];
    const [result] = run('ScatterNd', attributes, [ints(3, 1, 3), floats(1, 2, 3), ints(5)]);
    expect(result?.data).toEqual(Float32Array.of(0, 2, 0, 4, 0));
  });

  test('an unknown type of attribute is refused', () => {
    const id = floats(1);
    expect(() => binding.executeOp('Neg', [{ name: 'T', type: 99, value: 1 }], [id], 1)).toThrow(OpError);
    binding.deleteTensor(id);
  });
});

test('SavedModels are refused with the way round', () => {
  for (const refuse of [binding.loadSavedModel, binding.runSavedModel, binding.deleteSavedModel]) {
    expect(refuse).toThrow('tf.loadGraphModel');
  }
  expect(binding.getNumOfSavedModels()).toBe(0);
});

test('names its TensorFlow and device', () => {
  expect(binding.TF_Version).toMatch(/^2\.\d+\.\d+/);
  expect(typeof binding.isUsingGpuDevice()).toBe('boolean');
});
