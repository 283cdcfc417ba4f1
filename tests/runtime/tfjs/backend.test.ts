import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as userTf from '@tensorflow/tfjs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpError } from '../../../src/errors.js';
import { TFJS_SYMBOL } from '../../../src/runtime/install/tfjs-node-gpu.js';
import { memory, scope } from '../../../src/runtime/tensor.js';
import { tensorflowBackend, useTensorflowBackend } from '../../../src/runtime/tfjs/backend.js';
import { toTf } from '../../../src/runtime/tfjs/bridge.js';
import { tf } from '../../../src/runtime/tfjs/tf.js';

describe('before the backend is asked for', () => {
  test('importing starts nothing: tf runs on its own CPU backend', () => {
    expect(tf.findBackend('tensorflow')).toBeNull();
    expect(Reflect.get(globalThis, TFJS_SYMBOL)).toBeUndefined();
    tf.tidy(() => {
      expect(tf.tensor1d([1, 2]).square().dataSync()).toEqual(Float32Array.of(1, 4));
    });
    expect(tf.getBackend()).toBe('cpu');
  });

  test('there is nothing to cross to, and the error says what to call', () => {
    expect(() => tensorflowBackend()).toThrow('call `await useTensorflowBackend()` first');
    expect(() => toTf(undefined as never)).toThrow(OpError);
  });
});

describe('with the backend', () => {
  let before: { ours: number; theirs: number };

  beforeEach(async () => {
    await useTensorflowBackend();
    before = { ours: memory().tensors, theirs: tf.memory().numTensors };
  });

  afterEach(() => {
    expect({ ours: memory().tensors, theirs: tf.memory().numTensors }, 'tensors left behind').toEqual(before);
  });

  test('it is the current one, of the highest priority', async () => {
    expect(tf.getBackend()).toBe('tensorflow');
    expect(tf.backend()).toBe(tensorflowBackend().backend);
    await tf.setBackend('cpu');
    await useTensorflowBackend();
    expect(tf.getBackend()).toBe('tensorflow');
  });

  test('asking twice at once registers it once', async () => {
    const { backend } = tensorflowBackend();
    await Promise.all([useTensorflowBackend(), useTensorflowBackend()]);
    expect(tensorflowBackend().backend).toBe(backend);
  });

  test("a user's own import of tfjs, by import or require, is the same engine", () => {
    const required = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof userTf;
    for (const theirs of [userTf, required]) {
      expect(theirs.engine()).toBe(tf.engine());
      expect(theirs.getBackend()).toBe('tensorflow');
      expect(theirs.Tensor).toBe(tf.Tensor);
    }
    tf.tidy(() => {
      const live = memory().tensors;
      const theirs = userTf.square(userTf.tensor1d([3]));
      expect(memory().tensors).toBe(live + 2);
      expect(tf.add(theirs, 1)).toBeInstanceOf(userTf.Tensor);
      expect(tf.add(theirs, 1).dataSync()).toEqual(Float32Array.of(10));
    });
  });

  test('no scope of ours frees what belongs to tfjs', () => {
    let theirs: userTf.Tensor | undefined;
    scope(() => {
      theirs = tf.tidy(() => tf.tensor1d([2]).add(1).square());
    });
    scope(() => {
      expect(theirs?.dataSync()).toEqual(Float32Array.of(9));
      tf.tidy(() => theirs?.neg().dataSync());
    });
    expect(theirs?.dataSync()).toEqual(Float32Array.of(9));
    theirs?.dispose();
  });

  test('a layers model learns, and travels through a file:// address', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'persona-dpo-'));
    const model = tf.sequential({
      layers: [tf.layers.dense({ units: 1, inputShape: [1], kernelInitializer: 'zeros' })],
    });
    const [x, y] = [tf.tensor2d([[0], [1], [2], [3]]), tf.tensor2d([[1], [3], [5], [7]])];
    try {
      model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
      const { history } = await model.fit(x, y, { epochs: 100, verbose: 0, shuffle: false });
      expect(Number(history.loss?.at(-1))).toBeLessThan(0.01);
      await model.save(`file://${folder}`);
      const loaded = await tf.loadLayersModel(`file://${folder}/model.json`);
      tf.tidy(() => {
        const [ours, theirs] = [model, loaded].map((each) => (each.predict(x) as userTf.Tensor).dataSync());
        expect(theirs).toEqual(ours);
      });
      loaded.dispose();
    } finally {
      await rm(folder, { recursive: true, force: true });
      model.dispose();
      (model.optimizer as userTf.SGDOptimizer).dispose();
      tf.dispose([x, y]);
    }
  });

  test('a failing operation gives our error', () => {
    tf.tidy(() => {
      const tall = tf.tensor2d([[1], [2]]);
      expect(() =>
        tf.engine().runKernel('BatchMatMul', { a: tall, b: tall }, { transposeA: false, transposeB: false }),
      ).toThrow(/^BatchMatMul(V\d)?\(float32\[2,1\], float32\[2,1\]\) failed: /);
    });
  });
});
