import { CommanderError } from 'commander';
import { CheckpointError, ConfigError, PersonaDpoError } from '../errors.js';

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** 128 + SIGINT, as shells have it. */
export const EXIT_INTERRUPTED = 130;

/** 2 for usage and configuration, 130 for an interrupt, 1 for what failed at run time. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  if (error instanceof ConfigError) return EXIT_USAGE;
  if (error instanceof Error && error.name === 'AbortError') return EXIT_INTERRUPTED;
  if (error instanceof CheckpointError && error.details.hub === 'aborted') return EXIT_INTERRUPTED;
  return EXIT_FAILED;
}

/** One paragraph for a person: what went wrong, and for an unexpected error where to look. */
export function describeError(error: unknown, { debug = false }: { debug?: boolean } = {}): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  const lines = [`error: ${error.message}`];
  if (debug) {
    lines.push(error.stack ?? '(no stack)');
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
      lines.push(`caused by: ${cause.stack ?? cause.message}`);
    }
  } else if (!(error instanceof PersonaDpoError) && !(error instanceof CommanderError)) {
    lines.push('This was not expected; --debug shows where it happened.');
  }
  return lines.join('\n');
}

/** The same for a program: what `--json` prints on standard output instead of a result. */
export function errorAsJson(error: unknown): string {
  const known = error instanceof PersonaDpoError;
  const message = error instanceof Error ? error.message : String(error);
  return JSON.stringify({
    error: { code: known ? error.code : 'UNEXPECTED', message, details: known ? error.details : {} },
  });
}
