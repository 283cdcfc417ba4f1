/** Operations on whole tensors that several places need outside a graph. */

import { attr } from './attributes.js';
import type { DType } from './dtypes.js';
import { execute } from './execute.js';
import { type Tensor, tensor } from './tensor.js';

/** Tensors of one dtype, one below the other along axis 0; one alone is returned as it is. */
export function concatRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts as [Tensor, ...Tensor[]];
  if (parts.length === 1) return first;
  return execute('ConcatV2', [...parts, tensor('int32', [], [0])], {
    N: attr.int(parts.length),
    T: attr.type(first.dtype),
    Tidx: attr.type('int32'),
  })[0] as Tensor;
}

/** A tensor of zeros. */
export function zeros(dtype: DType, shape: readonly number[]): Tensor {
  return filled(dtype, shape, 0);
}

/** A tensor of one number throughout. */
export function filled(dtype: DType, shape: readonly number[], value: number): Tensor {
  return execute('Fill', [tensor('int32', [shape.length], shape), tensor(dtype, [], [value])], {
    T: attr.type(dtype),
    index_type: attr.type('int32'),
  })[0] as Tensor;
}

/** `x` in `dtype`, as a tensor of its own: a copy, or the same memory where it has that dtype already. */
export function castTensor(x: Tensor, dtype: DType): Tensor {
  const attributes = { SrcT: attr.type(x.dtype), DstT: attr.type(dtype) };
  const [cast] =
    x.dtype === dtype ? execute('Identity', [x], { T: attr.type(dtype) }) : execute('Cast', [x], attributes);
  return cast as Tensor;
}

/** A matrix with rows and columns exchanged. */
export function transposed(matrix: Tensor): Tensor {
  return execute('Transpose', [matrix, tensor('int32', [2], [1, 0])], {
    T: attr.type(matrix.dtype),
    Tperm: attr.type('int32'),
  })[0] as Tensor;
}
