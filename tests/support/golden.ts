/** The reference values made by PyTorch, Transformers, TRL and PEFT, where the folder with them is at hand. */

import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

const folder = process.env.PERSONA_DPO_REFERENCE_DIR;
const golden = folder === undefined ? undefined : join(folder, 'reference', 'golden');

/** For `describe.skipIf`: whether the reference folder is missing. */
export const withoutGolden = golden === undefined || !existsSync(golden);

/** What the titles of tests that need the folder say. */
export const GOLDEN_NOTE = 'skipped without PERSONA_DPO_REFERENCE_DIR';

/** Path of a file or folder among the reference values. */
export function goldenPath(name: string): string {
  return isAbsolute(name) ? name : join(golden ?? '', name);
}

export function goldenJson<T>(name: string): T {
  return JSON.parse(readFileSync(goldenPath(name), 'utf8')) as T;
}

/**
 * Token ids as TRL saw them. The reference fed TRL text in which id n is the word "tn", and its tokenizer, for which
 * "t1" (padding) and "t2" (end) are special tokens, split those off the front of longer words: id 17 became "t1" and
 * the unknown "7", that is ids 1 and 0. This holds for all that went through TRL's tokenizer (losses, gradients,
 * trajectories), and not for logits, greedy tokens and token_logps, which were computed from the ids themselves.
 */
export function idsAsTrlSawThem(ids: readonly number[]): number[] {
  return ids.flatMap((id) => {
    const [first] = String(id);
    return id > 9 && (first === '1' || first === '2') ? [Number(first), 0] : [id];
  });
}

/** A tensor of a golden safetensors file: float32 or int32. */
export interface GoldenTensor {
  shape: number[];
  data: Float32Array | Int32Array;
}

/** All tensors of a golden safetensors file. Written apart from the package's own reader, which is under test. */
export function goldenTensors(name: string): Record<string, GoldenTensor> {
  const bytes = readFileSync(goldenPath(name));
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const entries = Object.entries(header).filter(([key]) => key !== '__metadata__');
  return Object.fromEntries(
    entries.map(
      ([
        key,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        const copy = Uint8Array.from(bytes.subarray(start + begin, start + end)).buffer;
        return [key, { shape, data: dtype === 'I32' ? new Int32Array(copy) : new Float32Array(copy) }];
      },
    ),
  );
}
