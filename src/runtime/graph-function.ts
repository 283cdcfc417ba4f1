/**
 * Graph functions: a piece of computation built once, registered with the context, and run by name like one op.
 * They are shape-polymorphic as built; compiled by XLA, each shape of the inputs is compiled once.
 */

import koffi from 'koffi';
import { OpError } from '../errors.js';
import { type Attributes, attr, int64s, setGraphAttributes } from './attributes.js';
import { type DType, dtypeBytes, dtypeCode, dtypeFromCode, elementCount } from './dtypes.js';
import { execute, executeAsync } from './execute.js';
import { type Runtime, runtime } from './runtime.js';
import type { Tensor } from './tensor.js';
import type { OutputStruct } from './tensorflow-functions.js';

/** One value inside a graph under construction. */
export interface GraphValue extends OutputStruct {
  readonly dtype: DType;
}

/** A registered function. */
export interface GraphFunction {
  readonly name: string;
  readonly outputs: number;
  /** Address of the TF_Function, which graphs that call this one copy. */
  readonly definition: number;
  readonly compiled: boolean;
  /** The functions it calls, and those that these call; innermost first. */
  readonly calls: readonly GraphFunction[];
}

export interface GraphFunctionOptions {
  /** Compile by XLA, once for each shape of the inputs. Default false. */
  xla?: boolean;
}

let functionCount = 0;

/** Builds the body of a function: operations on the values that stand for its inputs. */
export class GraphBuilder {
  readonly #rt: Runtime;
  readonly graph: number;
  readonly inputs: GraphValue[] = [];
  readonly #called = new Set<GraphFunction>();
  #operations = 0;

  constructor(rt: Runtime) {
    this.#rt = rt;
    this.graph = rt.functions.TF_NewGraph();
  }

  /** A parameter of the function. Parameters are numbered in the order they are made. */
  input(dtype: DType): GraphValue {
    const value = this.op('Placeholder', [], { dtype: attr.type(dtype) });
    this.inputs.push(value);
    return value;
  }

  /** One operation with one output. */
  op(
    type: string,
    inputs: readonly (GraphValue | readonly GraphValue[])[],
    attributes: Attributes = {},
  ): GraphValue {
    return this.ops(type, inputs, attributes, 1)[0] as GraphValue;
  }

  /** One operation with several outputs. A list among `inputs` is passed as one list input. */
  ops(
    type: string,
    inputs: readonly (GraphValue | readonly GraphValue[])[],
    attributes: Attributes,
    outputs: number,
  ): GraphValue[] {
    const { functions: f, status } = this.#rt;
    const operation = f.TF_NewOperation(this.graph, type, `${type}_${this.#operations++}`);
    for (const input of inputs) {
      if (Array.isArray(input)) f.TF_AddInputList(operation, input as readonly GraphValue[], input.length);
      else f.TF_AddInput(operation, input as GraphValue);
    }
    setGraphAttributes(f, operation, attributes);
    const oper = f.TF_FinishOperation(operation, status.handle);
    status.check(({ message }) => new OpError(`${type} cannot be put into a graph: ${message}`));
    return Array.from({ length: outputs }, (_, index) => ({
      oper,
      index,
      dtype: dtypeFromCode(f.TF_OperationOutputType({ oper, index })),
    }));
  }

  /** A constant: numbers of `dtype` float32 or int32 in `shape` (default: a scalar, or a vector of the array's length). */
  constant(
    dtype: 'float32' | 'int32',
    values: number | readonly number[],
    shape?: readonly number[],
  ): GraphValue {
    const list = typeof values === 'number' ? [values] : values;
    const dims = shape ?? (typeof values === 'number' ? [] : [list.length]);
    const { functions: f, status } = this.#rt;
    const raw = f.TF_AllocateTensor(
      dtypeCode(dtype),
      int64s(dims),
      dims.length,
      elementCount(dims) * dtypeBytes(dtype),
    );
    try {
      if (list.length > 0) {
        const memory = koffi.view(f.TF_TensorData(raw), f.TF_TensorByteSize(raw));
        (dtype === 'float32' ? new Float32Array(memory) : new Int32Array(memory)).set(list);
      }
      const operation = f.TF_NewOperation(this.graph, 'Const', `Const_${this.#operations++}`);
      f.TF_SetAttrType(operation, 'dtype', dtypeCode(dtype));
      f.TF_SetAttrTensor(operation, 'value', raw, status.handle);
      status.check(({ message }) => new OpError(`a constant cannot be put into a graph: ${message}`));
      const oper = f.TF_FinishOperation(operation, status.handle);
      status.check(({ message }) => new OpError(`a constant cannot be put into a graph: ${message}`));
      return { oper, index: 0, dtype };
    } finally {
      f.TF_DeleteTensor(raw);
    }
  }

  /** A call of another function. */
  call(callee: GraphFunction, inputs: readonly GraphValue[]): GraphValue[] {
    for (const each of [...callee.calls, callee]) this.#include(each);
    // Inlining would dissolve the call that XLA is to compile.
    const attributes: Attributes = callee.compiled
      ? { _XlaMustCompile: attr.bool(true), _noinline: attr.bool(true) }
      : {};
    return this.ops(callee.name, inputs, attributes, callee.outputs);
  }

  /** The functions that this graph's operations call, directly or through others; innermost first. */
  get calls(): GraphFunction[] {
    return [...this.#called];
  }

  /** Copies `fn` into the graph: a graph must hold every function that runs in it. */
  #include(fn: GraphFunction): void {
    if (this.#called.has(fn)) return;
    const { functions: f, status } = this.#rt;
    f.TF_GraphCopyFunction(this.graph, fn.definition, 0, status.handle);
    status.check(({ message }) => new OpError(`${fn.name} cannot be called from a graph: ${message}`));
    this.#called.add(fn);
  }
}

/**
 * Builds and registers a function.
 *
 * @param name For people: it stands in errors and profiles; a number is added to make it unique.
 * @param build Makes the inputs and the body and returns the outputs.
 */
export function defineFunction(
  name: string,
  build: (g: GraphBuilder) => readonly GraphValue[],
  { xla = false }: GraphFunctionOptions = {},
): GraphFunction {
  const rt = runtime();
  const { functions: f, status } = rt;
  const builder = new GraphBuilder(rt);
  try {
    const outputs = build(builder);
    const unique = `${name}_${functionCount++}`;
    const definition = f.TF_GraphToFunction(
      builder.graph,
      unique,
      0,
      -1,
      null,
      builder.inputs.length,
      builder.inputs,
      outputs.length,
      outputs,
      null,
      0,
      null,
      status.handle,
    );
    status.check(({ message }) => new OpError(`function ${name} cannot be built: ${message}`));
    f.TFE_ContextAddFunction(rt.context, definition, status.handle);
    status.check(({ message }) => new OpError(`function ${name} cannot be registered: ${message}`));
    return { name: unique, outputs: outputs.length, definition, compiled: xla, calls: builder.calls };
  } finally {
    f.TF_DeleteGraph(builder.graph);
  }
}

const compiledAttributes: Attributes = { _XlaMustCompile: attr.bool(true) };

/** Runs `fn` on `inputs` and waits. */
export function call(fn: GraphFunction, inputs: readonly Tensor[]): Tensor[] {
  return execute(fn.name, inputs, fn.compiled ? compiledAttributes : {}, fn.outputs);
}

/** Runs `fn` on another thread. The inputs must stay alive until the promise settles. */
export function callAsync(fn: GraphFunction, inputs: readonly Tensor[]): Promise<Tensor[]> {
  return executeAsync(fn.name, inputs, fn.compiled ? compiledAttributes : {}, fn.outputs);
}
