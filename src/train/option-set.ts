/** A set of options with one schema: read from records and YAML files, checked, written down, told in help texts. */

import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { expectation } from './expectation.js';
import type { ForeignOption } from './foreign-options.js';
import { FIELD_GROUPS, type FieldMeta } from './option-fields.js';
import { nearestName, toCodeName, toFileName } from './option-names.js';
import { readWritten } from './written-value.js';

export type OptionFields = Readonly<Record<string, z.ZodType>>;
/** Options as they are given: what has a default may be left out. */
export type GivenOptions<Fields extends OptionFields> = z.input<z.ZodObject<Fields, z.core.$strict>>;
/** Options with their defaults, each checked by itself. */
export type CheckedOptions<Fields extends OptionFields> = z.output<z.ZodObject<Fields, z.core.$strict>>;

/** How option names are written in error messages: as in code, or as in files and flags. */
export type NameStyle = 'code' | 'file';

export interface FileOptions<Options = Record<string, unknown>> {
  /** Options by their names in code, not checked further yet. */
  options: Partial<Options>;
  /** Options of TRL that were passed over: they ask for what is done here anyway, or change nothing about it. */
  notices: string[];
}

/** Name, group, placeholder and description of an option, and its default as text. */
export interface OptionHelp extends FieldMeta {
  name: string;
  /** The default, `undefined` where an option must be given or its description tells the default. */
  defaultText: string | undefined;
}

export class OptionSet<Fields extends OptionFields> {
  readonly #fields: Fields;
  readonly #schema: z.ZodObject<Fields, z.core.$strict>;
  /** TRL's names that are not ours, and what becomes of them. */
  readonly foreign: Readonly<Record<string, ForeignOption>>;

  /** @param fields Schemas with {@link FieldMeta}, by the options' names in code */
  constructor(fields: Fields, foreign: Readonly<Record<string, ForeignOption>>) {
    this.#fields = fields;
    this.#schema = z.strictObject(fields);
    this.foreign = foreign;
  }

  /**
   * Reads options by their names in files (`learning_rate`), which may be TRL's names for them (`bf16: true`).
   * Unknown names and values that can't be had are errors; the values are checked by {@link check}.
   */
  fromRecord(
    record: Readonly<Record<string, unknown>>,
    source = 'options',
  ): FileOptions<GivenOptions<Fields>> {
    const options: Record<string, unknown> = {};
    const problems: string[] = [];
    const notices: string[] = [];
    const translated: Record<string, unknown> = {};

    for (const [name, value] of Object.entries(record)) {
      const key = toCodeName(name);
      const foreign = this.foreign[name];
      if (Object.hasOwn(this.#fields, key) && toFileName(key) === name) options[key] = value;
      else if (foreign === undefined) problems.push(this.#unknownName(name, 'file'));
      else if (foreign.kind === 'refused')
        problems.push(`${name} is an option of TRL that is not used here: ${foreign.reason}`);
      else if (foreign.kind === 'ignored') notices.push(`${name} is passed over: ${foreign.reason}`);
      else if (foreign.kind === 'fixed') {
        if (foreign.accepted.includes(value)) notices.push(`${name}: ${foreign.reason}`);
        else problems.push(`${name}: ${JSON.stringify(value)} is not possible here: ${foreign.reason}`);
      } else {
        const result = foreign.translate(value);
        if (typeof result === 'string') problems.push(`${name}: ${result}`);
        else for (const [target, to] of Object.entries(result)) translated[toCodeName(target)] = to;
      }
    }
    if (problems.length > 0) throw new ConfigError(listed(source, problems), { details: { problems } });
    // Our own name wins over another spelling of it in the same place.
    return { options: { ...translated, ...options } as Partial<GivenOptions<Fields>>, notices };
  }

  /** Reads a configuration file's text: YAML with one option a line, unchecked but for the names. */
  fromYaml(yaml: string, source = 'configuration'): FileOptions<GivenOptions<Fields>> {
    let document: unknown;
    try {
      document = parse(yaml, { prettyErrors: true });
    } catch (cause) {
      throw new ConfigError(`${source} is not valid YAML: ${(cause as Error).message}`, { cause });
    }
    if (document === null || document === undefined) return { options: {}, notices: [] };
    if (typeof document !== 'object' || Array.isArray(document)) {
      throw new ConfigError(
        `${source}: expected lines of "option: value", got ${Array.isArray(document) ? 'a list' : typeof document}`,
      );
    }
    return this.fromRecord(document as Record<string, unknown>, source);
  }

  /**
   * Checks options one by one and fills in their defaults.
   *
   * @throws ConfigError that names every wrong option, what was expected and what came; for an unknown option the
   * nearest known one
   */
  check(input: Partial<GivenOptions<Fields>>, style: NameStyle): CheckedOptions<Fields> {
    // An option given as `undefined` is one that was not given.
    const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
    const parsed = this.#schema.safeParse(given);
    if (!parsed.success) {
      throw optionsError(parsed.error.issues.flatMap((issue) => this.#describeIssue(issue, given, style)));
    }
    return parsed.data as CheckedOptions<Fields>;
  }

  /** The text of `config.yaml`: every option as resolved, by its name in files, in groups. */
  toYaml(options: Readonly<Record<string, unknown>>): string {
    const all = this.describe();
    return FIELD_GROUPS.flatMap((group) => {
      const members = all.filter((option) => option.group === group);
      if (members.length === 0) return [];
      const lines = members.map(({ name }) => stringify({ [toFileName(name)]: options[name] }).trimEnd());
      return [`# ${group}`, ...lines, ''];
    }).join('\n');
  }

  /** All options in the order of the schema, for help texts. */
  describe(): OptionHelp[] {
    return Object.entries(this.#fields).map(([name, schema]) => {
      const meta = schema.meta() as unknown as FieldMeta;
      const byDefault: unknown = schema.safeParse(undefined).data;
      return {
        ...meta,
        name,
        defaultText: byDefault === undefined || byDefault === null ? undefined : String(byDefault),
      };
    });
  }

  /** The value that a flag's text stands for, see `readWritten`. */
  parseFlag(name: string, written: string | readonly string[] | boolean): unknown {
    return readWritten(this.#fields[name] as z.ZodType, written);
  }

  /** Whether an option is what it would be if it had not been given. */
  isDefault(name: keyof Fields & string, value: unknown): boolean {
    const byDefault: unknown = (this.#fields[name] as z.ZodType).safeParse(undefined).data;
    return JSON.stringify(value) === JSON.stringify(byDefault);
  }

  /** Writes the code names in a message of another module as `style` has them. */
  renamed(message: string, style: NameStyle): string {
    if (style === 'code') return message;
    return message.replace(/\b[a-z]+(?:[A-Z][a-z]*)+\b/g, (word) =>
      Object.hasOwn(this.#fields, word) ? toFileName(word) : word,
    );
  }

  #describeIssue(issue: z.core.$ZodIssue, given: Record<string, unknown>, style: NameStyle): string[] {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => this.#unknownName(key, style));
    const key = String(issue.path[0]);
    const name = nameIn(style, key);
    if (!Object.hasOwn(given, key)) {
      const help = this.describe().find((option) => option.name === key);
      return [`${name} is required: ${help?.description ?? ''}`];
    }
    const value = JSON.stringify(given[key]);
    return [`${name}: expected ${expectation(issue)}, got ${value}`];
  }

  #unknownName(name: string, style: NameStyle): string {
    const ours = Object.keys(this.#fields).map((key) => nameIn(style, key));
    const nearest = nearestName(name, ours);
    return `unknown option ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
  }
}

export function nameIn(style: NameStyle, key: string): string {
  return style === 'code' ? key : toFileName(key);
}

/** The error of options that cannot be used, with all that is wrong about them. */
export function optionsError(problems: readonly string[]): ConfigError {
  return new ConfigError(listed('options', problems), { details: { problems } });
}

function listed(source: string, problems: readonly string[]): string {
  return problems.length === 1
    ? `${source}: ${problems[0]}`
    : `${source}: ${problems.length} problems\n${problems.map((problem) => `  - ${problem}`).join('\n')}`;
}
