import type { Command } from 'commander';
import { type FileOptions, trainOptionSet } from '../train/options.js';
import { addOptionFlags, readOptionFlags } from './option-flags.js';

/** Gives a command one flag for each training option, see `addOptionFlags`. */
export function addTrainFlags(command: Command): void {
  addOptionFlags(command, trainOptionSet);
}

/** The training options that a call asks for; `resolveFileOptions` does the rest. */
export function readTrainFlags(command: Command, config: { config?: string | undefined }): FileOptions {
  return readOptionFlags(command, trainOptionSet, config);
}
