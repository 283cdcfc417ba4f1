/** Where rewards are kept: a file, or memory. Only hashes and numbers: no word that anybody said is in it. */

import { openLmdbFile } from '../data/lmdb-file.js';

/** Rewards by the hash of what determines them. */
export interface RewardStore {
  /** Undefined where there is none, or what is there is damaged. */
  get(key: Uint8Array): number | undefined;
  /** When it resolves, the rewards outlive the process. */
  put(entries: readonly (readonly [key: Uint8Array, reward: number])[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * The rewards in the file at `path` (LMDB), made with its folder where it is missing. A file that is damaged is put aside
 * (`.damaged`) and a new one begun.
 *
 * @throws DataError when the file cannot be used
 */
export function openRewardStore(path: string): RewardStore {
  const file = openLmdbFile(path, { name: 'the cache of rewards', loss: 'what is missing is scored again' });
  return {
    get: (key) => decode(file.get(key)),
    put: (entries) => file.put(entries.map(([key, reward]) => [key, encode(reward)])),
    close: () => file.close(),
  };
}

/** A store that lives as long as the process. */
export function memoryRewardStore(): RewardStore {
  const rewards = new Map<string, number>();
  const name = (key: Uint8Array) => Buffer.from(key).toString('hex');
  return {
    get: (key) => rewards.get(name(key)),
    async put(entries) {
      for (const [key, reward] of entries) rewards.set(name(key), reward);
    },
    async close() {},
  };
}

function encode(reward: number): Uint8Array {
  return new Uint8Array(Float64Array.of(reward).buffer);
}

function decode(bytes: Uint8Array | undefined): number | undefined {
  if (bytes?.length !== Float64Array.BYTES_PER_ELEMENT) return undefined;
  return new Float64Array(bytes.slice().buffer)[0];
}
