/** Memory in use on the first GPU. */

import { spawnSync } from 'node:child_process';

/** Bytes in use by all programs, as the driver counts; null where it cannot be asked. */
export function gpuMemoryUsed(): number | null {
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', '--id=0'];
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8' });
  return status === 0 ? Number(stdout.trim()) * 2 ** 20 : null;
}
