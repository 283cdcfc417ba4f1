import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { elementCount } from '../runtime/dtypes.js';
import { type PendingFile, writeFileAtomically, writePending } from './atomic-file.js';
import { SINGLE_WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from './safetensors.js';
import { type WeightDtype, weightDtypeSize } from './weight-source.js';

/** A tensor to be written. Its bytes are asked for when its turn comes, so that one tensor is in memory at a time. */
export interface TensorToWrite {
  name: string;
  dtype: WeightDtype;
  shape: readonly number[];
  /** The raw little-endian bytes, in one piece or several. */
  bytes: () => Uint8Array | Iterable<Uint8Array>;
}

/** Where transformers splits by default, in bytes (its "5GB"). */
export const DEFAULT_MAX_SHARD_BYTES = 5_000_000_000;

const DTYPE_NAMES: Readonly<Record<WeightDtype, string>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  uint8: 'U8',
};
/** The header is padded with spaces so that the tensors' bytes start at a multiple of this. */
const DATA_ALIGNMENT = 8;

/**
 * Writes one safetensors file: header, then each tensor's bytes as its callback gives them. Written beside
 * and renamed, so that a reader sees the old file or the whole new one. `metadata` defaults to
 * `{ format: 'pt' }`, without which transformers refuses a file.
 * Throws CheckpointError when the disk is full, the folder can't be written, or a callback gives another
 * number of bytes than its shape and dtype need.
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  { metadata = { format: 'pt' } }: { metadata?: Record<string, string> } = {},
): void {
  pendingSafetensors(path, tensors, metadata).commit();
}

export interface WriteSafetensorsFolderOptions {
  /** Largest shard in bytes; one larger tensor gets a shard of its own. Default: 5 GB, as in transformers. */
  maxShardBytes?: number;
}

/**
 * Writes a model's weights as Hugging Face does: `model.safetensors` where they fit in one shard, else
 * `model-00001-of-00003.safetensors`, ... and `model.safetensors.index.json`. All shards are written in
 * full before the first takes its place; weights of an earlier save are removed after the new ones are in place.
 */
export function writeSafetensorsFolder(
  folder: string,
  tensors: readonly TensorToWrite[],
  { maxShardBytes = DEFAULT_MAX_SHARD_BYTES }: WriteSafetensorsFolderOptions = {},
): void {
  const shards = splitIntoShards(tensors, maxShardBytes);
  const names = shards.map((_, i) =>
    shards.length === 1
      ? SINGLE_WEIGHTS_FILE
      : `model-${ordinal(i + 1)}-of-${ordinal(shards.length)}.safetensors`,
  );
  const pending: PendingFile[] = [];
  try {
    shards.forEach((shard, i) => {
      pending.push(pendingSafetensors(join(folder, names[i]!), shard, { format: 'pt' }));
    });
  } catch (error) {
    for (const file of pending) file.discard();
    throw error;
  }
  for (const file of pending) file.commit();
  if (shards.length > 1) writeFileAtomically(join(folder, WEIGHTS_INDEX_FILE), indexJson(shards, names));
  removeOldWeights(folder, new Set(shards.length > 1 ? [...names, WEIGHTS_INDEX_FILE] : names));
}

function ordinal(n: number): string {
  return String(n).padStart(5, '0');
}

function byteLengthOf({ dtype, shape }: TensorToWrite): number {
  return elementCount(shape) * weightDtypeSize(dtype);
}

function splitIntoShards(tensors: readonly TensorToWrite[], maxShardBytes: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const bytes = byteLengthOf(tensor);
    if (filled > 0 && filled + bytes > maxShardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(tensor);
    filled += bytes;
  }
  return shards;
}

function indexJson(shards: readonly TensorToWrite[][], names: readonly string[]): string {
  const places = shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]!] as const));
  places.sort(([a], [b]) => (a < b ? -1 : 1));
  const all = shards.flat();
  const index = {
    metadata: {
      total_parameters: all.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      total_size: all.reduce((sum, tensor) => sum + byteLengthOf(tensor), 0),
    },
    weight_map: Object.fromEntries(places),
  };
  return `${JSON.stringify(index, null, 2)}\n`;
}

/** Weights of an earlier save would be loaded instead of the new ones, or beside them. */
function removeOldWeights(folder: string, keep: ReadonlySet<string>): void {
  for (const name of readdirSync(folder)) {
    const isWeights = /^model(-\d{5}-of-\d{5})?\.safetensors$/.test(name) || name === WEIGHTS_INDEX_FILE;
    if (isWeights && !keep.has(name)) rmSync(join(folder, name));
  }
}

function pendingSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Record<string, string>,
): PendingFile {
  // larger elements first, so that every tensor lies at a multiple of its element size
  const inOrder = [...tensors].sort(
    (a, b) => weightDtypeSize(b.dtype) - weightDtypeSize(a.dtype) || (a.name < b.name ? -1 : 1),
  );
  const header = headerBytes(path, inOrder, metadata);
  return writePending(path, (sink) => {
    sink(header);
    for (const tensor of inOrder) {
      const content = tensor.bytes();
      let written = 0;
      for (const piece of content instanceof Uint8Array ? [content] : content) {
        written += piece.byteLength;
        sink(piece);
      }
      if (written !== byteLengthOf(tensor)) {
        throw new CheckpointError(
          `${path}: ${tensor.name} as ${tensor.dtype} [${tensor.shape.join(', ')}] takes ${byteLengthOf(tensor)} bytes; ${written} were given.`,
        );
      }
    }
  });
}

function headerBytes(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Record<string, string>,
): Uint8Array {
  const entries = new Map<string, unknown>([['__metadata__', metadata]]);
  let position = 0;
  for (const tensor of tensors) {
    if (entries.has(tensor.name)) {
      throw new CheckpointError(`${path}: the tensor name ${JSON.stringify(tensor.name)} is taken twice.`);
    }
    const end = position + byteLengthOf(tensor);
    const { shape } = tensor;
    entries.set(tensor.name, { dtype: DTYPE_NAMES[tensor.dtype], shape, data_offsets: [position, end] });
    position = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(json.byteLength / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}
