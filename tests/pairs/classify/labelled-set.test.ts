import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { calibrationRequests } from '../../../src/pairs/classify/calibration.js';
import { DEFAULT_CLASSIFICATION_TEMPLATE } from '../../../src/pairs/prompts/classification.js';
import { FOLLOW_UP_TYPES } from '../../../src/pairs/rows.js';

const rows = readFileSync(join(import.meta.dirname, '../../../examples/classify/labelled.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as { previous: string; current: string; type: string });

describe('the labelled set', () => {
  it('has at least 120 pairs, all different, and at least 30 of each type', () => {
    expect(rows.length).toBeGreaterThanOrEqual(120);
    expect(new Set(rows.map(({ previous, current }) => JSON.stringify([previous, current]))).size).toBe(
      rows.length,
    );
    for (const type of FOLLOW_UP_TYPES) {
      expect(rows.filter((row) => row.type === type).length).toBeGreaterThanOrEqual(30);
    }
    expect(rows.every(({ type }) => (FOLLOW_UP_TYPES as readonly string[]).includes(type))).toBe(true);
  });

  it('shares no pair with the examples of the prompt and of the calibration', () => {
    const calibration = new Set(calibrationRequests('examples').map((pair) => JSON.stringify(pair)));
    for (const { previous, current } of rows) {
      expect(calibration.has(JSON.stringify([previous, current]))).toBe(false);
      expect(DEFAULT_CLASSIFICATION_TEMPLATE).not.toContain(`: ${previous}\nSecond request: ${current}\n`);
    }
  });
});
