/** What a run reads, checked before anything is written or a model is loaded, which may take minutes. */

import { statSync } from 'node:fs';
import { loadPersonaTemplate } from '../data/persona-prompt.js';
import { ConfigError } from '../errors.js';
import { openAdapter } from '../models/peft.js';
import type { ResolvedTrainOptions } from './options.js';
import { makeWritableFolder } from './output-folder.js';

type Inputs = Pick<
  ResolvedTrainOptions,
  | 'pairs'
  | 'evalPairs'
  | 'personaTemplate'
  | 'chatTemplatePath'
  | 'adapter'
  | 'referenceAdapter'
  | 'referenceCache'
>;

/**
 * Checks that the files and folders that options name are there and are what they should be; their contents are
 * checked as far as that is quick.
 *
 * @throws ConfigError naming option and file; CheckpointError for a folder that is no adapter's
 */
export function checkInputs(options: Inputs): void {
  for (const file of options.pairs) checkFile('pairs', file);
  for (const file of options.evalPairs ?? []) checkFile('eval_pairs', file);
  if (options.chatTemplatePath !== null) checkFile('chat_template_path', options.chatTemplatePath);
  if (options.personaTemplate !== null) loadPersonaTemplate(options.personaTemplate);
  for (const folder of [options.adapter, options.referenceAdapter]) {
    if (folder !== null) openAdapter(folder).weights.close();
  }
  if (options.referenceCache !== null) makeWritableFolder('reference_cache', options.referenceCache);
}

/** @throws ConfigError naming the option when there is no such file, or a folder in its place */
export function checkFile(option: string, path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new ConfigError(`${option}: there is no file ${path}`);
  if (found.isDirectory()) throw new ConfigError(`${option}: ${path} is a folder; expected a file`);
}
