import { type Command, Option } from 'commander';
import { foreignOptions } from '../train/foreign-options.js';
import { toFileName, toFlagName } from '../train/option-names.js';
import {
  describeTrainOptions,
  type FileOptions,
  type OptionHelp,
  optionsFromRecord,
  optionsFromYaml,
  parseFlagValue,
  type TrainOptions,
} from '../train/options.js';
import { readTextFlag } from './command.js';
import { optionFlag } from './schema-flags.js';

type FlagValue = string | string[] | boolean;

/**
 * Gives a command one flag for each training option, from the schema and in its groups. TRL's other names for
 * the same things work as flags, too, but are not listed.
 */
export function addTrainFlags(command: Command): void {
  let group = '';
  for (const option of describeTrainOptions()) {
    if (option.group !== group) command.optionsGroup(`${option.group}:`);
    group = option.group;
    command.addOption(trainFlag(option));
  }
  for (const name of Object.keys(foreignOptions)) {
    // TRL's debug has another meaning than our flag of that name; in a file it is passed over.
    if (!command.options.some(({ long }) => long === foreignFlag(name).long))
      command.addOption(foreignFlag(name));
  }
}

/**
 * The options that a call asks for: those of the `--config` file, with the flags over them. Checked for names
 * only; `resolveFileOptions` does the rest.
 */
export function readTrainFlags(command: Command, { config }: { config?: string | undefined }): FileOptions {
  const file =
    config === undefined
      ? { options: {}, notices: [] }
      : optionsFromYaml(readTextFlag(config, '--config'), config);
  const flags = optionsFromRecord(givenFlags(command), 'command line');
  return {
    options: { ...file.options, ...flags.options } as Partial<TrainOptions>,
    notices: [...file.notices, ...flags.notices],
  };
}

function trainFlag({ name, ...help }: OptionHelp): Option {
  return optionFlag({ ...help, flag: toFlagName(name) });
}

function foreignFlag(name: string): Option {
  return new Option(`--${name.replaceAll('_', '-')} [value]`).hideHelp();
}

/** The training options among a command's flags, by their names in files. */
function givenFlags(command: Command): Record<string, unknown> {
  const known = new Map<string, (value: FlagValue) => [string, unknown]>();
  for (const { name } of describeTrainOptions()) {
    known.set(name, (value) => [toFileName(name), parseFlagValue(name, value)]);
  }
  for (const name of Object.keys(foreignOptions)) {
    known.set(foreignFlag(name).attributeName(), (value) => [name, scalarOf(value)]);
  }
  const given: Record<string, unknown> = {};
  for (const [attribute, value] of Object.entries(command.opts<Record<string, FlagValue>>())) {
    const read = known.get(attribute);
    if (read === undefined) continue;
    const [name, parsed] = read(value);
    given[name] = parsed;
  }
  return given;
}

/** The value of a flag of TRL's, whose type we don't keep. */
function scalarOf(written: FlagValue): unknown {
  if (written === 'true') return true;
  if (written === 'false') return false;
  if (written === 'none' || written === 'null') return null;
  if (typeof written === 'string' && written !== '' && Number.isFinite(Number(written)))
    return Number(written);
  return written;
}
