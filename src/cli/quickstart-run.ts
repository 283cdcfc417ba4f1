import { join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import type { ResolvedRunConfig } from '../run/config/run-config.js';
import type { ResolvedTrainOptions, TrainOptions } from '../train/options.js';
import type { Progress } from './progress.js';
import { newRunFolder, quickstartFolder } from './quickstart-data.js';
import { obtainQuickstartModel } from './quickstart-model.js';
import { REWARD_FOLDER } from './quickstart-reward.js';
import { installProgress } from './setup-command.js';
import { readTrainFlags } from './train-flags.js';

/** The example's run as it is to be done here, and how it will train. */
export interface QuickstartRun {
  config: ResolvedRunConfig;
  training: ResolvedTrainOptions;
}

/**
 * The run of `examples/quickstart/config.yaml` with the flags over its training options. TensorFlow and the model are
 * there afterwards; what the user got wrong is told before anything is fetched.
 */
export async function prepareQuickstart(command: Command, progress: Progress): Promise<QuickstartRun> {
  const [{ setup }, example] = await Promise.all([
    import('../runtime/install/setup.js'),
    readExample(command),
  ]);
  await trainingOf(example);
  const device = example.train?.device ?? 'auto';
  await setup({ device, onProgress: installProgress(progress) }).finally(() => progress.end());
  const model = await obtainQuickstartModel(progress);
  const config = withModel(example, model);
  return { config, training: await trainingOf(config) };
}

/** The example with its files where this package has them. */
async function readExample(command: Command): Promise<ResolvedRunConfig> {
  const { readRunConfig } = await import('../run/config/config-file.js');
  const folder = quickstartFolder();
  const { config } = readRunConfig(join(folder, 'config.yaml'));
  const { outputDir = newRunFolder(), ...flags } = readTrainFlags(command, {}).options;
  refuseRunOptions(flags);
  const { conversations, personas } = config.sections;
  if (conversations === null || personas === null || config.train === null)
    throw new Error('the example lacks a section');
  return {
    ...config,
    outputDir,
    sections: {
      ...config.sections,
      conversations: { ...conversations, input: [join(folder, 'conversations.jsonl')] },
      personas: { ...personas, file: join(folder, 'personas.jsonl') },
    },
    reward: { ...config.reward, model: join(outputDir, REWARD_FOLDER, 'onnx') },
    train: { ...config.train, evalPairs: [join(folder, 'held-out.jsonl')], ...flags },
  };
}

/** The pairs come from the run, and the model is the example's. */
function refuseRunOptions(flags: object): void {
  for (const name of ['pairs', 'model', 'resumeFromCheckpoint']) {
    if (name in flags) {
      throw new ConfigError(
        `quickstart does not take ${name}: it is the example's own; use persona-dpo run or train for others`,
      );
    }
  }
}

/** The model, in the stages that ask it as well; these run on the device and threads that training was given. */
export function withModel(config: ResolvedRunConfig, model: string): ResolvedRunConfig {
  const machine = machineOf(config.train ?? {});
  const models = Object.fromEntries(
    Object.entries(config.models).map(([stage, options]) => [
      stage,
      options?.kind === 'local' ? { ...options, model, ...machine } : options,
    ]),
  );
  return { ...config, models, train: config.train === null ? null : { ...config.train, model } };
}

/** Where a process runs TensorFlow, which starts once: what is left out is the default of whoever starts it. */
function machineOf({ device, threads }: Pick<TrainOptions, 'device' | 'threads'>) {
  return { ...(device !== undefined && { device }), ...(threads !== undefined && { threads }) };
}

async function trainingOf({ train, outputDir }: ResolvedRunConfig): Promise<ResolvedTrainOptions> {
  const { resolveRunTraining } = await import('../run/config/run-config.js');
  if (train === null) throw new Error('the example lacks a section');
  return resolveRunTraining(train, {
    pairs: join(outputDir, 'pairs', 'pairs.jsonl'),
    outputDir: join(outputDir, 'train'),
  });
}
