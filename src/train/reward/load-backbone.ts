/** The model of a run that trains a reward model: a decoder, with what is trained of it, and the head on it. */

import { createLoraAdapter } from '../../models/create-adapter.js';
import type { HubOptions } from '../../models/hub-options.js';
import { type LoadedModel, loadModel } from '../../models/load-model.js';
import { openBackbone } from './backbone-files.js';
import { RewardHead } from './reward-head.js';
import type { ResolvedTrainRewardOptions } from './reward-options.js';

export interface RewardNetwork {
  readonly loaded: LoadedModel;
  readonly head: RewardHead;
  dispose(): void;
}

export interface BackboneRun {
  options: ResolvedTrainRewardOptions;
  /** When the run began (ISO 8601): chat templates that write the date keep to it. */
  startedAt: string;
  hub: HubOptions;
}

/**
 * Loads the model, and puts a new adapter on it in mode `lora`. The head of a language model begins at zero: all
 * rewards are 0 then, and the first steps go where the pairs say rather than where chance does.
 */
export async function loadBackbone({ options, startedAt, hub }: BackboneRun): Promise<RewardNetwork> {
  let score: Float32Array | null = null;
  const loaded = await loadModel(options.model, {
    dtype: options.dtype,
    // Weights that are trained are kept in float32 and rounded when they are used.
    ...(options.mode === 'full' && { weightDtype: 'float32' as const }),
    device: options.device,
    xla: options.xla,
    hub,
    tokenizer: {
      now: new Date(startedAt),
      ...(options.chatTemplatePath !== null && { chatTemplateFile: options.chatTemplatePath }),
    },
    ...(options.threads !== null && { threads: options.threads }),
    open: (path) => {
      const files = openBackbone(path);
      score = files.score;
      return files;
    },
  });
  try {
    if (options.mode === 'lora') loaded.model.attach(newAdapter(loaded, options));
    const head = new RewardHead(score ?? new Float32Array(loaded.model.config.hiddenSize));
    return {
      loaded,
      head,
      dispose: () => {
        head.dispose();
        loaded.dispose();
      },
    };
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}

function newAdapter({ model }: LoadedModel, options: ResolvedTrainRewardOptions) {
  const { loraTargetModules } = options;
  return createLoraAdapter(model, {
    rank: options.loraR,
    alpha: options.loraAlpha,
    dropout: options.loraDropout,
    useRslora: options.useRslora,
    seed: options.seed,
    ...(loraTargetModules !== null && { targetModules: loraTargetModules }),
  });
}
