import { join } from 'node:path';
import koffi from 'koffi';
import { runtime } from '../../src/runtime/runtime.js';
import type { Tensor } from '../../src/runtime/tensor.js';

let devicePointer: ((handle: number, status: number) => number) | undefined;

/** Where a tensor's elements lie: two tensors of one address share their memory. */
export function addressOf(source: Tensor): number {
  const rt = runtime();
  if (devicePointer === undefined) {
    const extension = process.platform === 'darwin' ? '2.dylib' : 'so.2';
    const library = koffi.load(join(rt.directory, `libtensorflow_cc.${extension}`), { global: true });
    devicePointer = library.func('uintptr_t TFE_TensorHandleDevicePointer(uintptr_t, uintptr_t)');
  }
  const address = devicePointer(source.handle, rt.status.handle);
  rt.status.check(({ message }) => new Error(message));
  return address;
}
