import { type Command, Option } from 'commander';
import { toFileName, toFlagName } from '../train/option-names.js';
import type { FileOptions, GivenOptions, OptionFields, OptionSet } from '../train/option-set.js';
import { readTextFlag } from './command.js';
import { optionFlag } from './schema-flags.js';

type FlagValue = string | string[] | boolean;

/**
 * Gives a command one flag for each option of a set, from the schema and in its groups. TRL's other names for the
 * same things work as flags, too, but are not listed.
 */
export function addOptionFlags<Fields extends OptionFields>(command: Command, set: OptionSet<Fields>): void {
  let group = '';
  for (const { name, ...help } of set.describe()) {
    if (help.group !== group) command.optionsGroup(`${help.group}:`);
    group = help.group;
    command.addOption(optionFlag({ ...help, flag: toFlagName(name) }));
  }
  for (const name of Object.keys(set.foreign)) {
    // TRL's debug has another meaning than our flag of that name; in a file it is passed over.
    if (!command.options.some(({ long }) => long === foreignFlag(name).long))
      command.addOption(foreignFlag(name));
  }
}

/** The options that a call asks for: those of the `--config` file, with the flags over them. Checked for names only. */
export function readOptionFlags<Fields extends OptionFields>(
  command: Command,
  set: OptionSet<Fields>,
  { config }: { config?: string | undefined },
): FileOptions<GivenOptions<Fields>> {
  const file =
    config === undefined
      ? { options: {}, notices: [] }
      : set.fromYaml(readTextFlag(config, '--config'), config);
  const flags = set.fromRecord(givenFlags(command, set), 'command line');
  return {
    options: { ...file.options, ...flags.options } as Partial<GivenOptions<Fields>>,
    notices: [...file.notices, ...flags.notices],
  };
}

function foreignFlag(name: string): Option {
  return new Option(`--${name.replaceAll('_', '-')} [value]`).hideHelp();
}

/** The set's options among a command's flags, by their names in files. */
function givenFlags<Fields extends OptionFields>(
  command: Command,
  set: OptionSet<Fields>,
): Record<string, unknown> {
  const known = new Map<string, (value: FlagValue) => [string, unknown]>();
  for (const { name } of set.describe()) {
    known.set(name, (value) => [toFileName(name), set.parseFlag(name, value)]);
  }
  for (const name of Object.keys(set.foreign)) {
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
