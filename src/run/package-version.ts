import { readFileSync } from 'node:fs';

/** This package's version, from its manifest: two folders up, in the sources as in `dist`. */
export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
