import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpError } from '../../src/errors.js';
import { attr } from '../../src/runtime/attributes.js';
import { execute } from '../../src/runtime/execute.js';
import { memory, scope, tensor } from '../../src/runtime/tensor.js';
import { Variable } from '../../src/runtime/variable.js';

const vector = (...values: number[]) => tensor('float32', [values.length], values);
const scalar = (value: number) => tensor('float32', [], [value]);
const valuesOf = (variable: Variable) => scope(() => variable.read().toNumbers());
const newVariable = (...values: number[]) => scope(() => ({ made: new Variable(vector(...values)) })).made;

let before: number;

beforeEach(() => {
  before = memory().tensors;
});

afterEach(() => {
  expect(memory().tensors, 'tensors left behind').toBe(before);
});

describe('Variable', () => {
  test('holds its value beyond the scope that made it', () => {
    const variable = newVariable(1, 2);
    expect(variable).toMatchObject({ dtype: 'float32', shape: [2] });
    expect(valuesOf(variable)).toEqual([1, 2]);
    variable.dispose();
  });

  test('takes new values, and leaves what was read before alone', () => {
    const variable = newVariable(1, 2);
    scope(() => {
      const old = variable.read();
      variable.assign(vector(3, 4));
      expect(variable.read().toNumbers()).toEqual([3, 4]);
      expect(old.toNumbers()).toEqual([1, 2]);
    });
    variable.dispose();
  });

  test('refuses another dtype', () => {
    const variable = newVariable(1, 2);
    scope(() => expect(() => variable.assign(tensor('int32', [2], [1, 2]))).toThrow(OpError));
    variable.dispose();
  });

  test('two variables do not share their values', () => {
    const [a, b] = [newVariable(1), newVariable(1)];
    scope(() => a.assign(vector(5)));
    expect([valuesOf(a), valuesOf(b)]).toEqual([[5], [1]]);
    a.dispose();
    b.dispose();
  });

  test('changes in place: assigning by addition', () => {
    const variable = newVariable(1, 2);
    scope(() => {
      for (let i = 0; i < 3; i++) {
        execute(
          'AssignAddVariableOp',
          [variable.resource, vector(1, 10)],
          { dtype: attr.type('float32') },
          0,
        );
      }
    });
    expect(valuesOf(variable)).toEqual([4, 32]);
    variable.dispose();
  });

  test('three steps of Adam, as its formula has them', () => {
    const [w, m, v] = [newVariable(1, -2), newVariable(0, 0), newVariable(0, 0)];
    const [rate, beta1, beta2, epsilon] = [0.1, 0.9, 0.999, 1e-8];
    const expected = { w: [1, -2], m: [0, 0], v: [0, 0] };
    for (let step = 1; step <= 3; step++) {
      const gradient = [0.5 * step, -0.25];
      scope(() => {
        const inputs = [beta1 ** step, beta2 ** step, rate, beta1, beta2, epsilon].map(scalar);
        const resources = [w, m, v].map(({ resource }) => resource);
        execute(
          'ResourceApplyAdam',
          [...resources, ...inputs, vector(...gradient)],
          { T: attr.type('float32') },
          0,
        );
      });
      gradient.forEach((g, i) => {
        expected.m[i] = beta1 * (expected.m[i] as number) + (1 - beta1) * g;
        expected.v[i] = beta2 * (expected.v[i] as number) + (1 - beta2) * g * g;
        const corrected = (rate * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
        expected.w[i] =
          (expected.w[i] as number) -
          (corrected * (expected.m[i] as number)) / (Math.sqrt(expected.v[i] as number) + epsilon);
      });
    }
    for (const [variable, values] of [
      [w, expected.w],
      [m, expected.m],
      [v, expected.v],
    ] as const) {
      valuesOf(variable).forEach((value, i) => {
        expect(value).toBeCloseTo(values[i] as number, 5);
      });
      variable.dispose();
    }
  });

  test('is gone once it is disposed', () => {
    const variable = newVariable(1);
    variable.dispose();
    expect(() => variable.read()).toThrow('this tensor has been disposed');
  });
});
