import { type Command, Option } from 'commander';
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { innerSchema, isRecord } from '../run/config/option-tree.js';
import { toFlagName } from '../train/option-names.js';
import { readWritten } from '../train/written-value.js';

type FlagValue = string | string[] | boolean;

/** What a flag of an option shows in the help. */
export interface FlagHelp {
  /** `learning-rate`. */
  flag: string;
  /** `NUMBER`, `FILE...`, `BOOL`. */
  placeholder: string;
  description: string;
  /** The default as text; undefined where there is none, or the description tells it. */
  defaultText?: string | undefined;
}

/** A flag for an option: one that may be switched on without a value, takes several values, or takes one. */
export function optionFlag({ flag, placeholder, description, defaultText }: FlagHelp): Option {
  const value = placeholder.startsWith('BOOL') ? '[BOOL]' : `<${placeholder}>`;
  const byDefault = defaultText === undefined ? '' : ` (default: ${defaultText})`;
  return new Option(`--${flag} ${value}`, `${description}${byDefault}`);
}

/** An option of a schema; those of a section inside it have a path of several names. */
interface SchemaOption {
  path: string[];
  schema: z.ZodType;
}

export interface SchemaFlagsOptions {
  /** Goes before the names: `llm` makes `--llm-model`. Default: nothing. */
  prefix?: string;
  /** Options, by their names in code, that get no flag. Default: none. */
  without?: readonly string[];
}

/** Gives a command a flag for each option of a schema. */
export function addSchemaFlags(
  command: Command,
  schema: z.ZodType,
  { prefix, without = [] }: SchemaFlagsOptions = {},
): Command {
  for (const { path, schema: option } of schemaOptions(schema)) {
    if (without.includes(path[0] as string)) continue;
    const byDefault: unknown = option.safeParse(undefined).data;
    command.addOption(
      optionFlag({
        flag: flagName(path, prefix),
        placeholder: placeholderOf(option),
        description: descriptionOf(option),
        defaultText: isRecord(byDefault) ? undefined : textOf(byDefault),
      }),
    );
  }
  return command;
}

/** The options that were given as flags, by their names in code; their values are not checked yet. */
export function readSchemaFlags(
  command: Command,
  schema: z.ZodType,
  { prefix, without = [] }: SchemaFlagsOptions = {},
): Record<string, unknown> {
  const given = command.opts<Record<string, FlagValue>>();
  const options: Record<string, unknown> = {};
  for (const { path, schema: option } of schemaOptions(schema)) {
    if (without.includes(path[0] as string)) continue;
    const flag = flagName(path, prefix);
    const written = given[new Option(`--${flag}`).attributeName()];
    if (written === undefined) continue;
    setAt(options, path, givenValue(option, written, flag));
  }
  return options;
}

function flagName(path: readonly string[], prefix: string | undefined): string {
  return [...(prefix === undefined ? [] : [prefix]), ...path].map(toFlagName).join('-');
}

/** The options of a schema; of several objects that it may be, those of all. */
function schemaOptions(schema: z.ZodType, path: string[] = []): SchemaOption[] {
  const inner = innerSchema(schema);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([name, option]) =>
      schemaOptions(option, [...path, name]),
    );
  }
  if (inner instanceof z.ZodUnion && hasObjects(inner)) return unionOptions(inner, path);
  return [{ path, schema }];
}

function hasObjects(schema: z.ZodUnion): boolean {
  return (schema.options as readonly z.ZodType[]).every(
    (option) => innerSchema(option) instanceof z.ZodObject,
  );
}

function unionOptions(schema: z.ZodUnion, path: string[]): SchemaOption[] {
  const found = new Map<string, SchemaOption[]>();
  for (const option of schema.options as readonly z.ZodType[]) {
    for (const each of schemaOptions(option, path)) {
      const name = each.path.join('.');
      found.set(name, [...(found.get(name) ?? []), each]);
    }
  }
  return [...found.values()].map((same) => {
    const [first] = same as [SchemaOption, ...SchemaOption[]];
    const literals = same
      .map((each) => innerSchema(each.schema))
      .filter((each) => each instanceof z.ZodLiteral);
    if (literals.length < 2) return first;
    const described = same.map(({ schema: each }, i) => `${literals[i]?.value}: ${descriptionOf(each)}`);
    return { path: first.path, schema: z.union(literals).describe(described.join(' ')) };
  });
}

function placeholderOf(schema: z.ZodType): string {
  const given = schema.meta()?.placeholder;
  if (typeof given === 'string') return given;
  const inner = innerSchema(schema);
  if (inner instanceof z.ZodNumber) return 'NUMBER';
  if (inner instanceof z.ZodBoolean) return 'BOOL';
  if (inner instanceof z.ZodEnum) return inner.options.join('|');
  if (inner instanceof z.ZodLiteral) return [...inner.values].map(String).join('|');
  if (inner instanceof z.ZodArray) return `${placeholderOf(inner.element as z.ZodType)}...`;
  if (inner instanceof z.ZodRecord) return 'NAME=VALUE...';
  if (inner instanceof z.ZodUnion) {
    const each = (inner.options as readonly z.ZodType[]).map(placeholderOf);
    const list = each.find((placeholder) => placeholder.endsWith('...'));
    return list ?? [...new Set(each)].join('|');
  }
  return 'TEXT';
}

function descriptionOf(schema: z.ZodType): string {
  return schema.description ?? (innerSchema(schema).description || '');
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  return Array.isArray(value) ? value.join(', ') || undefined : String(value);
}

function givenValue(schema: z.ZodType, written: FlagValue, flag: string): unknown {
  const inner = innerSchema(schema);
  if (inner instanceof z.ZodRecord && Array.isArray(written)) {
    return Object.fromEntries(written.map((word) => nameAndValue(word, inner.valueType as z.ZodType, flag)));
  }
  const value = readWritten(schema, written);
  const isList = Array.isArray(written) && !Array.isArray(value);
  return isList && !schema.safeParse(value).success ? [value] : value;
}

function nameAndValue(word: string, schema: z.ZodType, flag: string): [string, unknown] {
  const at = word.indexOf('=');
  if (at < 1) throw new ConfigError(`--${flag}: expected NAME=VALUE, got ${word}`);
  return [word.slice(0, at), readWritten(schema, word.slice(at + 1))];
}

function setAt(options: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first = '', ...rest] = path;
  if (rest.length === 0) options[first] = value;
  else {
    const section = isRecord(options[first]) ? options[first] : {};
    options[first] = section;
    setAt(section, rest, value);
  }
}
