/**
 * What every file of weights looks like to the decoder: named tensors with Hugging Face's names and
 * shapes, read one at a time as raw little-endian bytes. No tensors of any framework here.
 */
import { CheckpointError } from '../errors.js';
import { halfToFloatTable } from './half.js';

/** `uint8` is for quantized states in checkpoints of our own; no model's weights are given in it. */
export type WeightDtype = 'float32' | 'float16' | 'bfloat16' | 'uint8';

export interface WeightInfo {
  name: string;
  dtype: WeightDtype;
  /** `[out, in]` for a linear layer, `[vocabulary, D]` for the embedding, `[D]` for a norm. */
  shape: number[];
  byteLength: number;
}

export interface WeightSource {
  readonly format: 'safetensors' | 'gguf';
  /** Every tensor that `read` can give, by Hugging Face's name (`model.layers.0.self_attn.q_proj.weight`). */
  readonly tensors: ReadonlyMap<string, WeightInfo>;
  /** Tensors that are in the files but can't be given (name -> why), for messages. */
  readonly refused?: ReadonlyMap<string, string>;
  /**
   * Fills `target` with the tensor's raw little-endian bytes in `info.dtype`; `target.byteLength` must be
   * `info.byteLength`. Reads from the file straight into `target`.
   * Throws CheckpointError for a name that isn't there, a dtype that isn't supported or a file cut short.
   */
  read(name: string, target: Uint8Array): void;
  /** Closes the files; `read` throws afterwards. Closing twice is fine. */
  close(): void;
}

export interface ExpectedWeight {
  name: string;
  shape: number[];
}

/** Bytes of one element. */
export function weightDtypeSize(dtype: WeightDtype): number {
  if (dtype === 'uint8') return 1;
  return dtype === 'float32' ? 4 : 2;
}

/** The tensor's info, or a CheckpointError that says why it can't be had. */
export function weightInfo(source: WeightSource, name: string): WeightInfo {
  const info = source.tensors.get(name);
  if (info !== undefined) return info;
  const reason = source.refused?.get(name);
  throw new CheckpointError(
    reason === undefined
      ? `There is no tensor ${name} in this ${source.format} checkpoint (${source.tensors.size} tensors).`
      : `The tensor ${name} cannot be read: ${reason}.`,
    { details: { name } },
  );
}

/** The target of a read must have exactly the tensor's size. */
export function checkTarget(info: WeightInfo, target: Uint8Array): void {
  if (target.byteLength !== info.byteLength) {
    throw new CheckpointError(
      `${info.name} takes ${info.byteLength} bytes as ${info.dtype} [${info.shape.join(', ')}]; the target has ${target.byteLength}.`,
    );
  }
}

/** One tensor as float32, whatever it is stored in. Takes twice the tensor's memory when it is a 16-bit one. */
export function readFloat32(source: WeightSource, name: string): Float32Array {
  const info = weightInfo(source, name);
  if (info.dtype === 'float32') {
    const values = new Float32Array(info.byteLength / 4);
    source.read(name, new Uint8Array(values.buffer));
    return values;
  }
  const halves = new Uint16Array(info.byteLength / 2);
  source.read(name, new Uint8Array(halves.buffer));
  const values = new Float32Array(halves.length);
  if (info.dtype === 'bfloat16') {
    const bits = new Uint32Array(values.buffer);
    for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  } else {
    const table = halfToFloatTable();
    for (let i = 0; i < halves.length; i++) values[i] = table[halves[i]!]!;
  }
  return values;
}

/** Buffers that old exporters wrote beside the weights and that follow from the configuration. */
const DERIVED_BUFFERS = /(^|\.)(rotary_emb\.inv_freq|rotary_emb\.(cos|sin)_cached|masked_bias)$/;

export interface CheckWeightsOptions {
  /** What the messages call the checkpoint. Default: the format's name. */
  label?: string;
  /** Names that may be there although nobody expects them. Default: none. */
  mayHold?: readonly string[];
}

const NAMES_SHOWN = 4;

/**
 * Holds a checkpoint against the weights its configuration needs: every expected tensor is there, has
 * its shape and can be read, and nothing else is (a weight that nobody would use means that the
 * configuration is not this model's). Buffers that follow from the configuration are passed over.
 */
export function checkWeights(
  source: WeightSource,
  expected: readonly ExpectedWeight[],
  { label = `this ${source.format} checkpoint`, mayHold = [] }: CheckWeightsOptions = {},
): void {
  const problems: string[] = [];
  const missing: string[] = [];
  for (const { name, shape } of expected) {
    const info = source.tensors.get(name);
    const refusal = source.refused?.get(name);
    if (info === undefined && refusal !== undefined) problems.push(`${name}: ${refusal}`);
    else if (info === undefined) missing.push(name);
    else if (info.shape.length !== shape.length || info.shape.some((size, i) => size !== shape[i])) {
      problems.push(
        `${name} has shape [${info.shape.join(', ')}], the configuration needs [${shape.join(', ')}]`,
      );
    }
  }
  const known = new Set([...expected.map((weight) => weight.name), ...mayHold]);
  const unexpected = [...source.tensors.keys(), ...(source.refused?.keys() ?? [])].filter(
    (name) => !known.has(name) && !DERIVED_BUFFERS.test(name),
  );
  if (missing.length > 0) problems.unshift(`missing: ${firstNames(missing)}`);
  if (unexpected.length > 0)
    problems.push(`not part of the configured architecture: ${firstNames(unexpected)}`);
  if (problems.length === 0) return;
  throw new CheckpointError(
    `The weights in ${label} do not fit its configuration: ${firstNames(problems, '; ')}.`,
    { details: { missing, unexpected, problems } },
  );
}

function firstNames(names: readonly string[], separator = ', '): string {
  const rest = names.length - NAMES_SHOWN;
  return names.slice(0, NAMES_SHOWN).join(separator) + (rest > 0 ? `${separator}and ${rest} more` : '');
}
