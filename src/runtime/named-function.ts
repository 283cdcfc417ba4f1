/** Graph functions whose inputs and outputs go by name: with twenty of them, order is no way to tell them apart. */

import { ShapeError } from '../errors.js';
import type { DType } from './dtypes.js';
import {
  call,
  callAsync,
  defineFunction,
  type GraphBuilder,
  type GraphFunction,
  type GraphFunctionOptions,
  type GraphValue,
} from './graph-function.js';
import type { Tensor } from './tensor.js';

export interface NamedFunction {
  readonly fn: GraphFunction;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/**
 * Defines a function with the given inputs; `build` receives their values by name and returns the outputs by name.
 * The order of `inputs` and of the returned record's keys is the function's order.
 */
export function defineNamed(
  name: string,
  inputs: Readonly<Record<string, DType>>,
  build: (
    g: GraphBuilder,
    values: Readonly<Record<string, GraphValue>>,
  ) => Readonly<Record<string, GraphValue>>,
  options?: GraphFunctionOptions,
): NamedFunction {
  let outputs: string[] = [];
  const fn = defineFunction(
    name,
    (g) => {
      const values = Object.fromEntries(Object.entries(inputs).map(([key, dtype]) => [key, g.input(dtype)]));
      const result = build(g, values);
      outputs = Object.keys(result);
      return Object.values(result);
    },
    options,
  );
  return { fn, inputs: Object.keys(inputs), outputs };
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** Runs the function and waits. Inputs it does not name are ignored. */
export function callNamed(named: NamedFunction, inputs: Tensors): Record<string, Tensor> {
  return withNames(named, call(named.fn, ordered(named, inputs)));
}

/** Runs the function on another thread. */
export async function callNamedAsync(named: NamedFunction, inputs: Tensors): Promise<Record<string, Tensor>> {
  return withNames(named, await callAsync(named.fn, ordered(named, inputs)));
}

/** A call of a named function from inside a graph. */
export function callNamedIn(
  g: GraphBuilder,
  named: NamedFunction,
  inputs: Readonly<Record<string, GraphValue>>,
): Record<string, GraphValue> {
  const values = named.inputs.map((key) => present(named, key, inputs[key]));
  const results = g.call(named.fn, values);
  return Object.fromEntries(named.outputs.map((key, i) => [key, results[i] as GraphValue]));
}

function ordered(named: NamedFunction, inputs: Tensors): Tensor[] {
  return named.inputs.map((key) => present(named, key, inputs[key]));
}

function present<Value>(named: NamedFunction, key: string, value: Value | undefined): Value {
  if (value === undefined) throw new ShapeError(`${named.fn.name} needs the input ${key}`);
  return value;
}

function withNames({ outputs }: NamedFunction, tensors: Tensor[]): Record<string, Tensor> {
  return Object.fromEntries(outputs.map((key, i) => [key, tensors[i] as Tensor]));
}
