/** Tensors that cross between this runtime and tfjs without a copy. */

import type { Tensor as TfTensor } from '@tensorflow/tfjs';
import { OpError, ShapeError } from '../../errors.js';
import { attr } from '../attributes.js';
import { type DType, dtypeCode } from '../dtypes.js';
import { execute } from '../execute.js';
import { scope, shareTensor, type Tensor, tensor } from '../tensor.js';
import { tensorflowBackend } from './backend.js';
import { tf } from './tf.js';

const bridged = ['float32', 'int32', 'bool'] as const;
type BridgedDType = (typeof bridged)[number];

/**
 * `source` as a `tf.Tensor` on the 'tensorflow' backend: the same memory, with an owner of its own. tfjs frees it
 * (`dispose()`, `tf.tidy`) independently of `source`.
 *
 * @throws ShapeError for dtypes other than float32, int32 and bool; OpError before `useTensorflowBackend()`.
 */
export function toTf(source: Tensor): TfTensor {
  const { backend, binding } = tensorflowBackend();
  const dtype = bridgedDType(source.dtype);
  const shape = [...source.shape];
  const id = binding.adopt(shareTensor(source));
  const dataId = {};
  backend.tensorMap.set(dataId, { shape, dtype: dtypeCode(dtype), id, values: null, refCount: 1 });
  return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype }, backend);
}

/**
 * `source` as a tensor of this runtime, owned by the caller or the scope around the call: the same memory where
 * `source` lives on the 'tensorflow' backend (elsewhere it is moved there first). `source` stays tfjs' to free.
 *
 * @throws ShapeError for dtypes other than float32, int32 and bool; OpError for a disposed tensor or before
 * `useTensorflowBackend()`.
 */
export function fromTf(source: TfTensor): Tensor {
  const { backend, binding } = tensorflowBackend();
  const dtype = bridgedDType(source.dtype);
  if (source.isDisposed) throw new OpError('this tf.Tensor has been disposed');
  const [id] = backend.getInputTensorIds([source]) as [number];
  return scope(() => conform(shareTensor(binding.tensorOf(id)), dtype, source.shape));
}

function bridgedDType(dtype: string): BridgedDType {
  const found = bridged.find((each) => each === dtype);
  if (found === undefined) {
    throw new ShapeError(`${bridged.join(', ')} tensors can cross between tfjs and TensorFlow, got ${dtype}`);
  }
  return found;
}

/**
 * tfjs gives one buffer several shapes (a reshape on its CPU backend), and calls `int32` what an operation of
 * TensorFlow returned as int64 or uint8.
 */
function conform(shared: Tensor, dtype: DType, shape: readonly number[]): Tensor {
  const typed =
    shared.dtype === dtype
      ? shared
      : (execute('Cast', [shared], { SrcT: attr.type(shared.dtype), DstT: attr.type(dtype) })[0] as Tensor);
  if (typed.shape.length === shape.length && typed.shape.every((size, i) => size === shape[i])) return typed;
  const sizes = tensor('int32', [shape.length], shape);
  return execute('Reshape', [typed, sizes], { T: attr.type(dtype), Tshape: attr.type('int32') })[0] as Tensor;
}
