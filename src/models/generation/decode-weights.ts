/** What a decoding step multiplies in, and the copies of the weights that this may take. */

import { totalmem } from 'node:os';
import type { ComputeDType } from '../../kernels/graph-math.js';
import { hasFastBfloat16 } from '../../runtime/fast-bfloat16.js';
import type { Tensors } from '../../runtime/named-function.js';
import { disposeAll, keep, scope, type Tensor } from '../../runtime/tensor.js';
import { castTensor, transposed } from '../../runtime/tensor-ops.js';
import type { LanguageModel } from '../language-model.js';
import { FUSED_LINEARS } from './layer-body.js';

/**
 * Sequences decoded together from which a step is bound by arithmetic and no longer by reading the weights, and a copy
 * of them in the dtype that is multiplied faster pays within a few steps. Measured for the layers of SmolLM2-135M on a
 * processor without fast bfloat16, processor time of all products of a step, bfloat16 as stored against float32 turned:
 * 29 and 33 ms for 1 sequence, 68 and 68 for 16, 92 and 74 for 24, 193 and 100 for 64.
 */
const WIDE = 24;

/** Share of the machine's memory that a copy may take. */
const COPY_SHARE = 1 / 4;

export interface DecodePrecision {
  dtype: ComputeDType;
  /** Whether the layers' matrices are copied into that dtype, and turned to `[in, out]`, which multiplies faster. */
  copied: boolean;
}

export interface DecodeWeights extends DecodePrecision {
  /** Layer by layer the copied matrices; empty records where none are copied. */
  copies: readonly Tensors[];
}

/**
 * A model in float32 stays so. One in bfloat16 is multiplied in the dtype that the device multiplies faster, if its
 * weights are stored in it or as many sequences are decoded at a time as make up for a copy; else as it is stored,
 * since casting weights in every step would cost more than it saves. It goes by the model and the machine, and not
 * by a measurement, so that the same call gives the same tokens.
 */
export function decodePrecision(
  { dtype, weightDtype }: Pick<LanguageModel, 'dtype' | 'weightDtype'>,
  sequences: number,
  { fastBfloat16, copyFits }: { fastBfloat16: boolean; copyFits: (dtype: ComputeDType) => boolean },
): DecodePrecision {
  const faster = dtype === 'bfloat16' && fastBfloat16 ? 'bfloat16' : 'float32';
  const copied = weightDtype !== faster && sequences >= WIDE && copyFits(faster);
  return { dtype: copied ? faster : weightDtype, copied };
}

/** The weights of a step of `sequences` sequences; the caller disposes the copies. */
export function decodeWeights(model: LanguageModel, sequences: number): DecodeWeights {
  const precision = decodePrecision(model, sequences, {
    fastBfloat16: hasFastBfloat16(),
    copyFits: (dtype) => copyBytes(model, dtype) <= totalmem() * COPY_SHARE,
  });
  const copies: Tensors[] = [];
  try {
    for (let layer = 0; layer < model.config.numLayers; layer++) {
      copies.push(precision.copied ? copiesOf(model.layerInputs(layer, null), precision.dtype) : {});
    }
    return { ...precision, copies };
  } catch (error) {
    disposeAll(copies);
    throw error;
  }
}

function copyBytes(model: LanguageModel, dtype: ComputeDType): number {
  const stored = model.weights.layers.flatMap((layer) =>
    FUSED_LINEARS.map((name) => layer[name]!.byteLength),
  );
  const factor = (dtype === 'float32' ? 4 : 2) / (model.weightDtype === 'float32' ? 4 : 2);
  return factor * stored.reduce((sum, bytes) => sum + bytes, 0);
}

function copiesOf(layer: Tensors, dtype: ComputeDType): Tensors {
  return Object.fromEntries(
    FUSED_LINEARS.map((name) => [name, scope(() => keep(transposed(castTensor(layer[name]!, dtype))))]),
  );
}

/**
 * The output layer in float32 and turned to `[D, V]`: of 16 rows with the matrix as it is stored, oneDNN's product takes
 * three times as long (measured on an AMD EPYC; as long for one row). The caller disposes it.
 */
export function outputWeights({ head }: Pick<LanguageModel, 'head'>): Tensor {
  return scope(() => keep(transposed(castTensor(head, 'float32'))));
}
