/** mathjs, loaded when it is first needed. */
import { createRequire } from 'node:module';
import type { Complex, Fraction, MathJsInstance } from 'mathjs';

export type { Complex, Fraction };

let loaded: MathJsInstance | undefined;

/** Complex numbers, fractions and their functions. The package in one file, which loads ten times as fast as its parts. */
export function algebra(): MathJsInstance {
  loaded ??= createRequire(import.meta.url)('mathjs/lib/browser/math.js') as MathJsInstance;
  return loaded;
}
