/** Tensors that TensorFlow holds, who owns them, and how many there are. */

import { AsyncLocalStorage } from 'node:async_hooks';
import koffi from 'koffi';
import { OpError, ShapeError } from '../errors.js';
import { int64s } from './attributes.js';
import { type DType, dtypeBytes, dtypeCode, dtypeFromCode, elementCount } from './dtypes.js';
import { type Runtime, runtime } from './runtime.js';

export type TensorData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint16Array | Uint8Array;

const live = new Set<Tensor>();
const scopes = new AsyncLocalStorage<Set<Tensor>>();

/**
 * A tensor in TensorFlow's memory. Whoever makes one outside a {@link scope} owns it and calls `dispose()`;
 * inside a scope, the scope does, unless the tensor is kept.
 */
export class Tensor {
  #handle: number;
  #shape: readonly number[] | undefined;
  #scope: Set<Tensor> | undefined;
  readonly dtype: DType;

  /** Takes over a TensorFlow handle. */
  constructor(handle: number, dtype?: DType) {
    this.#handle = handle;
    this.dtype = dtype ?? dtypeFromCode(runtime().functions.TFE_TensorHandleDataType(handle));
    live.add(this);
    this.moveTo(scopes.getStore());
  }

  /** TensorFlow's handle. Throws once the tensor is disposed. */
  get handle(): number {
    if (this.#handle === 0) throw new OpError('this tensor has been disposed');
    return this.#handle;
  }

  get disposed(): boolean {
    return this.#handle === 0;
  }

  get shape(): readonly number[] {
    this.#shape ??= readShape(this.handle);
    return this.#shape;
  }

  get byteLength(): number {
    return elementCount(this.shape) * dtypeBytes(this.dtype);
  }

  /** Name of the device whose memory holds the elements. */
  get device(): string {
    const { functions, status } = runtime();
    const name = functions.TFE_TensorHandleBackingDeviceName(this.handle, status.handle);
    status.check(({ message }) => new OpError(`a tensor's device is unknown: ${message}`));
    return name;
  }

  /** A copy of the elements on the host, in the typed array of their dtype (bfloat16 and float16 as raw Uint16). */
  data(): TensorData {
    return readData(this);
  }

  /** The elements as numbers; float32, float64, int32, uint8, bool and bfloat16. */
  toNumbers(): number[] {
    const data = this.data();
    if (this.dtype === 'bfloat16') return Array.from(bfloat16ToFloat32(data as Uint16Array));
    return Array.from(data as Float32Array, Number);
  }

  /** Frees the tensor; a second call does nothing. */
  dispose(): void {
    if (this.#handle === 0) return;
    runtime().functions.TFE_DeleteTensorHandle(this.#handle);
    this.#handle = 0;
    live.delete(this);
    this.moveTo(undefined);
  }

  /** Makes `scope` the tensor's owner in place of the present one. For {@link scope} and {@link keep}. */
  moveTo(scope: Set<Tensor> | undefined): void {
    this.#scope?.delete(this);
    this.#scope = scope;
    scope?.add(this);
  }
}

/** Live tensors and the bytes of their elements. Buffers that two tensors share count twice. */
export function memory(): { tensors: number; bytes: number } {
  let bytes = 0;
  for (const tensor of live) bytes += tensor.byteLength;
  return { tensors: live.size, bytes };
}

/**
 * Runs `work` and frees every tensor made in it, except those it returns (found in arrays, plain objects and
 * maps) and those passed to {@link keep}. Scopes nest: what one returns belongs to the scope around it. `work`
 * may be asynchronous; each chain of calls has its own scope.
 */
export function scope<Result>(work: () => Result): Result {
  const made = new Set<Tensor>();
  const outer = scopes.getStore();
  const close = (result: unknown, failed: boolean) => {
    const returned = failed ? new Set<Tensor>() : tensorsIn(result);
    for (const tensor of made) {
      if (returned.has(tensor)) tensor.moveTo(outer);
      else tensor.dispose();
    }
    made.clear();
  };
  let result: Result;
  try {
    result = scopes.run(made, work);
  } catch (error) {
    close(undefined, true);
    throw error;
  }
  if (!(result instanceof Promise)) {
    close(result, false);
    return result;
  }
  return result.then(
    (value) => {
      close(value, false);
      return value;
    },
    (error) => {
      close(undefined, true);
      throw error;
    },
  ) as Result;
}

/** Takes `tensor` out of the scope that owns it: from here on its new owner calls `dispose()`. */
export function keep<T extends Tensor>(tensor: T): T {
  tensor.moveTo(undefined);
  return tensor;
}

/** Frees every tensor found in `value` (arrays, plain objects, maps). */
export function disposeAll(value: unknown): void {
  for (const tensor of tensorsIn(value)) tensor.dispose();
}

/**
 * A tensor of `shape` on the runtime's device, its host memory written by `fill` (little-endian, row-major):
 * a file can be read straight into it.
 */
export function allocateTensor(
  dtype: DType,
  shape: readonly number[],
  fill: (bytes: Uint8Array) => void,
): Tensor {
  const rt = runtime();
  const { functions: f } = rt;
  const raw = allocateRaw(rt, dtype, shape);
  try {
    const size = f.TF_TensorByteSize(raw);
    fill(size === 0 ? new Uint8Array(0) : new Uint8Array(koffi.view(f.TF_TensorData(raw), size)));
    return placed(rt, raw, dtype);
  } finally {
    f.TF_DeleteTensor(raw);
  }
}

/**
 * A tensor with a copy of `data`, on the runtime's device.
 *
 * @param data Typed array whose bytes are the elements, or numbers (converted; bfloat16 rounds to nearest even).
 * @throws ShapeError when the number of bytes is not that of `shape`.
 */
export function tensor(
  dtype: DType,
  shape: readonly number[],
  data: ArrayBufferView | readonly number[],
): Tensor {
  const bytes = ArrayBuffer.isView(data) ? data : encodeNumbers(dtype, data);
  return allocateTensor(dtype, shape, (target) => {
    if (target.byteLength !== bytes.byteLength) {
      throw new ShapeError(
        `${dtype} tensor of shape [${shape}] takes ${target.byteLength} bytes, got ${bytes.byteLength}`,
      );
    }
    target.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  });
}

/** A tensor of Python-style strings (TF_TString slots), which always lies on the host. */
export function stringTensor(shape: readonly number[], values: readonly (string | Uint8Array)[]): Tensor {
  const rt = runtime();
  const { functions: f } = rt;
  if (values.length !== elementCount(shape)) {
    throw new ShapeError(
      `string tensor of shape [${shape}] takes ${elementCount(shape)} strings, got ${values.length}`,
    );
  }
  const raw = allocateRaw(rt, 'string', shape);
  const base = values.length === 0 ? 0 : f.TF_TensorData(raw);
  values.forEach((value, i) => {
    const slot = base + i * dtypeBytes('string');
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    f.TF_StringInit(slot);
    f.TF_StringCopy(slot, bytes, bytes.length);
  });
  const handle = f.TFE_NewTensorHandle(raw, rt.status.handle);
  f.TF_DeleteTensor(raw);
  rt.status.check(
    ({ message }) => new OpError(`a string tensor of shape [${shape}] could not be made: ${message}`),
  );
  return new Tensor(handle, 'string');
}

/** The bytes of each string in `tensor`. */
export function stringData(tensor: Tensor): Uint8Array[] {
  const { functions: f } = runtime();
  return withResolved(tensor, (raw) => {
    const count = elementCount(tensor.shape);
    const base = count === 0 ? 0 : f.TF_TensorData(raw);
    return Array.from({ length: count }, (_, i) => {
      const slot = base + i * dtypeBytes('string');
      const size = f.TF_StringGetSize(slot);
      return size === 0
        ? new Uint8Array(0)
        : new Uint8Array(koffi.view(f.TF_StringGetDataPointer(slot), size)).slice();
    });
  });
}

/** A second handle on the memory of `tensor`: each of the two is disposed on its own, the last one frees the memory. */
export function shareTensor(tensor: Tensor): Tensor {
  const { functions: f, status } = runtime();
  const handle = f.TFE_TensorHandleCopySharingTensor(tensor.handle, status.handle);
  status.check(({ message }) => new OpError(`a tensor could not be shared: ${message}`));
  return new Tensor(handle, tensor.dtype);
}

/** `tensor` on the device called `name`: a copy, or a second handle on the same memory when it is there already. */
export function copyToDevice(tensor: Tensor, name: string): Tensor {
  const { functions: f, status, context } = runtime();
  const handle = f.TFE_TensorHandleCopyToDevice(tensor.handle, context, name, status.handle);
  status.check(({ message }) => new OpError(`a tensor could not be copied to ${name}: ${message}`));
  return new Tensor(handle, tensor.dtype);
}

/** bfloat16 bit patterns as float32 numbers. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = (bits[i] as number) << 16;
  return new Float32Array(wide.buffer);
}

/** float32 numbers as bfloat16 bit patterns, rounded to nearest, ties to even. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const w = wide[i] as number;
    const isNan = (w & 0x7fffffff) > 0x7f800000;
    bits[i] = isNan ? (w >>> 16) | 0x40 : (w + 0x7fff + ((w >>> 16) & 1)) >>> 16;
  }
  return bits;
}

function tensorsIn(value: unknown, found = new Set<Tensor>()): Set<Tensor> {
  if (value instanceof Tensor) found.add(value);
  else if (Array.isArray(value)) for (const item of value) tensorsIn(item, found);
  else if (value instanceof Map) for (const item of value.values()) tensorsIn(item, found);
  else if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) tensorsIn(item, found);
  }
  return found;
}

function readShape(handle: number): readonly number[] {
  const { functions: f, status } = runtime();
  const rank = f.TFE_TensorHandleNumDims(handle, status.handle);
  status.check(({ message }) => new OpError(`a tensor's shape is unknown: ${message}`));
  return Array.from({ length: rank }, (_, i) => Number(f.TFE_TensorHandleDim(handle, i, status.handle)));
}

function allocateRaw({ functions: f }: Runtime, dtype: DType, shape: readonly number[]): number {
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0)) {
    throw new ShapeError(`a tensor's sizes are whole numbers from 0 on, got [${shape}]`);
  }
  const bytes = elementCount(shape) * dtypeBytes(dtype);
  const raw = f.TF_AllocateTensor(dtypeCode(dtype), int64s(shape), shape.length, bytes);
  if (raw === 0) throw new OpError(`no memory for a ${dtype} tensor of shape [${shape}] (${bytes} bytes)`);
  return raw;
}

/**
 * A handle on a host tensor, copied once to the device where work happens. int32 stays on the host, where
 * TensorFlow keeps it also on a GPU: its readers are shapes and split sizes.
 */
function placed(rt: Runtime, raw: number, dtype: DType): Tensor {
  const { functions: f, status } = rt;
  const handle = f.TFE_NewTensorHandle(raw, status.handle);
  status.check(({ message }) => new OpError(`a ${dtype} tensor could not be made: ${message}`));
  if (rt.onHost || dtype === 'int32') return new Tensor(handle, dtype);
  const onDevice = f.TFE_TensorHandleCopyToDevice(handle, rt.context, rt.device, status.handle);
  f.TFE_DeleteTensorHandle(handle);
  status.check(
    ({ message }) => new OpError(`a ${dtype} tensor could not be placed on ${rt.device}: ${message}`),
  );
  return new Tensor(onDevice, dtype);
}

function withResolved<Result>(tensor: Tensor, read: (raw: number) => Result): Result {
  const { functions: f, status, onHost } = runtime();
  const raw = onHost ? f.TFE_TensorHandleResolve(tensor.handle, status.handle) : resolvedCopy(tensor);
  status.check(({ message }) => new OpError(`a tensor could not be read: ${message}`));
  try {
    return read(raw);
  } finally {
    f.TF_DeleteTensor(raw);
  }
}

/**
 * TensorFlow keeps the host copy that it makes of a handle on a device and reads that from then on, also when what lies
 * on the device has been changed in place. A copy of our own is made anew each time.
 */
function resolvedCopy({ handle }: Tensor): number {
  const { functions: f, status, context, host } = runtime();
  const copy = f.TFE_TensorHandleCopyToDevice(handle, context, host, status.handle);
  if (copy === 0) return 0;
  const raw = f.TFE_TensorHandleResolve(copy, status.handle);
  f.TFE_DeleteTensorHandle(copy);
  return raw;
}

function readData(tensor: Tensor): TensorData {
  const { functions: f } = runtime();
  const buffer = withResolved(tensor, (raw) => {
    const size = f.TF_TensorByteSize(raw);
    return size === 0 ? new ArrayBuffer(0) : koffi.view(f.TF_TensorData(raw), size).slice(0);
  });
  switch (tensor.dtype) {
    case 'float32':
    case 'complex64':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'bfloat16':
    case 'float16':
    case 'uint16':
      return new Uint16Array(buffer);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer);
    case 'string':
    case 'resource':
      throw new ShapeError(`a ${tensor.dtype} tensor has no numeric elements to read`);
  }
}

function encodeNumbers(dtype: DType, values: readonly number[]): ArrayBufferView {
  switch (dtype) {
    case 'float32':
      return Float32Array.from(values);
    case 'float64':
      return Float64Array.from(values);
    case 'int32':
      return Int32Array.from(values);
    case 'int64':
      return int64s(values);
    case 'bfloat16':
      return float32ToBfloat16(Float32Array.from(values));
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values);
    default:
      throw new ShapeError(`a ${dtype} tensor is made from its bytes, not from numbers`);
  }
}
