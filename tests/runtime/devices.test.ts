/**
 * Placement, without a GPU: the second of two virtual CPU devices plays the accelerator. This file starts the
 * runtime itself, so it needs a process of its own, which vitest's forks give it.
 */

import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { attr } from '../../src/runtime/attributes.js';
import { execute, executeAsync } from '../../src/runtime/execute.js';
import { call, callAsync, defineFunction } from '../../src/runtime/graph-function.js';
import { type Runtime, startRuntime } from '../../src/runtime/runtime.js';
import { copyToDevice, memory, scope, stringTensor, type Tensor, tensor } from '../../src/runtime/tensor.js';
import { useTensorflowBackend } from '../../src/runtime/tfjs/backend.js';
import { fromTf, toTf } from '../../src/runtime/tfjs/bridge.js';
import { tf } from '../../src/runtime/tfjs/tf.js';
import { Variable } from '../../src/runtime/variable.js';
import { addressOf } from './address.js';

const HOST = '/job:localhost/replica:0/task:0/device:CPU:0';
const ACCELERATOR = '/job:localhost/replica:0/task:0/device:CPU:1';
const float32 = { T: attr.type('float32') };

let rt: Runtime;
let before: number;

beforeAll(() => {
  rt = startRuntime({ device: 'cpu', virtualCpuDevices: 2, threads: 2 });
});

beforeEach(() => {
  before = memory().tensors;
});

afterEach(() => {
  expect(memory().tensors, 'tensors left behind').toBe(before);
});

test('the second device is the one to work on', () => {
  expect(rt.devices.map(({ name, type }) => [name, type])).toEqual([
    [HOST, 'CPU'],
    [ACCELERATOR, 'CPU'],
  ]);
  expect(rt).toMatchObject({ device: ACCELERATOR, host: HOST, onHost: false });
});

describe('placement', () => {
  test.each(['float32', 'bfloat16', 'float64', 'int64', 'bool', 'uint8'] as const)(
    '%s tensors go to the device',
    (dtype) => {
      scope(() => {
        const made = tensor(dtype, [2], [1, 0]);
        expect(made.device).toBe(ACCELERATOR);
        expect(made.toNumbers()).toEqual([1, 0]);
      });
    },
  );

  test('int32 and strings stay on the host', () => {
    scope(() => {
      expect(tensor('int32', [2], [1, 2]).device).toBe(HOST);
      expect(stringTensor([1], ['text']).device).toBe(HOST);
    });
  });

  test('data is copied to the device once: using a tensor makes no second copy', () => {
    scope(() => {
      const made = tensor('float32', [1024], new Float32Array(1024).fill(2));
      const again = copyToDevice(made, rt.device);
      expect(addressOf(again)).toBe(addressOf(made));
      for (let i = 0; i < 3; i++) execute('Square', [made], float32);
      expect(addressOf(made)).toBe(addressOf(again));
    });
  });

  test('results of operations stay on the device', async () => {
    await scope(async () => {
      const a = tensor('float32', [2, 2], [1, 2, 3, 4]);
      const [product] = execute('MatMul', [a, a], float32);
      const [later] = await executeAsync('MatMul', [product as Tensor, a], float32);
      expect([product?.device, later?.device]).toEqual([ACCELERATOR, ACCELERATOR]);
      expect(later?.toNumbers()).toEqual([37, 54, 81, 118]);
    });
  });

  test('what is changed in place is read as it is then', () => {
    scope(() => {
      const made = tensor('float32', [2, 1], [1, 2]);
      expect(made.toNumbers()).toEqual([1, 2]);
      execute('InplaceUpdate', [made, tensor('int32', [1], [1]), tensor('float32', [1, 1], [5])], float32);
      expect(made.toNumbers()).toEqual([1, 5]);
    });
  });

  test('a shape on the host serves an operation on the device', () => {
    scope(() => {
      const inputs = [tensor('float32', [4], [1, 2, 3, 4]), tensor('int32', [2], [2, 2])];
      const [reshaped] = execute('Reshape', inputs, { ...float32, Tshape: attr.type('int32') });
      expect([reshaped?.device, reshaped?.shape]).toEqual([ACCELERATOR, [2, 2]]);
    });
  });

  test('an operation can be sent to the host, and its result stays there', () => {
    scope(() => {
      const [result] = execute('Square', [tensor('float32', [1], [3])], float32, 1, HOST);
      expect([result?.device, result?.toNumbers()]).toEqual([HOST, [9]]);
    });
  });

  test.each([
    ['plain', false],
    ['compiled', true],
  ])('%s functions run on the device', async (_, xla) => {
    const fn = defineFunction(
      'affine',
      (g) => {
        const [x, w] = [g.input('float32'), g.input('float32')];
        return [g.op('MatMul', [x, w], float32), g.op('AddV2', [x, g.constant('float32', 1)], float32)];
      },
      { xla },
    );
    await scope(async () => {
      const x = tensor('float32', [1, 2], [1, 2]);
      const w = tensor('float32', [2, 1], [3, 4]);
      for (const outputs of [call(fn, [x, w]), await callAsync(fn, [x, w])]) {
        expect(outputs.map(({ device }) => device)).toEqual([ACCELERATOR, ACCELERATOR]);
        expect(outputs.map((output) => output.toNumbers())).toEqual([[11], [2, 3]]);
      }
    });
  });

  test('variables live on the device and are updated there', () => {
    scope(() => {
      const variable = new Variable(tensor('float32', [2], [1, 2]));
      execute(
        'AssignAddVariableOp',
        [variable.resource, tensor('float32', [2], [1, 1])],
        { dtype: attr.type('float32') },
        0,
      );
      const value = variable.read();
      expect([value.device, value.toNumbers()]).toEqual([ACCELERATOR, [2, 3]]);
      variable.dispose();
    });
  });

  test('tfjs works on the device too, and tensors cross without leaving it', async () => {
    await useTensorflowBackend();
    scope(() => {
      const w = tensor('float32', [2], [3, 4]);
      tf.tidy(() => {
        const { value, grad } = tf.valueAndGrad((x) => x.square().sum())(toTf(w));
        const [loss, gradient] = [fromTf(value), fromTf(grad)];
        expect([loss.device, gradient.device]).toEqual([ACCELERATOR, ACCELERATOR]);
        expect([loss.toNumbers(), gradient.toNumbers()]).toEqual([[25], [6, 8]]);
      });
    });
  });
});

describe('one context per process', () => {
  test('starting again with the same options, or none, gives the running one', () => {
    expect(startRuntime()).toBe(rt);
    expect(startRuntime({ virtualCpuDevices: 2, device: 'cpu' })).toBe(rt);
  });

  test('other options are refused', () => {
    expect(() => startRuntime({ virtualCpuDevices: 3 })).toThrow(ConfigError);
    expect(() => startRuntime({ threads: 1 })).toThrow('already runs in this process');
    expect(() => startRuntime({ device: 'cuda' })).toThrow(ConfigError);
  });
});
