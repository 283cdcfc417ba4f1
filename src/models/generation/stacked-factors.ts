/**
 * An adapter's factors as inference takes them: one pair of matrices for each fused weight, in the compute dtype,
 * the scale folded in. A token then costs two small matmuls a fused weight, whatever the number of modules in it.
 *
 * The factors stay beside the weights. Folded into bfloat16 weights, an update below half a unit in a weight's last
 * place would be lost, and a policy early in training would sample like its reference.
 */

import { cast, concat, mul } from '../../kernels/graph-math.js';
import { attr } from '../../runtime/attributes.js';
import type { GraphBuilder, GraphValue } from '../../runtime/graph-function.js';
import { callNamed, defineNamed, type NamedFunction } from '../../runtime/named-function.js';
import { keep, scope, type Tensor } from '../../runtime/tensor.js';
import type { LanguageModel } from '../language-model.js';
import type { LayerSpec } from '../layer-graph.js';
import { moduleSize } from '../linear-modules.js';
import type { LoraAdapter } from '../lora-adapter.js';
import { adapterInputs, type LinearModule } from '../lora-shape.js';
import { adaptedLinears, FUSED_MODULES } from './layer-body.js';

/**
 * From a layer's factors `A_i` `[r, in]`, `B_i` `[out_i, r]` to, for each fused weight, `down`, the `A_i` one below
 * the other, `[R, in]`, and `up`, the scaled `B_i` on a block diagonal, `[out, R]`.
 */
export function stackedFactorsFunction(spec: LayerSpec, rank: number): NamedFunction | null {
  const { lora, dtype, config } = spec;
  if (lora === null) return null;
  return defineNamed('stacked_factors', adapterInputs(lora), (g, values) => {
    const outputs: Record<string, GraphValue> = {};
    for (const name of adaptedLinears(lora)) {
      const all: readonly LinearModule[] = FUSED_MODULES[name];
      const adapted = all.filter((module) => lora.modules.includes(module));
      const downs = adapted.map((module) => values[`${module}.A`]!);
      const ups = all.map((module) => {
        const at = adapted.indexOf(module);
        if (at === -1) return zeros(g, moduleSize(config, module).outputs, adapted.length * rank);
        const b = mul(g, values[`${module}.B`]!, lora.scale);
        return padColumns(g, b, at * rank, (adapted.length - 1 - at) * rank);
      });
      outputs[`${name}.down`] = cast(g, concat(g, downs, 0), dtype);
      outputs[`${name}.up`] = cast(g, concat(g, ups, 0), dtype);
    }
    return outputs;
  });
}

/** The stacked factors of every layer; the caller disposes them. */
export function stackFactors(
  model: LanguageModel,
  adapter: LoraAdapter | null,
  fn: NamedFunction | null,
): Record<string, Tensor>[] {
  return Array.from({ length: model.config.numLayers }, (_, layer) => {
    if (adapter === null || fn === null) return {};
    return scope(() => {
      const stacked = callNamed(fn, adapter.layers[layer]!);
      for (const factor of Object.values(stacked)) keep(factor);
      return stacked;
    });
  });
}

function zeros(g: GraphBuilder, rows: number, columns: number): GraphValue {
  return g.op('Fill', [g.constant('int32', [rows, columns]), g.constant('float32', 0)], {
    T: attr.type('float32'),
    index_type: attr.type('int32'),
  });
}

function padColumns(g: GraphBuilder, x: GraphValue, before: number, after: number): GraphValue {
  return g.op('Pad', [x, g.constant('int32', [0, 0, before, after], [2, 2])], {
    T: attr.type('float32'),
    Tpaddings: attr.type('int32'),
  });
}
