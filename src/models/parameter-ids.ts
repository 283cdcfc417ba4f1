/** Identifiers of parameters: `embedding`, `layers.3.qkv`, `layers.3.q_proj.A`. */

import { CheckpointError } from '../errors.js';
import type { Tensor } from '../runtime/tensor.js';

/** Where the parameter called `id` is held. Throws CheckpointError where there is no such parameter. */
export function parameterAt(
  id: string,
  layers: readonly Record<string, Tensor>[],
  outside: Record<string, Tensor>,
): { holder: Record<string, Tensor>; name: string } {
  const match = /^layers\.(\d+)\.(.+)$/.exec(id);
  const holder = match === null ? outside : layers[Number(match[1])];
  const name = match === null ? id : (match[2] as string);
  if (holder === undefined || !(name in holder)) throw new CheckpointError(`there is no parameter ${id}`);
  return { holder, name };
}
