/** Jinja as `transformers` sets it up: `trim_blocks`, `lstrip_blocks`, `raise_exception`, `strftime_now`. */
import { readFileSync } from 'node:fs';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { ConfigError, DataError } from '../errors.js';

/**
 * Compiles Jinja source to a function of its variables. The date is written in English whatever the locale, as
 * Python does it.
 */
export function compileJinja(
  source: string,
  what: string,
  now?: Date,
): (variables: Record<string, unknown>) => string {
  let program: ReturnType<typeof parse>;
  try {
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    throw new ConfigError(`The ${what} is not valid Jinja: ${(error as Error).message}`, { cause: error });
  }
  return (variables) => {
    const environment = new Environment();
    const globals = {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range,
      raise_exception: (message: string) => {
        throw new Error(message);
      },
      strftime_now: (format: string) => strftime(now ?? new Date(), format),
    };
    for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
    try {
      return String(new Interpreter(environment).run(program).value);
    } catch (error) {
      throw new DataError(`The ${what} cannot render this: ${(error as Error).message}`, { cause: error });
    }
  };
}

/** A template file's text, without the byte order mark an editor may have put before it. */
export function readTemplateFile(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw new ConfigError(`The ${what} ${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Python's `range`. */
function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new Error('range() arg 3 must not be zero');
  return Array.from(
    { length: Math.max(0, Math.ceil((to - from) / step)) },
    (_, index) => from + index * step,
  );
}

const MONTHS = 'January February March April May June July August September October November December'.split(
  ' ',
);
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** Python's `strftime` in the C locale, local time. */
function strftime(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const fields: Record<string, string> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    b: (MONTHS[date.getMonth()] as string).slice(0, 3),
    B: MONTHS[date.getMonth()] as string,
    a: (DAYS[date.getDay()] as string).slice(0, 3),
    A: DAYS[date.getDay()] as string,
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? 'AM' : 'PM',
    '%': '%',
  };
  return format.replace(/%(.)/g, (whole, letter: string) => fields[letter] ?? whole);
}
