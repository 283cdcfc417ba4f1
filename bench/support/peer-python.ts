/** Where the Python is that has the packages of bench/peers. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** `--python`, or the environment that `npm run bench:peers` makes. Throws where there is neither. */
export function peerPython(given?: string): string {
  const path = given ?? fileURLToPath(new URL('../peers/.venv/bin/python', import.meta.url));
  if (!existsSync(path)) {
    throw new Error(
      given === undefined
        ? 'the Python environment of the comparisons is missing: run `npm run bench:peers`, give another with --python, or leave the peer out with --no-peer'
        : `there is no ${given}`,
    );
  }
  return path;
}

export function peerScript(name: string): string {
  return fileURLToPath(new URL(`../peers/${name}`, import.meta.url));
}
