import { type Command, Option } from 'commander';
import { createPersonaTemplate, loadPersonaTemplate, type PersonaTemplate } from '../data/persona-prompt.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { CheckpointError } from '../errors.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import { type HubOptions, hubOptionsFromEnvironment } from '../models/hub-options.js';
import type { LoadedModel } from '../models/load-model.js';
import { numberFlag, wholeNumber } from './command.js';
import { formatBytes } from './format.js';
import type { Progress } from './progress.js';

/** Flags of every command that loads a model. */
export interface ModelFlags {
  model: string;
  adapter?: string;
  dtype: ComputeDType;
  device: 'auto' | 'cpu' | 'cuda';
  threads?: number;
}

/** Flags of every command that puts a persona into prompts. */
export interface PersonaFlags {
  personaTemplate?: string;
}

export function addModelFlags(command: Command): Command {
  return command
    .optionsGroup('Model:')
    .requiredOption('--model <ID|DIR|FILE>', 'Hugging Face id (owner/name[@revision]), folder, or GGUF file')
    .option('--adapter <DIR>', 'PEFT adapter to put on the model')
    .addOption(
      new Option('--dtype <TYPE>', 'numbers to compute with')
        .choices(['bfloat16', 'float32'])
        .default('bfloat16'),
    )
    .addOption(
      new Option('--device <DEVICE>', 'where to run').choices(['auto', 'cpu', 'cuda']).default('auto'),
    )
    .option(
      '--threads <NUMBER>',
      'CPU threads (default: all cores)',
      numberFlag('a whole number', wholeNumber(1)),
    );
}

/** A loaded model that has a tokenizer. */
export type OpenModel = LoadedModel & { readonly tokenizer: Tokenizer };

/** Loads the model that the flags name; one on the Hub is fetched first. `signal` ends that. Whoever opens it disposes it. */
export async function openModel(
  flags: ModelFlags,
  progress: Progress,
  signal?: AbortSignal,
): Promise<OpenModel> {
  const { loadModel } = await import('../models/load-model.js');
  const loaded = await loadModel(flags.model, {
    dtype: flags.dtype,
    device: flags.device,
    ...(flags.adapter === undefined ? {} : { adapter: flags.adapter }),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    hub: { ...hubOptions(progress), ...(signal === undefined ? {} : { signal }) },
    onProgress: (done, total) =>
      progress.update('loading', done, total, `${formatBytes(done)} of ${formatBytes(total)}`),
  }).finally(() => progress.end());
  const { tokenizer } = loaded;
  if (tokenizer === null) {
    loaded.dispose();
    throw new CheckpointError(`${flags.model} has no tokenizer: expected tokenizer.json beside its weights`);
  }
  return { ...loaded, tokenizer };
}

/** How to reach the Hub, as the environment says, with progress shown. */
export function hubOptions(progress: Progress): HubOptions {
  return {
    ...hubOptionsFromEnvironment(process.env),
    onProgress: ({ file, receivedBytes, totalBytes }) =>
      progress.update(
        `fetching ${file}`,
        receivedBytes,
        totalBytes,
        `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`,
      ),
  };
}

export function personaTemplateOf({ personaTemplate }: PersonaFlags): PersonaTemplate {
  return personaTemplate === undefined ? createPersonaTemplate() : loadPersonaTemplate(personaTemplate);
}
