import { closest, distance } from 'fastest-levenshtein';

/** `learningRate` -> `learning_rate`: the name of an option in files, which is TRL's. */
export function toFileName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `learningRate` -> `learning-rate`: the name of an option as a flag. */
export function toFlagName(key: string): string {
  return toFileName(key).replaceAll('_', '-');
}

/** `learning_rate` or `learning-rate` -> `learningRate`: the name of an option in code. */
export function toCodeName(name: string): string {
  return name.replace(/[-_]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The known name that a typing mistake most likely meant, or `undefined` when none is close: at most a third of
 * its letters (and never fewer than two) may differ.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const nearest = closest(name, known);
  return distance(name, nearest) <= Math.max(2, Math.floor(nearest.length / 3)) ? nearest : undefined;
}
