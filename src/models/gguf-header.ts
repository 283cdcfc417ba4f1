/**
 * The header of a GGUF file (llama.cpp's format), read from a file descriptor through a small window and
 * checked before anything is used. Layout: magic, version, counts, metadata, tensor infos, padding, data;
 * source: the format's specification in the ggml repository. Not by @huggingface/gguf: it gives strings
 * cut short where a file ends early, and holds the header to 50 MB.
 */
import { CheckpointError } from '../errors.js';
import type { OpenFile } from './file-reading.js';
import { GGUF_TYPES, type GgufType } from './gguf-types.js';

/** Limits on what a header may declare, well above any published model and well below harm. */
const MAX_METADATA_ENTRIES = 65_536;
const MAX_TENSORS = 65_536;
const MAX_KEY_BYTES = 65_535; // the specification's
const MAX_TENSOR_NAME_BYTES = 1024; // the specification says 64; some converters write more
const MAX_STRING_BYTES = 64 * 2 ** 20; // a whole tokenizer.json is embedded by some converters
const MAX_ARRAY_LENGTH = 2 ** 22; // the largest vocabularies have 2^18 tokens, and twice as many merges
const MAX_ARRAY_DEPTH = 2;
const MAX_HEADER_BYTES = 512 * 2 ** 20;
const MAX_DIMENSIONS = 4; // ggml's
const MAX_ALIGNMENT = 2 ** 20;
const DEFAULT_ALIGNMENT = 32;
const WINDOW_BYTES = 2 ** 20;

export type GgufValue = number | bigint | boolean | string | GgufValue[];

/** Metadata by key (`llama.block_count`, `tokenizer.ggml.tokens`, ...). 64-bit integers beyond 2^53 are bigints. */
export type GgufMetadata = Readonly<Record<string, GgufValue>>;

export interface GgufTensor {
  /** llama.cpp's name: `blk.0.attn_q.weight`. */
  name: string;
  /** In rows first order, as Hugging Face and numpy write it (the file has it the other way round). */
  shape: number[];
  type: GgufType;
  /** Position in the file. */
  position: number;
  byteLength: number;
}

export interface GgufHeader {
  version: number;
  metadata: GgufMetadata;
  tensors: Map<string, GgufTensor>;
}

type Fail = (problem: string) => never;

/** Reads and checks the whole header. Throws CheckpointError naming file and problem. */
export function readGgufHeader(file: OpenFile): GgufHeader {
  const fail: Fail = (problem) => {
    throw new CheckpointError(`${file.path} is not a usable GGUF file: ${problem}.`, {
      details: { path: file.path },
    });
  };
  const input = windowedReader(file, fail);
  if (input.uint32('the magic') !== 0x46554747) fail('it does not start with "GGUF"');
  const version = input.uint32('the version');
  if (version !== 2 && version !== 3) {
    if ((version & 0xffff) === 0) fail('it is big-endian; only little-endian files are read');
    fail(`its version is ${version}; versions 2 and 3 are read`);
  }
  const tensorCount = input.count('the number of tensors', MAX_TENSORS);
  const metadataCount = input.count('the number of metadata entries', MAX_METADATA_ENTRIES);

  const metadata: Record<string, GgufValue> = Object.create(null);
  for (let i = 0; i < metadataCount; i++) {
    const key = input.string('a metadata key', MAX_KEY_BYTES);
    if (key in metadata) fail(`the metadata key ${JSON.stringify(key)} is there twice`);
    metadata[key] = readValue(input, input.uint32(`the type of ${key}`), key, 0, fail);
  }
  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensorInfo(input, fail);
    if (tensors.has(tensor.name)) fail(`the tensor ${JSON.stringify(tensor.name)} is there twice`);
    tensors.set(tensor.name, tensor);
  }
  const alignment = parseAlignment(metadata, fail);
  placeTensors(tensors, Math.ceil(input.position() / alignment) * alignment, alignment, file.size, fail);
  return { version, metadata, tensors };
}

function parseAlignment(metadata: GgufMetadata, fail: Fail): number {
  const alignment = metadata['general.alignment'] ?? DEFAULT_ALIGNMENT;
  const isPowerOfTwo = typeof alignment === 'number' && Number.isInteger(Math.log2(alignment));
  if (!isPowerOfTwo || alignment < 1 || alignment > MAX_ALIGNMENT) {
    return fail(
      `general.alignment is ${String(alignment)}; a power of two up to ${MAX_ALIGNMENT} was expected`,
    );
  }
  return alignment;
}

function readTensorInfo(input: WindowedReader, fail: Fail): GgufTensor {
  const name = input.string('a tensor name', MAX_TENSOR_NAME_BYTES);
  const label = JSON.stringify(name);
  const dimensions = input.uint32(`the number of dimensions of ${label}`);
  if (dimensions > MAX_DIMENSIONS)
    fail(`${label} has ${dimensions} dimensions; at most ${MAX_DIMENSIONS} are possible`);
  const sizes: number[] = [];
  for (let i = 0; i < dimensions; i++)
    sizes.push(input.count(`a dimension of ${label}`, Number.MAX_SAFE_INTEGER));
  const typeId = input.uint32(`the type of ${label}`);
  const type = GGUF_TYPES.get(typeId);
  if (type === undefined) return fail(`${label} has the type ${typeId}, which this version does not know`);
  const offset = input.count(`the offset of ${label}`, Number.MAX_SAFE_INTEGER);
  const elements = sizes.reduce((product, size) => product * size, 1);
  const row = sizes[0] ?? 1;
  if (row % type.blockSize !== 0)
    fail(
      `the rows of ${label} have ${row} elements, no multiple of ${type.name}'s block of ${type.blockSize}`,
    );
  const byteLength = (elements / type.blockSize) * type.blockBytes;
  if (!Number.isSafeInteger(elements) || !Number.isSafeInteger(byteLength)) {
    fail(`the shape [${sizes.join(', ')}] of ${label} is impossibly large`);
  }
  return { name, shape: sizes.reverse(), type, position: offset, byteLength };
}

/** Turns offsets into positions in the file, and checks that each tensor lies in the data part and none on another. */
function placeTensors(
  tensors: ReadonlyMap<string, GgufTensor>,
  dataStart: number,
  alignment: number,
  fileSize: number,
  fail: Fail,
): void {
  const inOrder = [...tensors.values()].sort(
    (a, b) => a.position - b.position || a.byteLength - b.byteLength,
  );
  let end = 0;
  for (const tensor of inOrder) {
    const label = JSON.stringify(tensor.name);
    const { position: offset, byteLength } = tensor;
    if (offset % alignment !== 0)
      fail(`${label} starts at offset ${offset}, no multiple of the alignment ${alignment}`);
    if (offset < end)
      fail(`${label} overlaps the tensor before it (offset ${offset}, ${end} is the first free one)`);
    end = offset + byteLength;
    if (dataStart + end > fileSize) {
      fail(
        `${label} ends at byte ${dataStart + end}, the file has ${fileSize} (cut short, or still downloading?)`,
      );
    }
    tensor.position = dataStart + offset;
  }
}

/** The format's value types by number, and the bytes that each takes at least. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8] as const;
const STRING_TYPE = 8;
const ARRAY_TYPE = 9;

function readValue(input: WindowedReader, type: number, key: string, depth: number, fail: Fail): GgufValue {
  const what = `the value of ${key}`;
  switch (type) {
    case 0:
      return input.view(1, what).getUint8(0);
    case 1:
      return input.view(1, what).getInt8(0);
    case 2:
      return input.view(2, what).getUint16(0, true);
    case 3:
      return input.view(2, what).getInt16(0, true);
    case 4:
      return input.view(4, what).getUint32(0, true);
    case 5:
      return input.view(4, what).getInt32(0, true);
    case 6:
      return input.view(4, what).getFloat32(0, true);
    case 7: {
      const value = input.view(1, what).getUint8(0);
      if (value > 1) fail(`${what} is ${value}, a boolean is 0 or 1`);
      return value === 1;
    }
    case STRING_TYPE:
      return input.string(what, MAX_STRING_BYTES);
    case ARRAY_TYPE:
      return readArray(input, key, depth, fail);
    case 10:
      return narrow(input.view(8, what).getBigUint64(0, true));
    case 11:
      return narrow(input.view(8, what).getBigInt64(0, true));
    case 12:
      return input.view(8, what).getFloat64(0, true);
    default:
      return fail(`${key} has the value type ${type}, which the format does not have`);
  }
}

function readArray(input: WindowedReader, key: string, depth: number, fail: Fail): GgufValue[] {
  if (depth >= MAX_ARRAY_DEPTH) fail(`${key} is an array nested more than ${MAX_ARRAY_DEPTH} deep`);
  const type = input.uint32(`the element type of ${key}`);
  const minimum = VALUE_BYTES[type];
  if (minimum === undefined)
    return fail(`${key} has the element type ${type}, which the format does not have`);
  const length = input.count(`the length of ${key}`, MAX_ARRAY_LENGTH);
  input.require(length * minimum, `the ${length} elements of ${key}`);
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(readValue(input, type, key, depth + 1, fail));
  return values;
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

interface WindowedReader {
  position(): number;
  /** The next `bytes` bytes (at most a few), consumed. */
  view(bytes: number, what: string): DataView;
  uint32(what: string): number;
  /** A 64-bit size that must not exceed `max`. */
  count(what: string, max: number): number;
  string(what: string, maxBytes: number): string;
  /** Fails unless that many bytes are left. */
  require(bytes: number, what: string): void;
}

/** Reads a file front to back through one buffer of WINDOW_BYTES; memory does not follow what the file declares. */
function windowedReader(file: OpenFile, fail: Fail): WindowedReader {
  const buffer = Buffer.alloc(Math.min(WINDOW_BYTES, file.size));
  let bufferStart = 0;
  let bufferEnd = 0; // in the file
  let position = 0;

  const require = (bytes: number, what: string) => {
    if (position + bytes > file.size) {
      fail(
        `${what} would take ${bytes} bytes from byte ${position} on, the file has ${file.size} (cut short?)`,
      );
    }
    if (position + bytes > MAX_HEADER_BYTES) fail(`its header is longer than ${MAX_HEADER_BYTES} bytes`);
  };
  /** Makes the next `bytes` bytes lie in the buffer and consumes them; gives their place in the buffer. */
  const take = (bytes: number, what: string): number => {
    require(bytes, what);
    if (position + bytes > bufferEnd) {
      bufferStart = position;
      bufferEnd = Math.min(file.size, position + buffer.byteLength);
      file.readInto(buffer.subarray(0, bufferEnd - bufferStart), bufferStart, what);
    }
    const place = position - bufferStart;
    position += bytes;
    return place;
  };
  const view = (bytes: number, what: string) =>
    new DataView(buffer.buffer, buffer.byteOffset + take(bytes, what), bytes);
  const count = (what: string, max: number): number => {
    const value = view(8, what).getBigUint64(0, true);
    if (value > BigInt(max)) fail(`${what} is ${value}, more than the ${max} that are taken`);
    return Number(value);
  };
  return {
    position: () => position,
    view,
    require,
    count,
    uint32: (what) => view(4, what).getUint32(0, true),
    string(what, maxBytes) {
      const bytes = count(`the length of ${what}`, maxBytes);
      if (bytes <= buffer.byteLength) {
        const place = take(bytes, what);
        return buffer.toString('utf8', place, place + bytes);
      }
      require(bytes, what);
      const long = Buffer.alloc(bytes);
      file.readInto(long, position, what);
      position += bytes;
      return long.toString('utf8');
    },
  };
}
