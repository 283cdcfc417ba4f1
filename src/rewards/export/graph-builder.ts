/** Puts an ONNX graph together node by node; large tensors go into a file of their own, one at a time. */

import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  ELEMENT_BYTES,
  ELEMENT_TYPES,
  type ElementType,
  EXTERNAL,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx-proto.js';

/** ONNX Runtime's own operators. */
export const MICROSOFT = 'com.microsoft';

export type AttributeValue = number | readonly number[] | string | { float: number };

export interface NodeOptions {
  attributes?: Readonly<Record<string, AttributeValue>>;
  domain?: string;
  /** How many outputs the node has. Default 1. */
  outputs?: number;
  /** Names of outputs that the graph has, by place. Default: names of the builder's own. */
  names?: readonly (string | undefined)[];
}

/** A tensor whose bytes are asked for when its turn comes to be written. */
export interface LargeTensor {
  name: string;
  byteLength: number;
  bytes: () => Uint8Array;
}

/** In the external file every tensor begins at a multiple of this, so that it can be mapped into memory. */
export const ALIGNMENT = 4096;

export class GraphBuilder {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #large: LargeTensor[] = [];
  readonly #constants = new Map<string, string>();
  readonly #dataFile: string;
  #scope = '';
  #offset = 0;
  #next = 0;

  /** @param dataFile Name of the file for large tensors, in the folder of the ONNX file */
  constructor(dataFile: string) {
    this.#dataFile = dataFile;
  }

  /** Names what is added until the next call: `layers.3`. */
  within(scope: string): void {
    this.#scope = scope;
  }

  /** Adds a node and gives the name of its first output. */
  add(opType: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.addAll(opType, inputs, options)[0] as string;
  }

  /** Adds a node and gives the names of its outputs. An empty input is one that is left out. */
  addAll(
    opType: string,
    inputs: readonly string[],
    { attributes = {}, domain, outputs = 1, names = [] }: NodeOptions = {},
  ): string[] {
    const name = this.#fresh(opType);
    const output = Array.from({ length: outputs }, (_, i) => names[i] ?? (i === 0 ? name : `${name}:${i}`));
    this.#nodes.push({
      opType,
      name,
      input: [...inputs],
      output,
      attribute: Object.entries(attributes).map(attributeProto),
      ...(domain === undefined ? {} : { domain }),
    });
    return output;
  }

  input(name: string, type: ElementType, shape: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  output(name: string, type: ElementType, shape: readonly (number | string)[]): void {
    this.#outputs.push(valueInfo(name, type, shape));
  }

  /** A small tensor of whole numbers; equal ones are kept once. */
  ints(...values: number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.#constant(`ints(${values.join()})`, 'int64', [values.length], bytes);
  }

  /** One whole number without a shape. */
  int(value: number): string {
    return this.#constant(
      `int(${value})`,
      'int64',
      [],
      new Uint8Array(BigInt64Array.of(BigInt(value)).buffer),
    );
  }

  /** One float32 without a shape. */
  float(value: number): string {
    return this.#constant(`float(${value})`, 'float32', [], new Uint8Array(Float32Array.of(value).buffer));
  }

  /** A tensor that goes into the external file. */
  tensor(name: string, type: ElementType, dims: readonly number[], bytes: () => Uint8Array): string {
    const byteLength = dims.reduce((product, size) => product * size, ELEMENT_BYTES[type]);
    this.#initializers.push({
      name,
      dims,
      dataType: ELEMENT_TYPES[type],
      dataLocation: EXTERNAL,
      externalData: [
        { key: 'location', value: this.#dataFile },
        { key: 'offset', value: String(this.#offset) },
        { key: 'length', value: String(byteLength) },
      ],
    });
    this.#large.push({ name, byteLength, bytes });
    this.#offset += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
    return name;
  }

  /** What goes into the external file, in order; each tensor's bytes are padded to {@link ALIGNMENT}. */
  largeTensors(): readonly LargeTensor[] {
    return this.#large;
  }

  graph(name: string, docString: string): ModelProto['graph'] {
    return {
      ...{ name, docString, node: this.#nodes, initializer: this.#initializers },
      ...{ input: this.#inputs, output: this.#outputs },
    };
  }

  #constant(key: string, type: ElementType, dims: readonly number[], rawData: Uint8Array): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    this.#initializers.push({ name: key, dims, dataType: ELEMENT_TYPES[type], rawData });
    this.#constants.set(key, key);
    return key;
  }

  #fresh(opType: string): string {
    return `${this.#scope === '' ? '' : `${this.#scope}.`}${opType}_${this.#next++}`;
  }
}

function attributeProto([name, value]: [string, AttributeValue]): AttributeProto {
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPES.int, i: value };
  if (typeof value === 'string')
    return { name, type: ATTRIBUTE_TYPES.string, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPES.float, f: value.float };
  return { name, type: ATTRIBUTE_TYPES.ints, ints: [...value] };
}

function valueInfo(name: string, type: ElementType, shape: readonly (number | string)[]): ValueInfoProto {
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: ELEMENT_TYPES[type], shape: { dim } } } };
}
