/** Numbers among a benchmark's options. */

import { InvalidArgumentError } from 'commander';

export function count(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.');
  return number;
}

/** Comma-separated. */
export function counts(value: string): number[] {
  return value.split(',').map(count);
}
