import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { writeFileAtomically } from './atomic-file.js';
import { reasonOf } from './file-reading.js';
import { readJsonFile } from './json-file.js';
import {
  adapterConfigToJson,
  isTargeted,
  type PeftConfig,
  parseAdapterConfig,
  rankOf,
} from './peft-config.js';
import { openSafetensorsFile } from './safetensors.js';
import { type TensorToWrite, writeSafetensors } from './safetensors-write.js';
import type { WeightInfo, WeightSource } from './weight-source.js';

const CONFIG_FILE = 'adapter_config.json';
const WEIGHTS_FILE = 'adapter_model.safetensors';
const PREFIX = 'base_model.model.';

/** The two matrices of an adapted module: A is `[rank, in]`, B `[out, rank]`. */
export interface AdapterModule {
  rank: number;
  a: WeightInfo;
  b: WeightInfo;
}

export interface AdapterFiles {
  path: string;
  config: PeftConfig;
  /** By the module's path in the base model: `model.layers.0.self_attn.q_proj`. */
  modules: ReadonlyMap<string, AdapterModule>;
  /** Reads by the tensors' own names (`module.a.name`); the caller closes it. */
  weights: WeightSource;
}

/** PEFT's name of a module's matrix: `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
export function adapterTensorName(module: string, matrix: 'A' | 'B'): string {
  return `${PREFIX}${module}.lora_${matrix}.weight`;
}

/**
 * Opens a PEFT folder. Checked here: the configuration (plain LoRA), that every tensor belongs to a pair of
 * matrices, that their shapes go together and have the rank that the configuration gives the module, and
 * that the configuration's target modules include it. Whether the base model has such modules is for the caller.
 * Throws CheckpointError naming file and problem.
 */
export function openAdapter(folder: string): AdapterFiles {
  const configPath = join(folder, CONFIG_FILE);
  if (!existsSync(configPath)) {
    const hint = existsSync(join(folder, 'config.json')) ? ' (it is a whole model, by its config.json)' : '';
    throw new CheckpointError(`${folder} is no adapter folder: it has no ${CONFIG_FILE}${hint}.`, {
      details: { folder },
    });
  }
  const config = parseAdapterConfig(readJsonFile(configPath), configPath);
  const weightsPath = join(folder, WEIGHTS_FILE);
  if (!existsSync(weightsPath) && existsSync(join(folder, 'adapter_model.bin'))) {
    throw new CheckpointError(`${folder} has adapter_model.bin only; only ${WEIGHTS_FILE} is read.`);
  }
  const weights = openSafetensorsFile(weightsPath);
  try {
    return { path: folder, config, modules: pairMatrices(weightsPath, weights, config), weights };
  } catch (error) {
    weights.close();
    throw error;
  }
}

function pairMatrices(path: string, weights: WeightSource, config: PeftConfig): Map<string, AdapterModule> {
  const fail = (problem: string): never => {
    throw new CheckpointError(`${path}: ${problem}.`, { details: { path } });
  };
  const [refused] = weights.refused ?? [];
  if (refused !== undefined) fail(`the tensor ${refused[0]} cannot be read: ${refused[1]}`);
  const halves = new Map<string, { A?: WeightInfo; B?: WeightInfo }>();
  for (const info of weights.tensors.values()) {
    const match = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(info.name);
    if (match === null) {
      return fail(
        `the tensor ${info.name} is no matrix of plain LoRA (${PREFIX}MODULE.lora_A.weight or lora_B.weight)`,
      );
    }
    const [, module, matrix] = match as unknown as [string, string, 'A' | 'B'];
    const half = halves.get(module) ?? {};
    half[matrix] = info;
    halves.set(module, half);
  }
  if (halves.size === 0) fail('it holds no tensors');
  const modules = new Map<string, AdapterModule>();
  for (const [module, { A: a, B: b }] of halves) {
    if (a === undefined || b === undefined) return fail(`${module} has lora_${a ? 'A' : 'B'} only`);
    const rank = rankOf(config, module);
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== rank || b.shape[1] !== rank) {
      fail(
        `${module} has lora_A [${a.shape.join(', ')}] and lora_B [${b.shape.join(', ')}]; with the configured rank, [${rank}, in] and [out, ${rank}] were expected`,
      );
    }
    if (!isTargeted(config, module))
      fail(`${module} has matrices, but is none of the configured target_modules`);
    modules.set(module, { rank, a, b });
  }
  return modules;
}

/**
 * Writes a PEFT folder: the tensors, named by adapterTensorName, and then adapter_config.json; each file
 * appears whole or not at all. PEFT, vLLM and transformers load it. Other files of the folder stay.
 */
export function writeAdapter(folder: string, config: PeftConfig, tensors: readonly TensorToWrite[]): void {
  for (const { name } of tensors) {
    if (!/^base_model\.model\..+\.lora_[AB]\.weight$/.test(name)) {
      throw new CheckpointError(`${name} is no name of an adapter's tensor; adapterTensorName makes them.`);
    }
  }
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new CheckpointError(`The folder ${folder} cannot be made: ${reasonOf(cause)}.`, { cause });
  }
  writeSafetensors(join(folder, WEIGHTS_FILE), tensors);
  writeFileAtomically(join(folder, CONFIG_FILE), `${JSON.stringify(adapterConfigToJson(config), null, 2)}\n`);
}
