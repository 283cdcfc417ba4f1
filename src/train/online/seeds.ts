/** Seeds of everything that is drawn in a run: a function of the run's seed and of where it is, so that a resumed run needs no other state. */

import { createHash } from 'node:crypto';

/** An integer from 0 to 2^53 - 1 that differs for each purpose, step and place. */
export function seedOf(
  seed: number,
  purpose: 'samples' | 'shuffle' | 'evaluation',
  ...place: number[]
): number {
  const digest = createHash('sha256')
    .update([purpose, seed, ...place].join(' '))
    .digest();
  return digest.readUIntBE(0, 6) * 2 ** 5 + (digest.readUInt8(6) >> 3);
}
