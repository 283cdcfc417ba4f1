/** Attributes of TensorFlow operations, and setting them on an eager op or on a node of a graph. */

import { type DType, dtypeCode } from './dtypes.js';
import type { TensorflowFunctions } from './tensorflow-functions.js';

export type Attribute =
  | { kind: 'type'; value: DType }
  | { kind: 'types'; value: readonly DType[] }
  | { kind: 'bool'; value: boolean }
  | { kind: 'int'; value: number }
  | { kind: 'ints'; value: readonly number[] }
  | { kind: 'float'; value: number }
  | { kind: 'floats'; value: readonly number[] }
  | { kind: 'string'; value: string }
  | { kind: 'shape'; value: readonly number[] };

export type Attributes = Readonly<Record<string, Attribute>>;

/** Short makers: `attr.type('float32')`, `attr.int(2)`. */
export const attr = {
  type: (value: DType): Attribute => ({ kind: 'type', value }),
  types: (value: readonly DType[]): Attribute => ({ kind: 'types', value }),
  bool: (value: boolean): Attribute => ({ kind: 'bool', value }),
  int: (value: number): Attribute => ({ kind: 'int', value }),
  ints: (value: readonly number[]): Attribute => ({ kind: 'ints', value }),
  float: (value: number): Attribute => ({ kind: 'float', value }),
  floats: (value: readonly number[]): Attribute => ({ kind: 'floats', value }),
  string: (value: string): Attribute => ({ kind: 'string', value }),
  shape: (value: readonly number[]): Attribute => ({ kind: 'shape', value }),
};

export const int64s = (values: readonly number[]): BigInt64Array =>
  BigInt64Array.from(values, (v) => BigInt(Math.trunc(v)));

const encoder = new TextEncoder();

/** Sets attributes on an eager op; `status` takes the one setter that can fail. */
export function setEagerAttributes(
  f: TensorflowFunctions,
  op: number,
  attributes: Attributes,
  status: number,
): void {
  for (const name in attributes) {
    const attribute = attributes[name] as Attribute;
    switch (attribute.kind) {
      case 'type':
        f.TFE_OpSetAttrType(op, name, dtypeCode(attribute.value));
        break;
      case 'types':
        f.TFE_OpSetAttrTypeList(
          op,
          name,
          Int32Array.from(attribute.value, dtypeCode),
          attribute.value.length,
        );
        break;
      case 'bool':
        f.TFE_OpSetAttrBool(op, name, attribute.value ? 1 : 0);
        break;
      case 'int':
        f.TFE_OpSetAttrInt(op, name, Math.trunc(attribute.value));
        break;
      case 'ints':
        f.TFE_OpSetAttrIntList(op, name, int64s(attribute.value), attribute.value.length);
        break;
      case 'float':
        f.TFE_OpSetAttrFloat(op, name, attribute.value);
        break;
      case 'floats':
        f.TFE_OpSetAttrFloatList(op, name, Float32Array.from(attribute.value), attribute.value.length);
        break;
      case 'string': {
        const bytes = encoder.encode(attribute.value);
        f.TFE_OpSetAttrString(op, name, bytes, bytes.length);
        break;
      }
      case 'shape':
        f.TFE_OpSetAttrShape(op, name, int64s(attribute.value), attribute.value.length, status);
        break;
    }
  }
}

/** Sets attributes on a graph's operation under construction. */
export function setGraphAttributes(f: TensorflowFunctions, operation: number, attributes: Attributes): void {
  for (const name in attributes) {
    const attribute = attributes[name] as Attribute;
    switch (attribute.kind) {
      case 'type':
        f.TF_SetAttrType(operation, name, dtypeCode(attribute.value));
        break;
      case 'types':
        f.TF_SetAttrTypeList(
          operation,
          name,
          Int32Array.from(attribute.value, dtypeCode),
          attribute.value.length,
        );
        break;
      case 'bool':
        f.TF_SetAttrBool(operation, name, attribute.value ? 1 : 0);
        break;
      case 'int':
        f.TF_SetAttrInt(operation, name, Math.trunc(attribute.value));
        break;
      case 'ints':
        f.TF_SetAttrIntList(operation, name, int64s(attribute.value), attribute.value.length);
        break;
      case 'float':
        f.TF_SetAttrFloat(operation, name, attribute.value);
        break;
      case 'floats':
        f.TF_SetAttrFloatList(operation, name, Float32Array.from(attribute.value), attribute.value.length);
        break;
      case 'string': {
        const bytes = encoder.encode(attribute.value);
        f.TF_SetAttrString(operation, name, bytes, bytes.length);
        break;
      }
      case 'shape':
        f.TF_SetAttrShape(operation, name, int64s(attribute.value), attribute.value.length);
        break;
    }
  }
}
