/** A model's layer functions, built when first needed and kept: one set for each number of pairs in a packed row. */

import type { ComputeDType } from '../kernels/graph-math.js';
import type { NamedFunction } from '../runtime/named-function.js';
import { layerBackward, layerForward } from './decoder-layer.js';
import type { LoraShape } from './lora-shape.js';
import type { ModelConfig } from './model-config.js';

export type LayerPass = 'inference' | 'forward' | 'backward';

export class LayerFunctions {
  readonly #config: ModelConfig;
  readonly #dtype: ComputeDType;
  readonly #weightDtype: ComputeDType;
  readonly xla: boolean;
  readonly #built = new Map<string, NamedFunction>();

  constructor(config: ModelConfig, dtype: ComputeDType, weightDtype: ComputeDType, xla: boolean) {
    this.#config = config;
    this.#dtype = dtype;
    this.#weightDtype = weightDtype;
    this.xla = xla;
  }

  get(pass: LayerPass, pairs: number, lora: LoraShape | null): NamedFunction {
    const key = JSON.stringify([pass, pairs, lora]);
    let fn = this.#built.get(key);
    if (fn === undefined) {
      const spec = {
        config: this.#config,
        dtype: this.#dtype,
        weightDtype: this.#weightDtype,
        pairs,
        xla: this.xla,
        lora,
      };
      fn = pass === 'backward' ? layerBackward(spec) : layerForward(spec, pass === 'forward');
      this.#built.set(key, fn);
    }
    return fn;
  }
}
