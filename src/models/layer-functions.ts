/** A model's layer functions, built when first needed and kept: one set for each number of pairs in a packed row. */

import type { NamedFunction } from '../runtime/named-function.js';
import { layerBackward, layerForward, layerForwardBackward } from './decoder-layer.js';
import type { Dtypes, LayerSpec } from './layer-graph.js';
import type { LoraShape } from './lora-shape.js';
import type { ModelConfig } from './model-config.js';

/** `recomputed`: forward again, and backward. */
export type LayerPass = 'inference' | 'forward' | 'backward' | 'recomputed';

export class LayerFunctions {
  readonly #config: ModelConfig;
  readonly #dtypes: Dtypes;
  readonly xla: boolean;
  readonly #built = new Map<string, NamedFunction>();

  constructor(config: ModelConfig, dtypes: Dtypes, xla: boolean) {
    this.#config = config;
    this.#dtypes = dtypes;
    this.xla = xla;
  }

  get(pass: LayerPass, pairs: number, lora: LoraShape | null): NamedFunction {
    const key = JSON.stringify([pass, pairs, lora]);
    let fn = this.#built.get(key);
    if (fn === undefined) {
      fn = build(pass, { ...this.#dtypes, config: this.#config, pairs, xla: this.xla, lora });
      this.#built.set(key, fn);
    }
    return fn;
  }
}

function build(pass: LayerPass, spec: LayerSpec): NamedFunction {
  switch (pass) {
    case 'inference':
      return layerForward(spec, false);
    case 'forward':
      return layerForward(spec, true);
    case 'backward':
      return layerBackward(spec);
    case 'recomputed':
      return layerForwardBackward(spec);
  }
}
