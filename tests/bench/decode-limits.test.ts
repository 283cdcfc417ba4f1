import { expect, it } from 'vitest';
import { decodeLimits } from '../../bench/support/decode-limits.js';
import { SMOLLM2_135M } from '../../bench/support/random-model.js';

it("limits of decoding follow from the model's 134,479,872 weights in matrices", () => {
  const rates = { bytesPerSecond: 2 * 134_479_872, flopsPerSecond: 2 * 134_479_872 };
  const one = decodeLimits(SMOLLM2_135M, { sequences: 1, context: 0 }, rates);
  expect(one).toEqual({ memoryTokensPerSecond: 1, matmulTokensPerSecond: 1 });
  const many = decodeLimits(SMOLLM2_135M, { sequences: 64, context: 500 }, rates);
  expect(many.memoryTokensPerSecond).toBe(64);
  // Scores and their sums over values: 4 x 30 layers x 500 tokens x 9 heads x 64 numbers.
  expect(many.matmulTokensPerSecond).toBeCloseTo(1 / (1 + 34_560_000 / 268_959_744), 10);
});
