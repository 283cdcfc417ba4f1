import { type Command, Option } from 'commander';
import { createPersonaTemplate, loadPersonaTemplate, type PersonaTemplate } from '../data/persona-prompt.js';
import type { Tokenizer } from '../data/tokenizer.js';
import type { ComputeDType } from '../kernels/graph-math.js';
import { type HubOptions, hubOptionsFromEnvironment } from '../models/hub-options.js';
import type { LanguageModel } from '../models/language-model.js';
import type { ModelLocation } from '../models/model-location.js';
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

export interface OpenModel {
  model: LanguageModel;
  tokenizer: Tokenizer;
  /** What to call the model: its Hub id, or its path. */
  id: string;
}

/** Loads the model that the flags name, with its tokenizer; a model on the Hub is fetched first. */
export async function openModel(flags: ModelFlags, progress: Progress): Promise<OpenModel> {
  const [{ loadModel }, { resolveModel }] = await Promise.all([
    import('../models/load-model.js'),
    import('../models/model-location.js'),
  ]);
  const location = await resolveModel(flags.model, { hub: hubOptions(progress) });
  const model = await loadModel(location.path, {
    dtype: flags.dtype,
    device: flags.device,
    ...(flags.adapter === undefined ? {} : { adapter: flags.adapter }),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    onProgress: (done: number, total: number) =>
      progress.update('loading', done, total, `${formatBytes(done)} of ${formatBytes(total)}`),
  });
  progress.end();
  return { model, tokenizer: await tokenizerAt(location), id: location.id };
}

async function tokenizerAt(location: ModelLocation): Promise<Tokenizer> {
  if (location.kind === 'hf-folder') {
    const { loadTokenizer } = await import('../data/tokenizer.js');
    return loadTokenizer(location.path);
  }
  const [{ openGguf }, { tokenizerFromGguf }] = await Promise.all([
    import('../models/gguf-file.js'),
    import('../data/gguf-tokenizer.js'),
  ]);
  const { metadata, weights } = openGguf(location.path);
  weights.close();
  return tokenizerFromGguf(metadata, { name: location.path });
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
