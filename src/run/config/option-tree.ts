/** Options of nested zod schemas by their names in files: `camelCase` in code is `snake_case` in files. */

import { z } from 'zod';
import { nearestName, toCodeName, toFileName } from '../../train/option-names.js';

export type OptionPath = readonly (string | number)[];

/** Something wrong with an option; `path` by the names in the file. */
export interface OptionProblem {
  path: OptionPath;
  message: string;
}

/** The schema inside of defaults, optionals and transformations. */
export function innerSchema(schema: z.ZodType): z.ZodType {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodNonOptional
  ) {
    return innerSchema(schema.unwrap() as z.ZodType);
  }
  if (schema instanceof z.ZodPipe) {
    const { in: before, out: after } = schema.def;
    return innerSchema((before instanceof z.ZodTransform ? after : before) as z.ZodType);
  }
  return schema;
}

/** The options of an object's schema; of several objects that it may be, the one that `value` is meant for. */
export function shapeFor(schema: z.ZodType, value: unknown): Readonly<Record<string, z.ZodType>> | undefined {
  const inner = innerSchema(schema);
  if (inner instanceof z.ZodObject) return inner.shape as Record<string, z.ZodType>;
  if (!(inner instanceof z.ZodUnion)) return undefined;
  const options = inner.options as readonly z.ZodType[];
  const shapes = options.map((option) => shapeFor(option, value)).filter((shape) => shape !== undefined);
  const given = isRecord(value) ? Object.entries(value) : [];
  // A given constant (`kind: server`) tells most; then how many of the names are known.
  const likeness = (shape: Readonly<Record<string, z.ZodType>>) =>
    given.reduce((sum, [name, item]) => {
      const option = shape[toCodeName(name)];
      if (option === undefined) return sum;
      const constant = innerSchema(option) instanceof z.ZodLiteral;
      return sum + (constant ? (option.safeParse(item).success ? 1000 : -1000) : 1);
    }, 0);
  return shapes.sort((a, b) => likeness(b) - likeness(a))[0];
}

/** The schema of a list's items or of a record's values. */
function itemSchema(schema: z.ZodType): z.ZodType | undefined {
  const inner = innerSchema(schema);
  if (inner instanceof z.ZodArray) return inner.element as z.ZodType;
  if (inner instanceof z.ZodRecord) return inner.valueType as z.ZodType;
  if (inner instanceof z.ZodUnion) {
    const options = inner.options as readonly z.ZodType[];
    return options.map(itemSchema).find((item) => item !== undefined);
  }
  return undefined;
}

/** A file's value with its names as in code; a name that the schema does not have is a problem. */
export function toCodeNames(
  schema: z.ZodType,
  value: unknown,
  problems: OptionProblem[],
  path: OptionPath = [],
): unknown {
  const item = itemSchema(schema);
  if (Array.isArray(value)) {
    return item === undefined
      ? value
      : value.map((each, i) => toCodeNames(item, each, problems, [...path, i]));
  }
  if (!isRecord(value)) return value;
  const shape = shapeFor(schema, value);
  const converted: Record<string, unknown> = {};
  for (const [name, each] of Object.entries(value)) {
    const at = [...path, name];
    const key = toCodeName(name);
    const option = shape?.[key];
    if (option !== undefined && toFileName(key) === name) {
      converted[key] = toCodeNames(option, each, problems, at);
    } else if (shape === undefined && item !== undefined) {
      converted[name] = toCodeNames(item, each, problems, at);
    } else if (shape === undefined) converted[name] = each;
    else problems.push({ path: at, message: unknownOption(name, Object.keys(shape).map(toFileName)) });
  }
  return converted;
}

/** The reverse: a value by its names in files. */
export function toFileNames(schema: z.ZodType, value: unknown): unknown {
  const item = itemSchema(schema);
  if (Array.isArray(value)) return item === undefined ? value : value.map((each) => toFileNames(item, each));
  if (!isRecord(value)) return value;
  const shape = shapeFor(schema, toFileKeys(value));
  const pairs = Object.entries(value).map(([key, each]) => {
    const option = shape?.[key];
    if (option !== undefined) return [toFileName(key), toFileNames(option, each)];
    return [key, item === undefined ? each : toFileNames(item, each)];
  });
  return Object.fromEntries(pairs.filter(([, each]) => each !== undefined));
}

const toFileKeys = (value: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(value).map(([key, each]) => [toFileName(key), each]));

/** A path by the names in files of one by the names in code. */
export function toFilePath(path: OptionPath): OptionPath {
  return path.map((part) => (typeof part === 'string' ? toFileName(part) : part));
}

export function unknownOption(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? `; known are ${known.join(', ')}` : `; did you mean ${nearest}?`;
  return `unknown option ${name}${hint}`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
