import * as tf from '@tensorflow/tfjs';
import { ShapeError } from '../errors.js';

/** The plain form of a vector; results in this form are `number[]`. */
export type NumberArray = readonly number[] | Float32Array | Float64Array;

/** The inputs of one call, all in the same form, all of the same length. */
export type Vectors<K> =
  | { form: 'numbers'; vectors: { [P in keyof K]: number[] }; length: number }
  | { form: 'tensors'; vectors: { [P in keyof K]: tf.Tensor1D }; length: number };

/**
 * Checks that the inputs are all arrays of numbers or all tensors of rank 1, of one length of at least 1.
 * Throws `ShapeError`, naming the input that differs from the first.
 */
export function expectVectors<K extends { [P in keyof K]: NumberArray | tf.Tensor }>(inputs: K): Vectors<K> {
  const entries = Object.entries(inputs) as [string, NumberArray | tf.Tensor][];
  const [firstName, first] = entries[0]!;
  const length = lengthOf(firstName, first);
  if (length === 0) throw new ShapeError(`${firstName}: expected at least one value, got none`);
  for (const [name, input] of entries) {
    if (isTensor(input) !== isTensor(first)) {
      throw new ShapeError(
        `expected all inputs to be arrays of numbers or all to be tensors, got ${describe(first)} for ${firstName} and ${describe(input)} for ${name}`,
      );
    }
    if (lengthOf(name, input) !== length) {
      throw new ShapeError(
        `${name}: expected shape [${length}] as of ${firstName}, got [${lengthOf(name, input)}]`,
      );
    }
  }
  if (isTensor(first)) return { form: 'tensors', vectors: inputs as { [P in keyof K]: tf.Tensor1D }, length };
  const numbers = entries.map(([name, input]) => [name, Array.from(input as NumberArray)]);
  return { form: 'numbers', vectors: Object.fromEntries(numbers) as { [P in keyof K]: number[] }, length };
}

/** Throws `ShapeError` unless the array has `length` values. */
export function expectLength(name: string, values: ArrayLike<number>, length: number): void {
  if (values.length !== length) {
    throw new ShapeError(`${name}: expected ${length} values, got ${values.length}`);
  }
}

function isTensor(input: NumberArray | tf.Tensor): input is tf.Tensor {
  return input instanceof tf.Tensor;
}

function lengthOf(name: string, input: NumberArray | tf.Tensor): number {
  if (!isTensor(input)) return input.length;
  if (input.rank !== 1) {
    throw new ShapeError(`${name}: expected a tensor of rank 1, got shape [${input.shape.join(', ')}]`);
  }
  return input.size;
}

function describe(input: NumberArray | tf.Tensor): string {
  return isTensor(input) ? 'a tensor' : 'an array';
}

/** `tf.tidy` for results whose type is an interface, which tfjs's `TensorContainer` does not take. */
export function tidied<T extends object>(compute: () => T): T {
  return tf.tidy(compute as () => tf.TensorContainerObject) as T;
}
