/** New LoRA adapters. */

import { distance } from 'fastest-levenshtein';
import { createRandom } from '../data/random.js';
import { ConfigError } from '../errors.js';
import { keep, type Tensor, tensor } from '../runtime/tensor.js';
import type { LanguageModel } from './language-model.js';
import { modulePath, moduleSize } from './linear-modules.js';
import { LoraAdapter } from './lora-adapter.js';
import { LINEAR_MODULES, type LinearModule } from './lora-shape.js';
import { isTargeted } from './peft-config.js';

/** Size and place of a new adapter. */
export interface CreateAdapterOptions {
  /** PEFT's `r`, from 1. Default 8. */
  rank?: number;
  /** PEFT's `lora_alpha`, above 0. Default 8. */
  alpha?: number;
  /** Share of a module's inputs that the update does not see in training, from 0 to below 1. Default 0. */
  dropout?: number;
  /** Modules by name, as in PEFT, or all linear layers but the output layer. Default `q_proj`, `v_proj`, as PEFT's. */
  targetModules?: 'all-linear' | readonly string[];
  /** Scale by `alpha / sqrt(r)` instead of `alpha / r`. Default false. */
  useRslora?: boolean;
  /** Default 0. */
  seed?: number;
}

/** PEFT's choice for Llama, Mistral and Qwen. */
const DEFAULT_TARGETS = ['q_proj', 'v_proj'];

/**
 * A new adapter for `model`, which changes nothing yet: `A ~ U(-1/sqrt(in), 1/sqrt(in))`, `B = 0` (PEFT's default
 * initialisation, Kaiming's uniform with a = sqrt(5)). The same seed gives a module the same factors whatever other
 * modules there are. The caller owns the adapter until it attaches it.
 *
 * @throws ConfigError for options out of range and target modules that the model does not have
 */
export function createLoraAdapter(model: LanguageModel, options: CreateAdapterOptions = {}): LoraAdapter {
  const {
    rank = 8,
    alpha = 8,
    dropout = 0,
    targetModules = DEFAULT_TARGETS,
    useRslora = false,
    seed = 0,
  } = options;
  checkRange('rank', rank, Number.isInteger(rank) && rank >= 1, 'a whole number from 1');
  checkRange('alpha', alpha, alpha > 0 && Number.isFinite(alpha), 'a number above 0');
  checkRange('dropout', dropout, dropout >= 0 && dropout < 1, 'a number from 0 to below 1');
  const { config } = model;
  const modules = targetedModules(targetModules);
  const layers = Array.from({ length: config.numLayers }, (_, layer) => {
    const factors: Record<string, Tensor> = {};
    for (const module of modules) {
      const { inputs, outputs } = moduleSize(config, module);
      const stream = layer * LINEAR_MODULES.length + LINEAR_MODULES.indexOf(module);
      const values = uniform(rank * inputs, 1 / Math.sqrt(inputs), seed, stream);
      factors[`${module}.A`] = keep(tensor('float32', [rank, inputs], values));
      factors[`${module}.B`] = keep(tensor('float32', [outputs, rank], new Float32Array(outputs * rank)));
    }
    return factors;
  });
  return new LoraAdapter({ rank, alpha, dropout, useRslora, modules }, layers);
}

function uniform(count: number, bound: number, seed: number, stream: number): Float32Array {
  const random = createRandom(seed, stream);
  return Float32Array.from({ length: count }, () => (2 * random.float() - 1) * bound);
}

/** The modules that PEFT would take for these names, in our order. */
function targetedModules(targets: 'all-linear' | readonly string[]): LinearModule[] {
  if (targets === 'all-linear' || (targets.length === 1 && targets[0] === 'all-linear'))
    return [...LINEAR_MODULES];
  const takenBy = (name: string) =>
    LINEAR_MODULES.filter((module) =>
      isTargeted({ targetModules: { kind: 'names', names: [name] } }, modulePath(0, module)),
    );
  if (targets.length === 0) throw new ConfigError('Expected at least one target module, got none.');
  for (const name of targets) if (takenBy(name).length === 0) throw unknownModule(name);
  const taken = new Set(targets.flatMap(takenBy));
  return LINEAR_MODULES.filter((module) => taken.has(module));
}

function unknownModule(name: string): ConfigError {
  const nearest = [...LINEAR_MODULES].sort((a, b) => distance(a, name) - distance(b, name))[0]!;
  return new ConfigError(
    `The model has no linear module ${JSON.stringify(name)}; did you mean ${nearest}? ` +
      `Expected some of ${LINEAR_MODULES.join(', ')}, or all-linear.`,
    { details: { name } },
  );
}

function checkRange(name: string, value: number, fits: boolean, expected: string): void {
  if (!fits) throw new ConfigError(`The adapter's ${name} must be ${expected}, got ${value}.`);
}
