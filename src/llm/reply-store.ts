/** Where replies are kept: a file, or memory. */
import { z } from 'zod';
import { type LmdbEntry, openLmdbFile } from '../data/lmdb-file.js';

const countSchema = z.number().int().min(0);
const chatReplySchema = z.object({
  text: z.string(),
  finishReason: z.enum(['stop', 'length', 'filtered']),
  promptTokens: countSchema,
  completionTokens: countSchema,
});
const labelReplySchema = z.object({
  // JSON has no infinities, which are what an impossible label scores.
  logprobs: z.array(z.number().nullable()).transform((values) => values.map((value) => value ?? -Infinity)),
  tokens: z.array(countSchema),
});

/** A reply as it is kept, with the users whose words its requests hold. */
const storedReplySchema = z.object({
  owners: z.array(z.string()),
  reply: z.union([chatReplySchema, labelReplySchema]),
});
export type StoredReply = z.output<typeof storedReplySchema>;

/** Replies by the hash of what determines them. */
export interface ReplyStore {
  /** Undefined where there is none, or what is there is damaged. */
  get(key: Uint8Array): StoredReply | undefined;
  /** When it resolves, the reply outlives the process. */
  put(key: Uint8Array, stored: StoredReply): Promise<void>;
  /**
   * Removes every reply to a request that holds words of this user, from the file's free space too, and says how many
   * there were. No other process may have the file open.
   */
  forgetOwner(owner: string): Promise<number>;
  close(): Promise<void>;
}

/**
 * The replies in the file at `path` (LMDB), made with its folder where it is missing. A file that is damaged is put
 * aside (`.damaged`) and a new one begun; a damaged reply counts as missing.
 *
 * @throws DataError when the file cannot be used
 */
export function openReplyStore(path: string): ReplyStore {
  const file = openLmdbFile(path, {
    name: 'the cache of replies',
    loss: 'what is missing is asked again',
  });
  return {
    get: (key) => decode(file.get(key)),
    put: (key, stored) => file.put([[key, encode(stored)]]),
    async forgetOwner(owner) {
      const keys = keysOf(owner, file.entries());
      if (keys.length > 0) await file.remove(keys, true);
      return keys.length;
    },
    close: () => file.close(),
  };
}

/** A store that lives as long as the process. */
export function memoryReplyStore(): ReplyStore {
  const values = new Map<string, Uint8Array>();
  const name = (key: Uint8Array) => Buffer.from(key).toString('hex');
  return {
    get: (key) => decode(values.get(name(key))),
    async put(key, stored) {
      values.set(name(key), encode(stored));
    },
    async forgetOwner(owner) {
      const entries = [...values].map(([key, value]): LmdbEntry => [Buffer.from(key, 'hex'), value]);
      const keys = keysOf(owner, entries);
      for (const key of keys) values.delete(name(key));
      return keys.length;
    },
    async close() {},
  };
}

function keysOf(owner: string, entries: Iterable<LmdbEntry>): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const [key, value] of entries) {
    // What cannot be read may be this user's, too.
    if (decode(value)?.owners.includes(owner) ?? true) keys.push(key);
  }
  return keys;
}

function encode(stored: StoredReply): Uint8Array {
  return Buffer.from(JSON.stringify(stored));
}

function decode(bytes: Uint8Array | undefined): StoredReply | undefined {
  if (bytes === undefined) return undefined;
  try {
    return storedReplySchema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
  } catch {
    return undefined;
  }
}
