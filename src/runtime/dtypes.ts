/** The element types this package uses, with TensorFlow's number and size for each (tensorflow/c/tf_datatype.h). */

import { ShapeError } from '../errors.js';

const table = {
  float32: { code: 1, bytes: 4 },
  float64: { code: 2, bytes: 8 },
  int32: { code: 3, bytes: 4 },
  uint8: { code: 4, bytes: 1 },
  string: { code: 7, bytes: 24 },
  complex64: { code: 8, bytes: 8 },
  int64: { code: 9, bytes: 8 },
  bool: { code: 10, bytes: 1 },
  bfloat16: { code: 14, bytes: 2 },
  uint16: { code: 17, bytes: 2 },
  float16: { code: 19, bytes: 2 },
  resource: { code: 20, bytes: 0 },
} as const;

export type DType = keyof typeof table;

const byCode = new Map<number, DType>(Object.entries(table).map(([name, { code }]) => [code, name as DType]));

/** TensorFlow's number for `dtype`. */
export function dtypeCode(dtype: DType): number {
  return table[dtype].code;
}

/** Bytes of one element; 24 for a string slot (TF_TString), 0 for a resource handle. */
export function dtypeBytes(dtype: DType): number {
  return table[dtype].bytes;
}

/** The dtype with TensorFlow's number `code`. Throws ShapeError for one this package has no use for. */
export function dtypeFromCode(code: number): DType {
  const dtype = byCode.get(code);
  if (dtype === undefined)
    throw new ShapeError(`TensorFlow data type ${code} is not one this package handles`);
  return dtype;
}

/** Number of elements of a tensor of `shape` (1 for a scalar). */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}
