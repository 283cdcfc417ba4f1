import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { OpError, ShapeError } from '../../../src/errors.js';
import { memory, scope, stringTensor, tensor } from '../../../src/runtime/tensor.js';
import { tensorflowBackend, useTensorflowBackend } from '../../../src/runtime/tfjs/backend.js';
import { fromTf, toTf } from '../../../src/runtime/tfjs/bridge.js';
import { tf } from '../../../src/runtime/tfjs/tf.js';
import { Variable } from '../../../src/runtime/variable.js';
import { addressOf } from '../address.js';

let before: { ours: number; theirs: number };

beforeAll(() => useTensorflowBackend());

beforeEach(() => {
  before = { ours: memory().tensors, theirs: tf.memory().numTensors };
});

afterEach(() => {
  expect({ ours: memory().tensors, theirs: tf.memory().numTensors }, 'tensors left behind').toEqual(before);
});

describe('toTf', () => {
  test.each([
    ['float32', Float32Array.of(1.5, 2, 3, 4, 5, 6)],
    ['int32', Int32Array.of(1, 2, 3, 4, 5, -6)],
    ['bool', Uint8Array.of(1, 0, 1, 0, 0, 1)],
  ] as const)('%s, on the same memory', (dtype, data) => {
    scope(() => {
      const ours = tensor(dtype, [2, 3], data);
      tf.tidy(() => {
        const theirs = toTf(ours);
        expect([theirs.dtype, theirs.shape]).toEqual([dtype, [2, 3]]);
        expect(theirs.dataSync()).toEqual(data);
        expect(addressOf(fromTf(theirs))).toBe(addressOf(ours));
      });
    });
  });

  test('each side frees its own', () => {
    const ours = tensor('float32', [2], [1, 2]);
    const [first, second] = [toTf(ours), toTf(ours)];
    first.dispose();
    expect(ours.toNumbers()).toEqual([1, 2]);
    ours.dispose();
    expect(second.dataSync()).toEqual(Float32Array.of(1, 2));
    expect(memory().tensors).toBe(before.ours + 1);
    second.dispose();
  });

  test('tf.tidy frees it; a scope of ours does not', () => {
    const ours = tensor('float32', [2], [1, 2]);
    let tidied: ReturnType<typeof toTf> | undefined;
    tf.tidy(() => {
      tidied = toTf(ours);
    });
    expect(tidied?.isDisposed).toBe(true);
    const { theirs } = scope(() => ({ theirs: toTf(ours) }));
    expect(theirs.dataSync()).toEqual(Float32Array.of(1, 2));
    theirs.dispose();
    ours.dispose();
  });

  test('also while another backend is the current one', async () => {
    const ours = tensor('float32', [2], [1, 2]);
    await tf.setBackend('cpu');
    const theirs = toTf(ours);
    expect(theirs.dataSync()).toEqual(Float32Array.of(1, 2));
    await useTensorflowBackend();
    const doubled = theirs.mul(2);
    expect(doubled.dataSync()).toEqual(Float32Array.of(2, 4));
    tf.dispose([theirs, doubled]);
    ours.dispose();
  });

  test('refuses dtypes that tfjs does not have', () => {
    scope(() => {
      for (const ours of [
        tensor('bfloat16', [1], [1]),
        tensor('int64', [1], [1]),
        stringTensor([1], ['a']),
      ]) {
        expect(() => toTf(ours)).toThrow(ShapeError);
        expect(() => toTf(ours)).toThrow(
          `float32, int32, bool tensors can cross between tfjs and TensorFlow, got ${ours.dtype}`,
        );
      }
    });
  });
});

describe('fromTf', () => {
  test('takes what tfjs has not written yet, and what an operation gave', () => {
    scope(() => {
      tf.tidy(() => {
        const written = tf.tensor2d([[1, 2]]);
        expect(fromTf(written)).toMatchObject({ dtype: 'float32', shape: [1, 2] });
        expect(fromTf(written).toNumbers()).toEqual([1, 2]);
        expect(fromTf(written.greater(1)).toNumbers()).toEqual([0, 1]);
        expect(fromTf(tf.variable(written, false)).toNumbers()).toEqual([1, 2]);
        tf.disposeVariables();
      });
    });
  });

  test('shares memory and frees its own', () => {
    const theirs = tf.tidy(() => tf.tensor1d([1, 2]).square());
    const ours = fromTf(theirs);
    const again = fromTf(theirs);
    expect(addressOf(again)).toBe(addressOf(ours));
    again.dispose();
    expect(theirs.dataSync()).toEqual(Float32Array.of(1, 4));
    theirs.dispose();
    expect(ours.toNumbers()).toEqual([1, 4]);
    ours.dispose();
  });

  test('belongs to the scope around the call', () => {
    const theirs = tf.tensor1d([1, 2]);
    let ours: ReturnType<typeof fromTf> | undefined;
    scope(() => {
      ours = fromTf(theirs);
    });
    expect(ours?.disposed).toBe(true);
    expect(theirs.dataSync()).toEqual(Float32Array.of(1, 2));
    theirs.dispose();
  });

  test('moves what lives on another backend, in the shape it has there', async () => {
    await tf.setBackend('cpu');
    const flat = tf.tensor1d([1, 2, 3, 4]);
    const square = flat.reshape([2, 2]);
    await useTensorflowBackend();
    scope(() => {
      expect(fromTf(square)).toMatchObject({ shape: [2, 2] });
      expect(fromTf(flat)).toMatchObject({ shape: [4] });
      expect(fromTf(square).toNumbers()).toEqual([1, 2, 3, 4]);
    });
    tf.dispose([flat, square]);
  });

  test('is int32 where tfjs says so, whatever TensorFlow holds', () => {
    scope(() => {
      tf.tidy(() => {
        const { backend, binding } = tensorflowBackend();
        const id = binding.adopt(tensor('int64', [2], [1, 2]));
        const dataId = {};
        backend.tensorMap.set(dataId, { shape: [2], dtype: binding.TF_INT64, id, values: null, refCount: 1 });
        const theirs = tf.engine().makeTensorFromTensorInfo({ dataId, shape: [2], dtype: 'int32' }, backend);
        const ours = fromTf(theirs);
        expect([ours.dtype, ours.toNumbers()]).toEqual(['int32', [1, 2]]);
      });
    });
  });

  test('refuses strings, complex numbers and disposed tensors', () => {
    tf.tidy(() => {
      expect(() => fromTf(tf.tensor1d(['a']))).toThrow('got string');
      expect(() => fromTf(tf.complex([1], [2]))).toThrow('got complex64');
    });
    const gone = tf.tensor1d([1]);
    gone.dispose();
    expect(() => fromTf(gone)).toThrow(OpError);
  });
});

describe('gradients cross', () => {
  test('value and gradient of a tfjs loss on our tensors, back to us', () => {
    scope(() => {
      const logits = tensor('float32', [2, 3], [1, 2, 3, 0, 0, 0]);
      const labels = tensor('int32', [2], [2, 0]);
      const { loss, gradient } = tf.tidy(() => {
        const oneHot = tf.oneHot(toTf(labels).as1D(), 3);
        const { value, grad } = tf.valueAndGrad((x) => tf.losses.softmaxCrossEntropy(oneHot, x))(
          toTf(logits),
        );
        return { loss: fromTf(value).toNumbers()[0] as number, gradient: fromTf(grad).toNumbers() };
      }) as unknown as { loss: number; gradient: number[] };
      const softmax = [1, 2, 3].map((x) => Math.exp(x) / (Math.E + Math.E ** 2 + Math.E ** 3));
      expect(loss).toBeCloseTo((-Math.log(softmax[2] as number) + Math.log(3)) / 2, 5);
      const expected = [softmax[0], softmax[1], (softmax[2] as number) - 1, 1 / 3 - 1, 1 / 3, 1 / 3].map(
        (g) => (g as number) / 2,
      );
      expected.forEach((value, i) => {
        expect(gradient[i]).toBeCloseTo(value, 5);
      });
    });
  });

  test('an update in place after crossing does not reach through to tfjs', () => {
    scope(() => {
      const start = tensor('float32', [2], [1, 2]);
      const variable = new Variable(start);
      const theirs = toTf(variable.read());
      variable.assign(tensor('float32', [2], [7, 8]));
      expect(theirs.dataSync()).toEqual(Float32Array.of(1, 2));
      theirs.dispose();
      variable.dispose();
    });
  });
});
