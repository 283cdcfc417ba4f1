/** The linear modules of a decoder: their paths in Hugging Face's model and their sizes. */

import { LINEAR_MODULES, type LinearModule } from './lora-shape.js';
import type { ModelConfig } from './model-config.js';

/** Path of a module in the base model: `model.layers.0.self_attn.q_proj`. */
export function modulePath(layer: number, module: LinearModule): string {
  const block = /^(q|k|v|o)_/.test(module) ? 'self_attn' : 'mlp';
  return `model.layers.${layer}.${block}.${module}`;
}

export interface ModulePlace {
  layer: number;
  module: LinearModule;
}

/** All linear modules of a model but the output layer, by path, in the order of the forward pass. */
export function modulePlaces(config: ModelConfig): Map<string, ModulePlace> {
  const places = new Map<string, ModulePlace>();
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const module of LINEAR_MODULES) places.set(modulePath(layer, module), { layer, module });
  }
  return places;
}

/** Widths of a module's input and output. */
export function moduleSize(config: ModelConfig, module: LinearModule): { inputs: number; outputs: number } {
  const { hiddenSize: D, intermediateSize: F, numHeads, numKeyValueHeads, headDim } = config;
  switch (module) {
    case 'q_proj':
      return { inputs: D, outputs: numHeads * headDim };
    case 'k_proj':
    case 'v_proj':
      return { inputs: D, outputs: numKeyValueHeads * headDim };
    case 'o_proj':
      return { inputs: numHeads * headDim, outputs: D };
    case 'gate_proj':
    case 'up_proj':
      return { inputs: D, outputs: F };
    case 'down_proj':
      return { inputs: F, outputs: D };
  }
}
