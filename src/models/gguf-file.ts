import { CheckpointError } from '../errors.js';
import { elementCount } from '../runtime/dtypes.js';
import { type OpenFile, openForReading } from './file-reading.js';
import { modelConfigFromGguf, ropeScalingFromFactors } from './gguf-config.js';
import { DEQUANTIZED_TYPES, type Dequantizer, dequantizerOf } from './gguf-dequantize.js';
import { type GgufHeader, type GgufMetadata, type GgufTensor, readGgufHeader } from './gguf-header.js';
import { hfNameOf, ROPE_FACTORS_TENSOR, unpermutedRow } from './gguf-names.js';
import type { ModelConfig } from './model-config.js';
import {
  checkTarget,
  readFloat32,
  type WeightDtype,
  type WeightInfo,
  type WeightSource,
  weightDtypeSize,
  weightInfo,
} from './weight-source.js';

/** Quantized bytes held at once while a tensor is read. */
const SCRATCH_BYTES = 2 ** 20;

const PLAIN_TYPES: Readonly<Record<string, WeightDtype>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

export interface GgufFile {
  config: ModelConfig;
  weights: WeightSource;
  metadata: GgufMetadata;
}

/**
 * Opens a GGUF file as a source of weights with Hugging Face's names, shapes and order of rows (llama.cpp
 * permutes those of query and key projections in "llama" architectures; undone while reading). F32, F16 and
 * BF16 come as they are, quantized types as float32. The header is checked in full first.
 * Throws CheckpointError for damaged files, unsupported architectures, and files that are one part of several.
 */
export function openGguf(path: string): GgufFile {
  const file = openForReading(path);
  try {
    const header = readGgufHeader(file);
    const parts = header.metadata['split.count'];
    if (typeof parts === 'number' && parts > 1) {
      throw new CheckpointError(
        `${path} is one of ${parts} parts of a model; put them together first (llama-gguf-split --merge).`,
      );
    }
    const config = modelConfigFromGguf(header.metadata, header.tensors, { file: path });
    const weights = weightSourceOf(file, header, config);
    if (header.tensors.has(ROPE_FACTORS_TENSOR)) {
      const factors = readFactors(file, header.tensors.get(ROPE_FACTORS_TENSOR)!);
      config.ropeScaling = ropeScalingFromFactors(factors, config, header.metadata);
    }
    return { config, weights, metadata: header.metadata };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** More rotary factors than a head can have: the tensor is something else. */
const MAX_ROPE_FACTORS = 65_536;

function readFactors(file: OpenFile, tensor: GgufTensor): Float32Array {
  const count = elementCount(tensor.shape);
  if (tensor.type.name !== 'F32' || count > MAX_ROPE_FACTORS) {
    throw new CheckpointError(
      `${file.path}: ${tensor.name} is ${tensor.type.name} [${tensor.shape.join(', ')}]; a short list in F32 was expected.`,
    );
  }
  const source = plainSource(file, tensor);
  return readFloat32(source, tensor.name);
}

function plainSource(file: OpenFile, tensor: GgufTensor): WeightSource {
  const info: WeightInfo = {
    name: tensor.name,
    dtype: 'float32',
    shape: tensor.shape,
    byteLength: tensor.byteLength,
  };
  return {
    format: 'gguf',
    tensors: new Map([[tensor.name, info]]),
    read: (_, target) => file.readInto(target, tensor.position, `the tensor ${tensor.name}`),
    close: () => {},
  };
}

interface Place {
  tensor: GgufTensor;
  /** Undefined for the types that are passed on as they are. */
  dequantize: Dequantizer | undefined;
  /** Width of the heads whose rows are to be put back in order; undefined where rows are in order. */
  permutedHeadDim: number | undefined;
}

function weightSourceOf(
  file: OpenFile,
  { metadata, tensors }: GgufHeader,
  config: ModelConfig,
): WeightSource {
  const permutes = metadata['general.architecture'] === 'llama';
  const infos = new Map<string, WeightInfo>();
  const refused = new Map<string, string>();
  const places = new Map<string, Place>();
  for (const tensor of tensors.values()) {
    if (tensor.name === ROPE_FACTORS_TENSOR) continue;
    const name = hfNameOf(tensor.name);
    if (name === undefined) {
      refused.set(tensor.name, 'no supported architecture has such a tensor');
      continue;
    }
    const plain = PLAIN_TYPES[tensor.type.name];
    const dequantize = dequantizerOf(tensor.type.name);
    if (plain === undefined && dequantize === undefined) {
      refused.set(name, `it is stored as ${tensor.type.name}; F32, F16, BF16, ${DEQUANTIZED_TYPES} are read`);
      continue;
    }
    const dtype = plain ?? 'float32';
    const byteLength = elementCount(tensor.shape) * weightDtypeSize(dtype);
    infos.set(name, { name, dtype, shape: tensor.shape, byteLength });
    const isPermuted = permutes && /\.self_attn\.[qk]_proj\.(weight|bias)$/.test(name);
    places.set(name, { tensor, dequantize, permutedHeadDim: isPermuted ? config.headDim : undefined });
  }
  return {
    format: 'gguf',
    tensors: infos,
    refused,
    read(name, target) {
      const info = weightInfo(this, name);
      checkTarget(info, target);
      readTensor(file, places.get(name)!, info, target);
    },
    close: () => file.close(),
  };
}

function readTensor(file: OpenFile, place: Place, info: WeightInfo, target: Uint8Array): void {
  const { tensor, dequantize, permutedHeadDim } = place;
  const what = `the tensor ${tensor.name}`;
  if (dequantize === undefined) {
    file.readInto(target, tensor.position, what);
    if (permutedHeadDim !== undefined) unpermuteInPlace(target, info, permutedHeadDim);
    return;
  }
  // tensor memory is aligned in practice; a caller's odd slice still gets its numbers
  const aligned = target.byteOffset % 4 === 0;
  const values = aligned
    ? new Float32Array(target.buffer, target.byteOffset, target.byteLength / 4)
    : new Float32Array(target.byteLength / 4);
  const columns = info.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : values.length / columns;
  const rowBlocks = columns / tensor.type.blockSize;
  const rowBytes = rowBlocks * tensor.type.blockBytes;
  const chunkRows = Math.max(1, Math.floor(SCRATCH_BYTES / Math.max(1, rowBytes)));
  const scratch = new Uint8Array(Math.min(chunkRows, rows) * rowBytes);
  checkHeads(file, tensor, rows, permutedHeadDim);
  for (let first = 0; first < rows; first += chunkRows) {
    const count = Math.min(chunkRows, rows - first);
    const bytes = scratch.subarray(0, count * rowBytes);
    file.readInto(bytes, tensor.position + first * rowBytes, what);
    if (permutedHeadDim === undefined) {
      dequantize(bytes, 0, values, first * columns, count * rowBlocks);
      continue;
    }
    for (let i = 0; i < count; i++) {
      dequantize(bytes, i * rowBytes, values, unpermutedRow(first + i, permutedHeadDim) * columns, rowBlocks);
    }
  }
  if (!aligned) target.set(new Uint8Array(values.buffer));
}

/** Rows that have no whole number of heads would be put outside the tensor. */
function checkHeads(file: OpenFile, tensor: GgufTensor, rows: number, headDim: number | undefined): void {
  if (headDim !== undefined && rows % headDim !== 0) {
    throw new CheckpointError(
      `${file.path}: ${tensor.name} has ${rows} rows, no multiple of the head width ${headDim}.`,
    );
  }
}

/** Puts the rows of each head in Hugging Face's order, through a copy of one head. */
function unpermuteInPlace(target: Uint8Array, info: WeightInfo, headDim: number): void {
  const rows = info.shape[0] ?? 0;
  if (rows === 0) return;
  if (rows % headDim !== 0) {
    throw new CheckpointError(`${info.name} has ${rows} rows, no multiple of the head width ${headDim}.`);
  }
  const rowBytes = target.byteLength / rows;
  const head = new Uint8Array(headDim * rowBytes);
  for (let first = 0; first < rows; first += headDim) {
    head.set(target.subarray(first * rowBytes, (first + headDim) * rowBytes));
    for (let i = 0; i < headDim; i++) {
      target.set(
        head.subarray(i * rowBytes, (i + 1) * rowBytes),
        (first + unpermutedRow(i, headDim)) * rowBytes,
      );
    }
  }
}
