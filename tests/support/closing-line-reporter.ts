import { writeSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** Prints `N passed, N failed[, N skipped]` alone on the very last line: what a program reads of a whole run. */
export class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const line = closingLine(modules.map(countModule), unhandledErrors.length);
    // The other reporters have their say first.
    process.once('exit', () => {
      writeSync(1, `\n${line}\n`);
    });
  }
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The line; an error outside of any test counts as one that failed. */
export function closingLine(modules: readonly Counts[], errors: number): string {
  const sum = (key: keyof Counts) => modules.reduce((total, counts) => total + counts[key], 0);
  const skipped = sum('skipped');
  const counted = `${sum('passed')} passed, ${sum('failed') + errors} failed`;
  return skipped > 0 ? `${counted}, ${skipped} skipped` : counted;
}

function countModule(module: TestModule): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    if (state === 'passed' || state === 'skipped') counts[state] += 1;
    else counts.failed += 1;
  }
  // A file that does not load, or whose hook fails, has no failing test of its own.
  if (module.state() === 'failed' && counts.failed === 0) counts.failed = 1;
  return counts;
}
