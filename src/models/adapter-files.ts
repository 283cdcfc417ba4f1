/** LoRA adapters between PEFT folders and TensorFlow's memory. */

import { CheckpointError } from '../errors.js';
import { disposeAll, keep, type Tensor, tensor } from '../runtime/tensor.js';
import { modulePath, modulePlaces, moduleSize } from './linear-modules.js';
import { LoraAdapter } from './lora-adapter.js';
import { LINEAR_MODULES, type LinearModule } from './lora-shape.js';
import type { ModelConfig } from './model-config.js';
import { type AdapterFiles, adapterTensorName, openAdapter, writeAdapter } from './peft.js';
import { isTargeted, type PeftConfig } from './peft-config.js';
import type { TensorToWrite } from './safetensors-write.js';
import { readFloat32 } from './weight-source.js';

/**
 * Loads a PEFT folder (`adapter_config.json`, `adapter_model.safetensors`) for a model of `config`; the factors
 * become float32. The caller owns the adapter until it attaches it to a model.
 *
 * @throws CheckpointError for damaged folders, for adapters that are not plain LoRA with one rank and one alpha on
 * the same modules of every layer, and for those of another model
 */
export function loadAdapter(folder: string, config: ModelConfig): LoraAdapter {
  const files = openAdapter(folder);
  const made: Tensor[] = [];
  try {
    refusePatterns(files);
    const modules = adaptedModules(files, config);
    const read = (name: string, shape: readonly number[]) => {
      const factor = keep(tensor('float32', shape, readFloat32(files.weights, name)));
      made.push(factor);
      return factor;
    };
    const layers = Array.from({ length: config.numLayers }, (_, layer) =>
      Object.fromEntries(
        modules.flatMap((module) => {
          const { a, b } = files.modules.get(modulePath(layer, module))!;
          return [
            [`${module}.A`, read(a.name, a.shape)],
            [`${module}.B`, read(b.name, b.shape)],
          ];
        }),
      ),
    );
    const { rank, alpha, dropout, useRslora } = files.config;
    return new LoraAdapter({ rank, alpha, dropout, useRslora, modules }, layers);
  } catch (error) {
    disposeAll(made);
    throw error;
  } finally {
    files.weights.close();
  }
}

function refusePatterns({ path, config }: AdapterFiles): void {
  for (const key of ['rankPattern', 'alphaPattern'] as const) {
    const patterns = Object.keys(config[key]);
    if (patterns.length === 0) continue;
    const name = key === 'rankPattern' ? 'rank_pattern' : 'alpha_pattern';
    throw new CheckpointError(
      `${path}: ${name} (${patterns.slice(0, 3).join(', ')}) is not supported; supported is one r and one lora_alpha for all modules.`,
      { details: { path } },
    );
  }
}

/** The modules the adapter acts on, the same in every layer; checked against the model's sizes. */
function adaptedModules(files: AdapterFiles, config: ModelConfig): LinearModule[] {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${files.path}: ${problem}.`, { details: { path: files.path } });
  };
  const places = modulePlaces(config);
  const modules = new Set<LinearModule>();
  for (const [path, { a, b }] of files.modules) {
    const place = places.get(path);
    if (place === undefined) {
      return fail(
        `it adapts ${path}, which is no linear layer of this model's ${config.numLayers} decoder layers`,
      );
    }
    const { inputs, outputs } = moduleSize(config, place.module);
    if (a.shape[1] !== inputs || b.shape[0] !== outputs) {
      fail(
        `its factors of ${path} are for ${a.shape[1]} inputs and ${b.shape[0]} outputs, the model has ${inputs} and ${outputs}: it is another model's adapter`,
      );
    }
    modules.add(place.module);
  }
  for (const [path, { module }] of places) {
    if (files.modules.has(path)) continue;
    if (isTargeted(files.config, path)) fail(`it targets ${path} but holds no factors for it`);
    if (modules.has(module)) {
      fail(
        `it adapts ${module} in some layers but not in ${path}; supported are the same modules in all layers`,
      );
    }
  }
  return LINEAR_MODULES.filter((module) => modules.has(module));
}

/** What an adapter's `adapter_config.json` says about where it belongs. */
export interface SaveAdapterOptions {
  /** What adapter_config.json calls the base model: a Hub id or a folder. Default: nothing. */
  baseModel?: string | null;
  /** The base model's revision on the Hub. Default: nothing. */
  revision?: string | null;
}

/**
 * Saves an adapter as a PEFT folder, float32, which PEFT, transformers and vLLM load. Each file appears whole or not
 * at all; an adapter that was there before is replaced.
 */
export function saveAdapter(
  adapter: LoraAdapter,
  folder: string,
  { baseModel = null, revision = null }: SaveAdapterOptions = {},
): void {
  const { rank, alpha, dropout, useRslora, modules } = adapter.config;
  const config: PeftConfig = {
    rank,
    alpha,
    dropout,
    useRslora,
    targetModules: { kind: 'names', names: [...modules] },
    rankPattern: {},
    alphaPattern: {},
    baseModel,
    revision,
  };
  writeAdapter(folder, config, adapterTensors(adapter));
}

/** The factors by PEFT's names, read from the device when they are written. */
export function adapterTensors(adapter: LoraAdapter): TensorToWrite[] {
  return adapter.layers.flatMap((factors, layer) =>
    adapter.config.modules.flatMap((module) =>
      (['A', 'B'] as const).map((matrix): TensorToWrite => {
        const factor = factors[`${module}.${matrix}`]!;
        return {
          name: adapterTensorName(modulePath(layer, module), matrix),
          dtype: 'float32',
          shape: factor.shape,
          bytes: () => {
            const { buffer, byteOffset, byteLength } = factor.data();
            return new Uint8Array(buffer, byteOffset, byteLength);
          },
        };
      }),
    ),
  );
}
