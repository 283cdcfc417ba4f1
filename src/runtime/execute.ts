/** Running one TensorFlow operation, or one graph function by its name, on tensors. */

import { OpError } from '../errors.js';
import { type Attributes, setEagerAttributes } from './attributes.js';
import { type Runtime, runtime } from './runtime.js';
import { type Failure, Status } from './status.js';
import { Tensor } from './tensor.js';

/** More outputs than any operation here has; Split of one packed batch comes closest. */
const MAX_OUTPUTS = 4096;

const outputHandles = new BigUint64Array(MAX_OUTPUTS);
const outputCount = new Int32Array(1);

/**
 * Runs operation `name` and waits for it.
 *
 * @param outputs How many outputs to expect (at most 4,096).
 * @param device Name of the device to run on. Default: the runtime's.
 * @returns The outputs, owned by the caller or the scope around the call.
 * @throws OpError naming the operation, its inputs' dtypes and shapes, and TensorFlow's message.
 */
export function execute(
  name: string,
  inputs: readonly Tensor[],
  attributes: Attributes = {},
  outputs = 1,
  device?: string,
): Tensor[] {
  const rt = runtime();
  const { functions: f, status } = rt;
  const op = newOp(rt, status, name, inputs, attributes, device);
  try {
    outputCount[0] = outputs;
    f.TFE_Execute(op, outputHandles, outputCount, status.handle);
    status.check((failure) => opError(name, inputs, failure));
    return wrap(outputHandles, outputCount[0] as number);
  } finally {
    f.TFE_DeleteOp(op);
  }
}

/**
 * {@link execute} on another thread: the event loop stays free meanwhile. The inputs must not be disposed before
 * the promise settles.
 */
export async function executeAsync(
  name: string,
  inputs: readonly Tensor[],
  attributes: Attributes = {},
  outputs = 1,
  device?: string,
): Promise<Tensor[]> {
  const rt = runtime();
  const { functions: f } = rt;
  const status = new Status(f);
  let op: number | undefined;
  try {
    op = newOp(rt, status, name, inputs, attributes, device);
    const handles = new BigUint64Array(outputs);
    const count = Int32Array.of(outputs);
    await new Promise<void>((resolve, reject) => {
      f.TFE_Execute.async(op as number, handles, count, status.handle, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    status.check((failure) => opError(name, inputs, failure));
    return wrap(handles, count[0] as number);
  } finally {
    if (op !== undefined) f.TFE_DeleteOp(op);
    status.dispose();
  }
}

function newOp(
  rt: Runtime,
  status: Status,
  name: string,
  inputs: readonly Tensor[],
  attributes: Attributes,
  device: string | undefined,
): number {
  const { functions: f } = rt;
  const op = f.TFE_NewOp(rt.context, name, status.handle);
  const check = () => status.check((failure) => opError(name, inputs, failure));
  check();
  try {
    if (device !== undefined || !rt.onHost) {
      f.TFE_OpSetDevice(op, device ?? defaultDevice(rt, inputs), status.handle);
      check();
    }
    for (const input of inputs) {
      f.TFE_OpAddInput(op, input.handle, status.handle);
      check();
    }
    setEagerAttributes(f, op, attributes, status.handle);
    check();
    return op;
  } catch (error) {
    f.TFE_DeleteOp(op);
    throw error;
  }
}

/** No GPU reads strings. */
function defaultDevice(rt: Runtime, inputs: readonly Tensor[]): string {
  return inputs.some(({ dtype }) => dtype === 'string') ? rt.host : rt.device;
}

function wrap(handles: BigUint64Array, count: number): Tensor[] {
  return Array.from({ length: count }, (_, i) => new Tensor(Number(handles[i])));
}

function opError(name: string, inputs: readonly Tensor[], { code, message }: Failure): OpError {
  const described = inputs.map((input) => (input.disposed ? 'disposed' : `${input.dtype}[${input.shape}]`));
  return new OpError(`${name}(${described.join(', ')}) failed: ${message}`, {
    details: { op: name, inputs: described, code },
  });
}
