import { CheckpointError } from '../errors.js';
import type { OpenFile } from './file-reading.js';

/** The format's own limit: a reader that takes more can be made to allocate at will. */
export const MAX_SAFETENSORS_HEADER_BYTES = 100_000_000;
const LENGTH_FIELD_BYTES = 8;

/** Bits of one element, for every dtype that the format names. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
};

export interface SafetensorsEntry {
  name: string;
  /** The file's own spelling: `F32`, `BF16`, `I64`, ... */
  dtype: string;
  shape: number[];
  /** Position in the file (not in its data part). */
  position: number;
  byteLength: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  entries: Map<string, SafetensorsEntry>;
}

/**
 * Reads and checks the header of a safetensors file: 8 bytes of length, that many bytes of JSON, then the
 * tensors' bytes. Checked before anything is used: the length against the file and the format's limit,
 * UTF-8, JSON, no name twice, known dtypes, shape times dtype = bytes, and that the tensors fill the rest
 * of the file exactly, without overlap or hole.
 */
export function readSafetensorsHeader(file: OpenFile): SafetensorsHeader {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${file.path} is not a usable safetensors file: ${problem}.`, {
      details: { path: file.path },
    });
  };
  if (file.size < LENGTH_FIELD_BYTES) fail(`it has ${file.size} bytes, the header's length alone takes 8`);
  const lengthField = new Uint8Array(LENGTH_FIELD_BYTES);
  file.readInto(lengthField, 0, "the header's length");
  const declared = new DataView(lengthField.buffer).getBigUint64(0, true);
  if (declared > BigInt(MAX_SAFETENSORS_HEADER_BYTES)) {
    fail(
      `it declares a header of ${declared} bytes, the format allows ${MAX_SAFETENSORS_HEADER_BYTES} (is it another kind of file?)`,
    );
  }
  const headerBytes = Number(declared);
  const dataStart = LENGTH_FIELD_BYTES + headerBytes;
  if (dataStart > file.size) {
    fail(`it declares a header of ${headerBytes} bytes, the whole file has ${file.size} (cut short?)`);
  }
  const raw = new Uint8Array(headerBytes);
  file.readInto(raw, LENGTH_FIELD_BYTES, 'the header');
  if (raw[0] !== 0x7b) fail('its header does not start with "{"');
  let text = '';
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
    parsed = JSON.parse(text);
  } catch (error) {
    fail(`its header is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) fail(`its header names ${JSON.stringify(twice)} twice`);

  const header: SafetensorsHeader = { metadata: {}, entries: new Map() };
  for (const [name, value] of Object.entries(parsed as Record<string, unknown>)) {
    if (name === '__metadata__') header.metadata = checkMetadata(value, fail);
    else header.entries.set(name, checkEntry(name, value, dataStart, fail));
  }
  checkLayout(header.entries, dataStart, file.size, fail);
  return header;
}

type Fail = (problem: string) => never;

function checkMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (!isRecord(value) || Object.values(value).some((item) => typeof item !== 'string')) {
    return fail('its __metadata__ is not an object of strings');
  }
  return value as Record<string, string>;
}

function checkEntry(name: string, value: unknown, dataStart: number, fail: Fail): SafetensorsEntry {
  const label = JSON.stringify(name);
  if (!isRecord(value)) return fail(`the entry of ${label} is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === 'string' && Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype]! : undefined;
  if (bits === undefined)
    return fail(`${label} has the dtype ${JSON.stringify(dtype)}, which the format does not know`);
  if (!Array.isArray(shape) || !shape.every(isCount))
    return fail(`the shape of ${label} is not a list of sizes`);
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isCount) ||
    (offsets[0] as number) > (offsets[1] as number)
  ) {
    return fail(`the data_offsets of ${label} are not two positions in order`);
  }
  const [begin, end] = offsets as [number, number];
  const wantedBits = (shape as number[]).reduce((product, size) => product * size, bits);
  if (!Number.isSafeInteger(wantedBits))
    return fail(`the shape [${shape.join(', ')}] of ${label} is impossibly large`);
  if (wantedBits !== (end - begin) * 8) {
    return fail(
      `${label} has ${end - begin} bytes, its shape [${shape.join(', ')}] in ${dtype} takes ${wantedBits / 8}`,
    );
  }
  return {
    name,
    dtype: dtype as string,
    shape: shape as number[],
    position: dataStart + begin,
    byteLength: end - begin,
  };
}

/** The tensors, in file order, follow one another without hole or overlap up to the end of the file. */
function checkLayout(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  dataStart: number,
  fileSize: number,
  fail: Fail,
): void {
  const inOrder = [...entries.values()].sort(
    (a, b) => a.position - b.position || a.byteLength - b.byteLength,
  );
  let position = dataStart;
  for (const entry of inOrder) {
    if (entry.position !== position) {
      const what = entry.position < position ? 'overlaps the tensor before it' : 'leaves a hole before it';
      fail(
        `${JSON.stringify(entry.name)} ${what} (it starts at byte ${entry.position}, ${position} was due)`,
      );
    }
    position += entry.byteLength;
  }
  if (position > fileSize)
    fail(`its tensors end at byte ${position}, the file has ${fileSize} (cut short, or still downloading?)`);
  if (position < fileSize)
    fail(`its tensors end at byte ${position}, but the file goes on for ${fileSize - position} bytes`);
}

/**
 * The first key that one object of a JSON text holds twice, or undefined. `JSON.parse` keeps the last
 * silently, so that two programs could read two different models from one file. `text` must be valid JSON.
 */
export function findDuplicateKey(text: string): string | undefined {
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '{') open.push(new Set());
    else if (char === '[') open.push(null);
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
      const keys = open.at(-1);
      if (!keys || !isKey(text, i)) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Whether the string that ends at `end` is a key: in valid JSON, only keys are followed by a colon. */
function isKey(text: string, end: number): boolean {
  let next = end + 1;
  while (text[next] === ' ' || text[next] === '\n' || text[next] === '\r' || text[next] === '\t') next++;
  return text[next] === ':';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
