/**
 * The twelve functions that the kernels of `@tensorflow/tfjs-node-gpu` expect of their native addon (the package's
 * dist/tfjs_binding.d.ts), over this runtime.
 */

import { OpError, ShapeError } from '../../errors.js';
import { type Attribute, type Attributes, attr } from '../attributes.js';
import { type DType, dtypeCode, dtypeFromCode } from '../dtypes.js';
import { execute } from '../execute.js';
import { runtime } from '../runtime.js';
import { keep, scope, stringData, stringTensor, type Tensor, tensor } from '../tensor.js';

/** What the kernels know of a tensor: its number here, its shape, and TensorFlow's number for its dtype. */
export interface TensorMetadata {
  id: number;
  shape: number[];
  dtype: number;
}

/** One attribute of an operation, its `type` one of the `TF_ATTR_*` numbers. */
export interface KernelAttribute {
  name: string;
  type: number;
  value: boolean | number | string | readonly number[];
}

/** Elements as tfjs holds them on the JavaScript side; strings as their UTF-8 bytes. */
export type KernelValues = Float32Array | Int32Array | Uint8Array | BigInt64Array | readonly Uint8Array[];

const attributeTypes = {
  TF_ATTR_STRING: 100,
  TF_ATTR_INT: 101,
  TF_ATTR_FLOAT: 102,
  TF_ATTR_BOOL: 103,
  TF_ATTR_TYPE: 104,
  TF_ATTR_SHAPE: 105,
  TF_ATTR_RESOURCE: 106,
} as const;

const dataTypes = {
  TF_FLOAT: dtypeCode('float32'),
  TF_INT32: dtypeCode('int32'),
  TF_INT64: dtypeCode('int64'),
  TF_BOOL: dtypeCode('bool'),
  TF_COMPLEX64: dtypeCode('complex64'),
  TF_STRING: dtypeCode('string'),
  TF_RESOURCE: dtypeCode('resource'),
  TF_UINT8: dtypeCode('uint8'),
};

/** The binding, and two functions of ours by which tensors cross between tfjs and this runtime. */
export type TfjsBinding = ReturnType<typeof createBinding>;

/**
 * A binding with no tensors. Its tensors belong to tfjs: no scope of this runtime frees them, `memory()` counts them.
 *
 * @throws RuntimeInstallError when TensorFlow is missing.
 */
export function createBinding() {
  const rt = runtime();
  const tensors = new Map<number, Tensor>();
  let lastId = 0;
  const usesGpu = rt.devices.some(({ name, type }) => name === rt.device && type === 'GPU');
  // A GPU has no kernel for some of tfjs' operations (strings, image decoding): there TensorFlow shall choose.
  const device = usesGpu ? '' : undefined;

  const adopt = (owned: Tensor): number => {
    tensors.set(++lastId, keep(owned));
    return lastId;
  };
  const tensorOf = (id: number): Tensor => {
    const found = tensors.get(id);
    if (found === undefined)
      throw new OpError(`tfjs asks for tensor ${id}, which does not exist or is disposed`);
    return found;
  };

  return {
    ...dataTypes,
    ...attributeTypes,
    TF_Version: rt.version,
    // The interface names these two classes; the kernels pass plain objects of their shape.
    TensorMetadata: class {},
    TFEOpAttr: class {},

    createTensor: (shape: readonly number[], dtype: number, values: KernelValues): number =>
      adopt(fromValues(shape, dtypeFromCode(dtype), values)),

    deleteTensor(id: number): void {
      tensorOf(id).dispose();
      tensors.delete(id);
    },

    tensorDataSync: (id: number) => toValues(tensorOf(id)),

    executeOp(
      name: string,
      kernelAttributes: readonly KernelAttribute[],
      inputIds: readonly number[],
      outputs: number,
    ): TensorMetadata[] {
      const inputs = inputIds.map(tensorOf);
      const attributes = attributesOf(kernelAttributes);
      return runAsTfjsMeansIt(name, inputs, attributes, outputs, device).map((output) => ({
        id: adopt(output),
        shape: [...output.shape],
        dtype: dtypeCode(output.dtype),
      }));
    },

    getNumOfTensors: () => tensors.size,
    isUsingGpuDevice: () => usesGpu,

    getNumOfSavedModels: () => 0,
    loadSavedModel: refuseSavedModel,
    deleteSavedModel: refuseSavedModel,
    runSavedModel: refuseSavedModel,

    /** Hands a tensor over to tfjs: from here on `deleteTensor` frees it. */
    adopt,
    /** The tensor behind a number; it still belongs to tfjs. */
    tensorOf,
  };
}

/** Runs an operation, mended where tfjs' kernels hand over something that TensorFlow does not take. */
function runAsTfjsMeansIt(
  name: string,
  inputs: readonly Tensor[],
  attributes: Attributes,
  outputs: number,
  device: string | undefined,
): Tensor[] {
  const [first, ...others] = inputs;
  if (name === 'Round' && first?.dtype === 'int32') {
    // An integer is round already; TensorFlow has no kernel for it.
    return execute('Identity', inputs, attributes, outputs, device);
  }
  if (name === 'ScatterNd' && first?.shape.length === 1) {
    // A vector of indices is n places to tfjs, and one place of n coordinates to TensorFlow.
    const column = { T: attr.type('int32'), Tdim: attr.type('int32') };
    return scope(() => {
      const [indices] = execute('ExpandDims', [first, tensor('int32', [], [1])], column, 1, device);
      return execute(name, [indices as Tensor, ...others], attributes, outputs, device);
    });
  }
  return execute(name, inputs, attributes, outputs, device);
}

function refuseSavedModel(): never {
  throw new OpError(
    'SavedModels are not supported here; convert the model with tensorflowjs_converter and load it with tf.loadGraphModel',
  );
}

function fromValues(shape: readonly number[], dtype: DType, values: KernelValues): Tensor {
  if (dtype === 'string') return stringTensor(shape, values as readonly Uint8Array[]);
  return tensor(dtype, shape, elementsOf(dtype, values as Exclude<KernelValues, readonly Uint8Array[]>));
}

/**
 * `values` in the typed array of `dtype`: data that another tfjs backend made may lie in a different one. An int64
 * arrives as two int32 halves, low one first (dist/int64_tensors.js), which are its bytes already.
 */
function elementsOf(
  dtype: DType,
  values: Exclude<KernelValues, readonly Uint8Array[]>,
): ArrayBufferView | readonly number[] {
  const fits =
    dtype === 'float32' || dtype === 'complex64'
      ? values instanceof Float32Array
      : dtype === 'int32'
        ? values instanceof Int32Array
        : dtype === 'int64'
          ? values instanceof Int32Array || values instanceof BigInt64Array
          : values instanceof Uint8Array;
  return fits ? values : Array.from(values as Float32Array, Number);
}

/** Elements in the typed array that tfjs expects; int64 and uint8 are `int32` to tfjs. */
function toValues(source: Tensor): Float32Array | Int32Array | Uint8Array | Uint8Array[] {
  switch (source.dtype) {
    case 'string':
      return stringData(source);
    case 'float32':
    case 'complex64':
    case 'int32':
    case 'bool':
      return source.data() as Float32Array | Int32Array | Uint8Array;
    case 'uint8':
      return Int32Array.from(source.data() as Uint8Array);
    case 'int64':
      return Int32Array.from(source.data() as BigInt64Array, toInt32);
    default:
      throw new ShapeError(`a ${source.dtype} tensor cannot be read through tfjs; cast it to float32 first`);
  }
}

function toInt32(value: bigint): number {
  const number = Number(value);
  if (number !== (number | 0)) {
    throw new ShapeError(`tfjs reads int64 as int32, which does not hold ${value}`);
  }
  return number;
}

function attributesOf(kernelAttributes: readonly KernelAttribute[]): Attributes {
  const attributes: Record<string, Attribute> = {};
  for (const attribute of kernelAttributes) attributes[attribute.name] = attributeOf(attribute);
  return attributes;
}

function attributeOf({ name, type, value }: KernelAttribute): Attribute {
  switch (type) {
    case attributeTypes.TF_ATTR_STRING:
      return attr.string(String(value));
    case attributeTypes.TF_ATTR_INT:
      return Array.isArray(value) ? attr.ints(value) : attr.int(Number(value));
    case attributeTypes.TF_ATTR_FLOAT:
      return Array.isArray(value) ? attr.floats(value) : attr.float(Number(value));
    case attributeTypes.TF_ATTR_BOOL:
      return attr.bool(Boolean(value));
    case attributeTypes.TF_ATTR_TYPE:
      return attr.type(dtypeFromCode(Number(value)));
    case attributeTypes.TF_ATTR_SHAPE:
      return attr.shape(value as readonly number[]);
    default:
      throw new OpError(`attribute ${name} has type ${type}, which this binding does not know`);
  }
}
