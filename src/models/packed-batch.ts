/** A packed row of pairs on the device, with what every layer needs to know of it. */

import type { PackedBatch } from '../data/pack.js';
import { attentionMasks, rotaryAngles } from '../kernels/packed-layout.js';
import { callNamed, defineNamed, type NamedFunction, type Tensors } from '../runtime/named-function.js';
import { scope, tensor } from '../runtime/tensor.js';
import type { LanguageModel } from './language-model.js';
import type { ModelConfig } from './model-config.js';

export interface DeviceBatch {
  readonly batch: PackedBatch;
  readonly pairs: number;
  /** Packed tokens N, padding included. */
  readonly tokens: number;
  /** `ids`, and the layer functions' `sizes`, `cos`, `sin` and masks. */
  readonly tensors: Tensors;
}

const layoutFunctions = new WeakMap<ModelConfig, Map<number, NamedFunction>>();

/** Places a packed row on the device; the caller disposes its tensors. */
export function placeBatch(model: LanguageModel, batch: PackedBatch): DeviceBatch {
  const pairs = batch.pairs.length;
  const tensors = scope(() => {
    const ids = tensor('int32', [batch.inputIds.length], batch.inputIds);
    const positions = tensor('int32', [batch.positions.length], batch.positions);
    const sizes = tensor('int32', [batch.sizes.length], batch.sizes);
    const layout = callNamed(layoutFunction(model.config, pairs), {
      positions,
      sizes,
      frequencies: model.frequencies,
    });
    return { ids, sizes, ...layout };
  });
  return { batch, pairs, tokens: batch.inputIds.length, tensors };
}

function layoutFunction(config: ModelConfig, pairs: number): NamedFunction {
  const byPairs = layoutFunctions.get(config) ?? new Map<number, NamedFunction>();
  layoutFunctions.set(config, byPairs);
  const fn = byPairs.get(pairs) ?? defineLayout(config, pairs);
  byPairs.set(pairs, fn);
  return fn;
}

function defineLayout(config: ModelConfig, pairs: number): NamedFunction {
  const inputs = { positions: 'int32', sizes: 'int32', frequencies: 'float32' } as const;
  return defineNamed('packed_layout', inputs, (g, { positions, sizes, frequencies }) => {
    const masks = attentionMasks(g, sizes!, pairs, config.slidingWindow);
    return {
      ...rotaryAngles(g, positions!, frequencies!, config.headDim),
      ...Object.fromEntries(masks.map((mask, i) => [`mask${i}`, mask])),
    };
  });
}
