/**
 * The functions of TensorFlow's C API that this package calls, as data: name, result, parameters. The headers
 * they come from: tensorflow/c/c_api.h, tf_tensor.h, tf_tstring.h, eager/c_api.h. Opaque pointers are JavaScript
 * numbers (user-space addresses fit 53 bits), which koffi passes without allocating.
 */

/** C types by the names used below, and what each is on the JavaScript side. */
interface CTypes {
  void: undefined;
  handle: number;
  int: number;
  float: number;
  bool: number;
  size: number;
  int64: bigint | number;
  string: string;
  output: OutputStruct;
  outputs: readonly OutputStruct[] | null;
  handles: BigUint64Array | null;
  ints: Int32Array;
  int64s: BigInt64Array;
  floats: Float32Array;
  bytes: Uint8Array;
}

/** `TF_Output`: one output of a graph's operation. */
export interface OutputStruct {
  oper: number;
  index: number;
}

export const cNames: Record<keyof CTypes, string> = {
  void: 'void',
  handle: 'uintptr_t',
  int: 'int',
  float: 'float',
  bool: 'uint8_t',
  size: 'size_t',
  int64: 'int64_t',
  string: 'const char*',
  output: 'TF_Output',
  outputs: 'const TF_Output*',
  handles: 'uint64_t*',
  ints: 'int*',
  int64s: 'int64_t*',
  floats: 'float*',
  bytes: 'const uint8_t*',
};

const signature = <R extends keyof CTypes, P extends (keyof CTypes)[]>(result: R, ...parameters: P) => ({
  result,
  parameters,
});

export const signatures = {
  TF_Version: signature('string'),
  TF_NewStatus: signature('handle'),
  TF_DeleteStatus: signature('void', 'handle'),
  TF_GetCode: signature('int', 'handle'),
  TF_Message: signature('string', 'handle'),

  TF_AllocateTensor: signature('handle', 'int', 'int64s', 'int', 'size'),
  TF_DeleteTensor: signature('void', 'handle'),
  TF_TensorData: signature('handle', 'handle'),
  TF_TensorByteSize: signature('size', 'handle'),
  TF_StringInit: signature('void', 'handle'),
  TF_StringCopy: signature('void', 'handle', 'bytes', 'size'),
  TF_StringGetDataPointer: signature('handle', 'handle'),
  TF_StringGetSize: signature('size', 'handle'),

  TFE_NewContextOptions: signature('handle'),
  TFE_DeleteContextOptions: signature('void', 'handle'),
  TFE_ContextOptionsSetConfig: signature('void', 'handle', 'bytes', 'size', 'handle'),
  TFE_NewContext: signature('handle', 'handle', 'handle'),
  TFE_ContextListDevices: signature('handle', 'handle', 'handle'),
  TF_DeleteDeviceList: signature('void', 'handle'),
  TF_DeviceListCount: signature('int', 'handle'),
  TF_DeviceListName: signature('string', 'handle', 'int', 'handle'),
  TF_DeviceListType: signature('string', 'handle', 'int', 'handle'),
  TF_DeviceListMemoryBytes: signature('int64', 'handle', 'int', 'handle'),

  TFE_NewTensorHandle: signature('handle', 'handle', 'handle'),
  TFE_DeleteTensorHandle: signature('void', 'handle'),
  TFE_TensorHandleCopySharingTensor: signature('handle', 'handle', 'handle'),
  TFE_TensorHandleResolve: signature('handle', 'handle', 'handle'),
  TFE_TensorHandleDataType: signature('int', 'handle'),
  TFE_TensorHandleNumDims: signature('int', 'handle', 'handle'),
  TFE_TensorHandleDim: signature('int64', 'handle', 'int', 'handle'),
  TFE_TensorHandleBackingDeviceName: signature('string', 'handle', 'handle'),
  TFE_TensorHandleCopyToDevice: signature('handle', 'handle', 'handle', 'string', 'handle'),

  TFE_NewOp: signature('handle', 'handle', 'string', 'handle'),
  TFE_DeleteOp: signature('void', 'handle'),
  TFE_OpSetDevice: signature('void', 'handle', 'string', 'handle'),
  TFE_OpAddInput: signature('void', 'handle', 'handle', 'handle'),
  TFE_OpSetAttrType: signature('void', 'handle', 'string', 'int'),
  TFE_OpSetAttrTypeList: signature('void', 'handle', 'string', 'ints', 'int'),
  TFE_OpSetAttrBool: signature('void', 'handle', 'string', 'bool'),
  TFE_OpSetAttrInt: signature('void', 'handle', 'string', 'int64'),
  TFE_OpSetAttrIntList: signature('void', 'handle', 'string', 'int64s', 'int'),
  TFE_OpSetAttrFloat: signature('void', 'handle', 'string', 'float'),
  TFE_OpSetAttrFloatList: signature('void', 'handle', 'string', 'floats', 'int'),
  TFE_OpSetAttrString: signature('void', 'handle', 'string', 'bytes', 'size'),
  TFE_OpSetAttrShape: signature('void', 'handle', 'string', 'int64s', 'int', 'handle'),
  TFE_Execute: signature('void', 'handle', 'handles', 'ints', 'handle'),

  TF_NewGraph: signature('handle'),
  TF_DeleteGraph: signature('void', 'handle'),
  TF_NewOperation: signature('handle', 'handle', 'string', 'string'),
  TF_AddInput: signature('void', 'handle', 'output'),
  TF_AddInputList: signature('void', 'handle', 'outputs', 'int'),
  TF_AddControlInput: signature('void', 'handle', 'handle'),
  TF_SetAttrType: signature('void', 'handle', 'string', 'int'),
  TF_SetAttrTypeList: signature('void', 'handle', 'string', 'ints', 'int'),
  TF_SetAttrBool: signature('void', 'handle', 'string', 'bool'),
  TF_SetAttrInt: signature('void', 'handle', 'string', 'int64'),
  TF_SetAttrIntList: signature('void', 'handle', 'string', 'int64s', 'int'),
  TF_SetAttrFloat: signature('void', 'handle', 'string', 'float'),
  TF_SetAttrFloatList: signature('void', 'handle', 'string', 'floats', 'int'),
  TF_SetAttrString: signature('void', 'handle', 'string', 'bytes', 'size'),
  TF_SetAttrShape: signature('void', 'handle', 'string', 'int64s', 'int'),
  TF_SetAttrTensor: signature('void', 'handle', 'string', 'handle', 'handle'),
  TF_FinishOperation: signature('handle', 'handle', 'handle'),
  TF_OperationOutputType: signature('int', 'output'),
  TF_GraphCopyFunction: signature('void', 'handle', 'handle', 'handle', 'handle'),
  TF_GraphToFunction: signature(
    'handle',
    'handle',
    'string',
    'bool',
    'int',
    'handles',
    'int',
    'outputs',
    'int',
    'outputs',
    'handles',
    'handle',
    'string',
    'handle',
  ),
  TFE_ContextAddFunction: signature('void', 'handle', 'handle', 'handle'),
};

type Signatures = typeof signatures;

type Arguments<P extends readonly (keyof CTypes)[]> = {
  [I in keyof P]: CTypes[P[I]] | (P[I] extends 'string' ? null : never);
};

/** A C function, and the same call made on a worker thread with a Node-style callback. */
export type CFunction<S extends { result: keyof CTypes; parameters: readonly (keyof CTypes)[] }> = {
  (...args: Arguments<S['parameters']>): CTypes[S['result']];
  async(
    ...args: [...Arguments<S['parameters']>, (error: Error | null, result: CTypes[S['result']]) => void]
  ): void;
};

export type TensorflowFunctions = { readonly [K in keyof Signatures]: CFunction<Signatures[K]> };
