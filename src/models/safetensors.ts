import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { type OpenFile, openForReading } from './file-reading.js';
import { readJsonFile } from './json-file.js';
import { readSafetensorsHeader, type SafetensorsEntry } from './safetensors-header.js';
import type { WeightDtype, WeightInfo, WeightSource } from './weight-source.js';
import { checkTarget, weightInfo } from './weight-source.js';

export const SINGLE_WEIGHTS_FILE = 'model.safetensors';
export const WEIGHTS_INDEX_FILE = 'model.safetensors.index.json';

/** An index names each tensor once: more than this is no index of a language model. */
const MAX_INDEX_BYTES = 100_000_000;
/** Each shard is an open file; the largest published models have a few hundred. */
const MAX_SHARDS = 1000;

const READABLE_DTYPES: Readonly<Record<string, WeightDtype>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

export interface OpenSafetensorsOptions {
  /** Whether tensors of bytes (U8) are read too, as quantized states in checkpoints are. Default false. */
  bytes?: boolean;
}

/** Opens one safetensors file; its header is checked in full (see readSafetensorsHeader). */
export function openSafetensorsFile(
  path: string,
  { bytes = false }: OpenSafetensorsOptions = {},
): WeightSource & { metadata: Record<string, string> } {
  const { source, metadata } = openFiles(
    [path],
    bytes ? { ...READABLE_DTYPES, U8: 'uint8' } : READABLE_DTYPES,
  );
  return { ...source, metadata: metadata[0] ?? {} };
}

/**
 * Opens the weights of a Hugging Face folder: `model.safetensors`, or the shards that
 * `model.safetensors.index.json` names. Every shard's header is checked here, and the index against them.
 */
export function openSafetensorsFolder(folder: string): WeightSource {
  const single = join(folder, SINGLE_WEIGHTS_FILE);
  if (existsSync(single)) return openFiles([single]).source;
  const indexPath = join(folder, WEIGHTS_INDEX_FILE);
  if (!existsSync(indexPath)) {
    throw new CheckpointError(
      `${folder} holds neither ${SINGLE_WEIGHTS_FILE} nor ${WEIGHTS_INDEX_FILE}: only safetensors weights are read (pytorch_model.bin is not).`,
      { details: { folder } },
    );
  }
  const weightMap = readWeightMap(indexPath);
  const shards = [...new Set(weightMap.values())].sort();
  const { source, shardOf } = openFiles(shards.map((shard) => join(folder, shard)));
  try {
    checkIndex(indexPath, weightMap, shardOf);
  } catch (error) {
    source.close();
    throw error;
  }
  return source;
}

/** The index's `weight_map`, tensor name -> shard file, checked: plain file names of this folder. */
export function readWeightMap(indexPath: string): Map<string, string> {
  const index = readJsonFile(indexPath, { maxBytes: MAX_INDEX_BYTES });
  const map = index.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new CheckpointError(`${indexPath} has no "weight_map" object.`);
  }
  const entries = Object.entries(map as Record<string, unknown>);
  for (const [name, file] of entries) {
    if (typeof file !== 'string' || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw new CheckpointError(
        `${indexPath} places ${name} in ${JSON.stringify(file)}; a .safetensors file of the same folder was expected.`,
      );
    }
  }
  const weightMap = new Map(entries as [string, string][]);
  const shardCount = new Set(weightMap.values()).size;
  if (shardCount === 0 || shardCount > MAX_SHARDS) {
    throw new CheckpointError(`${indexPath} names ${shardCount} shards; 1 to ${MAX_SHARDS} were expected.`);
  }
  return weightMap;
}

function checkIndex(
  indexPath: string,
  weightMap: ReadonlyMap<string, string>,
  shardOf: ReadonlyMap<string, string>,
): void {
  for (const [name, shard] of weightMap) {
    const found = shardOf.get(name);
    if (found !== shard) {
      throw new CheckpointError(
        `${indexPath} places ${name} in ${shard}, but it is ${found === undefined ? 'in none of the shards' : `in ${found}`}.`,
      );
    }
  }
  for (const [name, shard] of shardOf) {
    if (!weightMap.has(name))
      throw new CheckpointError(`${shard} holds ${name}, which ${indexPath} does not name.`);
  }
}

interface OpenedFiles {
  source: WeightSource;
  /** Tensor name -> the name of the file it is in. */
  shardOf: Map<string, string>;
  metadata: Record<string, string>[];
}

function openFiles(
  paths: readonly string[],
  readable: Readonly<Record<string, WeightDtype>> = READABLE_DTYPES,
): OpenedFiles {
  const files: OpenFile[] = [];
  const close = () => {
    for (const file of files) file.close();
  };
  const places = new Map<string, { file: OpenFile; entry: SafetensorsEntry }>();
  const metadata: Record<string, string>[] = [];
  try {
    for (const path of paths) {
      const file = openForReading(path);
      files.push(file);
      const header = readSafetensorsHeader(file);
      metadata.push(header.metadata);
      for (const entry of header.entries.values()) {
        const other = places.get(entry.name);
        if (other !== undefined) {
          throw new CheckpointError(
            `The tensor ${entry.name} is in two files: ${other.file.path} and ${path}.`,
          );
        }
        places.set(entry.name, { file, entry });
      }
    }
  } catch (error) {
    close();
    throw error;
  }

  const tensors = new Map<string, WeightInfo>();
  const refused = new Map<string, string>();
  for (const { entry } of places.values()) {
    const dtype = readable[entry.dtype];
    if (dtype === undefined)
      refused.set(entry.name, `it is stored as ${entry.dtype}; F32, F16 and BF16 are read`);
    else
      tensors.set(entry.name, {
        name: entry.name,
        dtype,
        shape: entry.shape,
        byteLength: entry.byteLength,
      });
  }
  const source: WeightSource = {
    format: 'safetensors',
    tensors,
    refused,
    read(name, target) {
      const info = weightInfo(source, name);
      checkTarget(info, target);
      const { file, entry } = places.get(name)!;
      file.readInto(target, entry.position, `the tensor ${name}`);
    },
    close,
  };
  const shardOf = new Map([...places].map(([name, { file }]) => [name, basename(file.path)]));
  return { source, shardOf, metadata };
}
