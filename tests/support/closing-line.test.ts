import { describe, expect, it } from 'vitest';
import { closingLine } from './closing-line-reporter.js';

describe('the closing line of a run', () => {
  it('adds up the files, and leaves skipped ones out where there are none', () => {
    const counts = { passed: 2, failed: 1, skipped: 0 };
    expect(closingLine([counts, counts], 0)).toBe('4 passed, 2 failed');
    expect(closingLine([{ ...counts, skipped: 3 }], 0)).toBe('2 passed, 1 failed, 3 skipped');
    expect(closingLine([], 0)).toBe('0 passed, 0 failed');
  });

  it('counts errors outside of tests as failures', () => {
    expect(closingLine([{ passed: 1, failed: 0, skipped: 0 }], 2)).toBe('1 passed, 2 failed');
  });
});
