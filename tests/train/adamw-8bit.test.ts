/** AdamW with moments of 8 bits: near float32 AdamW, in little memory, and resumed to the bit. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../src/data/random.js';
import { CheckpointError } from '../../src/errors.js';
import { keep, memory, scope, type Tensor, tensor } from '../../src/runtime/tensor.js';
import { AdamW, type AdamWOptions } from '../../src/train/adamw.js';
import { piecesOf } from '../../src/train/adamw-8bit.js';
import { restoreOptimizer, writeCheckpoint } from '../../src/train/checkpoint.js';
import { clipFactor, GradientStore } from '../../src/train/gradient-store.js';
import type { TrainableParameter } from '../../src/train/trainable-parameters.js';

const folder = mkdtempSync(join(tmpdir(), 'adamw-8bit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The matrix's last block is not full. */
const SHAPES: Readonly<Record<string, readonly number[]>> = { matrix: [90, 67], vector: [4100], norm: [64] };
const OPTIONS: AdamWOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 };

/** Parameters of a quadratic with its minimum at `target`, each number with a slope of its own. */
class Quadratic {
  readonly parameters: TrainableParameter[];
  readonly #weights = new Map<string, Tensor>();
  readonly #curvature = new Map<string, Float32Array>();
  readonly #target = new Map<string, Float32Array>();
  readonly #noise = createRandom(2);

  constructor(readonly dtype: 'float32' | 'bfloat16' = 'float32') {
    const random = createRandom(1);
    this.parameters = Object.entries(SHAPES).map(([id, shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const normals = () => Float32Array.from({ length: count }, () => random.normal());
      this.#weights.set(id, keep(tensor(dtype, shape, Array.from(normals()))));
      this.#target.set(id, normals());
      this.#curvature.set(
        id,
        Float32Array.from({ length: count }, () => 10 ** (-2 * random.float())),
      );
      return {
        id,
        decays: id !== 'norm',
        current: () => this.#weights.get(id)!,
        replace: (value) => {
          this.#weights.get(id)!.dispose();
          this.#weights.set(id, keep(value));
        },
      };
    });
  }

  values(id: string): number[] {
    return this.#weights.get(id)!.toNumbers();
  }

  /** Half the mean of the curvature times the squared distance from the minimum. */
  loss(): number {
    const terms = Object.keys(SHAPES).flatMap((id) =>
      this.values(id).map(
        (w, i) => (this.#curvature.get(id)![i]! * (w - this.#target.get(id)![i]!) ** 2) / 2,
      ),
    );
    return terms.reduce((sum, term) => sum + term, 0) / terms.length;
  }

  /** One noisy gradient of all parameters. */
  gradients(dtype: 'float32' | 'bfloat16'): GradientStore {
    const store = new GradientStore();
    for (const [id, shape] of Object.entries(SHAPES)) {
      const [target, curvature] = [this.#target.get(id)!, this.#curvature.get(id)!];
      const gradient = this.values(id).map(
        (w, i) => curvature[i]! * (w - target[i]! + 0.3 * this.#noise.normal()),
      );
      store.add(id, keep(tensor(dtype, shape, gradient)));
    }
    return store;
  }

  steps(optimizer: AdamW, count: number, dtype: 'float32' | 'bfloat16' = 'float32'): void {
    for (let i = 0; i < count; i++) {
      scope(() => {
        const gradients = this.gradients(dtype);
        optimizer.step(gradients, 0.01, clipFactor(gradients.norm(), 1e9));
        gradients.dispose();
      });
    }
  }

  dispose(): void {
    for (const weight of this.#weights.values()) weight.dispose();
  }
}

const distance = (a: readonly number[], b: readonly number[]) =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length);

describe('an update with 8-bit moments', () => {
  it.each(['float32', 'bfloat16'] as const)(
    'is the same as with float32 at first, and near it over 50 steps of %s gradients',
    async (dtype) => {
      const [exact, packed] = [new Quadratic(), new Quadratic()];
      const start = packed.values('matrix');
      const first = new AdamW(exact.parameters, OPTIONS);
      const second = new AdamW(packed.parameters, { ...OPTIONS, moments: '8bit' });
      exact.steps(first, 1, dtype);
      packed.steps(second, 1, dtype);
      // Moments of zero are exact: the first step differs by rounding alone.
      for (const id of Object.keys(SHAPES))
        expect(distance(exact.values(id), packed.values(id))).toBeLessThan(1e-6);
      exact.steps(first, 49, dtype);
      packed.steps(second, 49, dtype);
      for (const id of Object.keys(SHAPES)) {
        const off = distance(exact.values(id), packed.values(id));
        // Fewer than 4,096 numbers keep float32 moments.
        if (id === 'norm') expect(off).toBeLessThan(1e-6);
        else expect(off).toBeGreaterThan(0);
      }
      const moved = distance(start, exact.values('matrix'));
      expect(moved).toBeGreaterThan(0.1);
      // Inside a block gradients differ by a factor of 100 and more: the smallest are known the least.
      expect(distance(exact.values('matrix'), packed.values('matrix')) / moved).toBeLessThan(0.08);
      expect(packed.loss()).toBeCloseTo(exact.loss(), 2);
      for (const each of [exact, packed, first, second]) each.dispose();
    },
  );

  it('moves a float32 weight behind a bfloat16 one', () => {
    const [exact, packed] = [new Quadratic('bfloat16'), new Quadratic('bfloat16')];
    const first = new AdamW(exact.parameters, OPTIONS);
    const second = new AdamW(packed.parameters, { ...OPTIONS, moments: '8bit' });
    exact.steps(first, 20);
    packed.steps(second, 20);
    expect(packed.parameters[0]!.current().dtype).toBe('bfloat16');
    expect(distance(exact.values('matrix'), packed.values('matrix'))).toBeLessThan(0.01);
    for (const each of [exact, packed, first, second]) each.dispose();
  });

  it('leaves a parameter without a gradient as it is', () => {
    const quadratic = new Quadratic();
    const optimizer = new AdamW(quadratic.parameters, { ...OPTIONS, moments: '8bit' });
    const before = quadratic.values('matrix');
    const none = new GradientStore();
    scope(() => optimizer.step(none, 0.1, tensor('float32', [], [1])));
    expect(quadratic.values('matrix')).toEqual(before);
    for (const each of [quadratic, optimizer]) each.dispose();
  });
});

describe('the state', () => {
  it('takes 2 bytes a number and 8 for 256 of them, and an update leaves nothing beside it', () => {
    const quadratic = new Quadratic();
    const before = memory();
    const optimizer = new AdamW(quadratic.parameters, { ...OPTIONS, moments: '8bit' });
    const blocks = (count: number) => Math.ceil(count / 256);
    const quantized = [90 * 67, 4100].reduce((sum, count) => sum + blocks(count), 0);
    const tables = 4 * (2 * 256 + 2 * 2 ** 17);
    // Float32 states are variables: their handles hold no bytes.
    expect(memory().bytes - before.bytes).toBe(quantized * (2 * 256 + 2 * 4) + tables);
    quadratic.steps(optimizer, 1);
    const after = memory();
    quadratic.steps(optimizer, 3);
    expect(memory()).toEqual(after);
    optimizer.dispose();
    expect(memory()).toEqual(before);
    quadratic.dispose();
  });

  it('goes on from a checkpoint to the same bits', async () => {
    const [whole, halves] = [new Quadratic(), new Quadratic()];
    const options = { ...OPTIONS, moments: '8bit' } as const;
    const uninterrupted = new AdamW(whole.parameters, options);
    whole.steps(uninterrupted, 6);

    const before = new AdamW(halves.parameters, options);
    halves.steps(before, 4);
    const checkpoint = await writeCheckpoint(folder, { version: 1, step: 4 }, before, async () => {});
    before.dispose();
    const after = new AdamW(halves.parameters, options);
    restoreOptimizer(checkpoint, after, 4);
    expect(after.steps).toBe(4);
    halves.steps(after, 2);
    for (const id of Object.keys(SHAPES)) expect(halves.values(id)).toEqual(whole.values(id));

    const plain = new AdamW(halves.parameters, OPTIONS);
    expect(() => restoreOptimizer(checkpoint, plain, 4)).toThrow(CheckpointError);
    for (const each of [whole, halves, uninterrupted, after, plain]) each.dispose();
  });

  it('restores weights that have moved on since', async () => {
    const quadratic = new Quadratic();
    const optimizer = new AdamW(quadratic.parameters, { ...OPTIONS, moments: '8bit' });
    quadratic.steps(optimizer, 1);
    const saved = quadratic.values('matrix');
    const checkpoint = await writeCheckpoint(folder, { version: 1, step: 1 }, optimizer, async () => {});
    quadratic.steps(optimizer, 2);
    restoreOptimizer(checkpoint, optimizer, 1);
    expect(quadratic.values('matrix')).toEqual(saved);
    for (const each of [quadratic, optimizer]) each.dispose();
  });
});

it('a parameter of several pieces moves as in one pass', () => {
  const shape = [601, 576];
  const count = shape[0]! * shape[1]!;
  const start = Float32Array.from({ length: count }, (_, i) => Math.sin(i));
  const gradient = Float32Array.from({ length: count }, (_, i) => 1 + 0.5 * Math.cos(0.7 * i));
  const [exact, packed] = (['float32', '8bit'] as const).map((moments) => {
    let weight = keep(tensor('float32', shape, start));
    const replace = (value: Tensor) => {
      weight.dispose();
      weight = keep(value);
    };
    const optimizer = new AdamW([{ id: 'w', decays: true, current: () => weight, replace }], {
      ...OPTIONS,
      moments,
    });
    for (let step = 0; step < 3; step++) {
      scope(() => {
        const gradients = new GradientStore();
        gradients.add('w', keep(tensor('float32', shape, gradient)));
        optimizer.step(gradients, 0.01, tensor('float32', [], [1]));
      });
    }
    const values = weight.data() as Float32Array;
    for (const each of [weight, optimizer]) each.dispose();
    return values;
  });
  const worst = exact!.reduce((most, value, i) => Math.max(most, Math.abs(value - packed![i]!)), 0);
  expect(piecesOf(601, 576).length).toBeGreaterThan(1);
  // Three steps of 0.01, each off by the codes' distance, a hundredth at most.
  expect(worst).toBeLessThan(1e-3);
});

it('pieces are whole blocks but for the last, and cover every row once', () => {
  for (const [rows, width] of [
    [49_152, 576],
    [7, 67],
    [1000, 1],
    [3, 1_000_000],
  ] as const) {
    const pieces = piecesOf(rows, width);
    let [row, block] = [0, 0];
    pieces.forEach((piece, i) => {
      expect(piece).toMatchObject({ row, block });
      const numbers = piece.rows * width;
      if (i < pieces.length - 1) expect(numbers % 256).toBe(0);
      expect(piece.blocks).toBe(Math.ceil(numbers / 256));
      row += piece.rows;
      block += piece.blocks;
    });
    expect(row).toBe(rows);
  }
});
