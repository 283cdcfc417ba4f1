/** The policy of a run: loaded with what is trained of it, saved on the way and at the end. */

import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { saveAdapter } from '../models/adapter-files.js';
import { createLoraAdapter } from '../models/create-adapter.js';
import type { HubOptions } from '../models/hub-options.js';
import { type LoadedModel, loadModel } from '../models/load-model.js';
import { saveModel } from '../models/save-model.js';
import type { ResolvedTrainOptions } from './options.js';
import { outputFiles } from './output-folder.js';

type PolicyOptions = Pick<
  ResolvedTrainOptions,
  | 'model'
  | 'adapter'
  | 'dtype'
  | 'device'
  | 'xla'
  | 'threads'
  | 'chatTemplatePath'
  | 'seed'
  | 'usePeft'
  | 'loraR'
  | 'loraAlpha'
  | 'loraDropout'
  | 'loraTargetModules'
  | 'useRslora'
>;

export interface PolicyRun {
  options: PolicyOptions;
  /** When the run began (ISO 8601): chat templates that write the date keep to it. */
  startedAt: string;
  hub: HubOptions;
}

/** The policy with the adapter that is to be trained, if there is to be one. */
export async function loadPolicy({ options, startedAt, hub }: PolicyRun): Promise<LoadedModel> {
  const loaded = await loadModel(options.model, {
    dtype: options.dtype,
    // Weights that are trained are kept in float32 and rounded when they are used.
    ...(!options.usePeft && { weightDtype: 'float32' as const }),
    device: options.device,
    xla: options.xla,
    hub,
    tokenizer: {
      now: new Date(startedAt),
      ...(options.chatTemplatePath !== null && { chatTemplateFile: options.chatTemplatePath }),
    },
    ...(options.threads !== null && { threads: options.threads }),
    ...(options.adapter !== null && { adapter: options.adapter }),
  });
  if (options.usePeft && options.adapter === null) {
    const { loraTargetModules } = options;
    const adapter = createLoraAdapter(loaded.model, {
      rank: options.loraR,
      alpha: options.loraAlpha,
      dropout: options.loraDropout,
      useRslora: options.useRslora,
      seed: options.seed,
      ...(loraTargetModules !== null && { targetModules: loraTargetModules }),
    });
    loaded.model.attach(adapter);
  }
  return loaded;
}

/** Writes the adapter, or the model where all weights are trained, into `folder`. */
export async function savePolicy(loaded: LoadedModel, folder: string): Promise<void> {
  const { model, origin } = loaded;
  if (model.adapter !== null) {
    saveAdapter(model.adapter, folder, { baseModel: origin.id, revision: origin.revision });
  } else await saveModel(loaded, folder);
}

/** Writes `adapter/` or `model/` in `outputDir`: the last weights, or those of the checkpoint `best`. */
export async function writePolicy(loaded: LoadedModel, outputDir: string, best: string | null = null) {
  const kind = loaded.model.adapter === null ? ('model' as const) : ('adapter' as const);
  const path = join(outputDir, outputFiles[kind]);
  const pending = join(outputDir, `.${kind}.${process.pid}.tmp`);
  rmSync(pending, { recursive: true, force: true });
  if (best === null) await savePolicy(loaded, pending);
  else copyWeights(best, pending);
  rmSync(path, { recursive: true, force: true });
  renameSync(pending, path);
  return { kind, path };
}

/** Copies a checkpoint's weights without what only training needs. */
function copyWeights(checkpoint: string, target: string): void {
  cpSync(checkpoint, target, {
    recursive: true,
    filter: (file) => !/(?:optimizer\.safetensors|trainer_state\.json)$/.test(file),
  });
}
