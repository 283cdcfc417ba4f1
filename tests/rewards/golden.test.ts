/** Exported reward models against transformers: see reference/generate.py, section 4. */

import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RewardDType } from '../../src/rewards/export/export-options.js';
import { exportRewardModel } from '../../src/rewards/export/export-reward-model.js';
import { GOLDEN_NOTE, goldenJson, goldenPath, withoutGolden } from '../support/golden.js';
import { scoreIds } from './score-ids.js';

interface Scores {
  chosen: number;
  rejected: number;
}

interface Golden {
  pairs: { prompt: number[]; chosen: number[]; rejected: number[] }[];
  seqcls: Scores[];
  athene: Scores[];
  athene_marker: number;
}

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-reward-golden-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(withoutGolden)(`rewards of the reference models (${GOLDEN_NOTE})`, () => {
  let golden: Golden;
  const models = { seqcls: '', athene: join(folder, 'athene') };
  beforeAll(() => {
    golden = goldenJson<Golden>('reward.json');
    models.seqcls = goldenPath('reward-seqcls');
    mkdirSync(models.athene);
    cpSync(goldenPath('reward-athene.safetensors'), join(models.athene, 'model.safetensors'));
    cpSync(goldenPath('reward-athene.config.json'), join(models.athene, 'config.json'));
  });

  const exported = async (model: 'seqcls' | 'athene', dtype: RewardDType) => {
    const output = join(folder, `${model}-${dtype}`);
    await exportRewardModel({ model: models[model], output, dtype });
    const groups = golden.pairs.map(({ prompt, chosen, rejected }) =>
      [chosen, rejected].map((answer) => [
        ...prompt,
        ...answer,
        ...(model === 'athene' ? [golden.athene_marker] : []),
      ]),
    );
    return { output, groups, expected: golden[model].map((scores) => [scores.chosen, scores.rejected]) };
  };

  test.each(['seqcls', 'athene'] as const)(
    '%s in float32: within 1e-4, the context shared or not',
    async (model) => {
      const { output, groups, expected } = await exported(model, 'float32');
      const shared = await scoreIds(output, groups);
      const apart = await scoreIds(output, groups, { share: false });
      const small = await scoreIds(output, groups, { batchTokens: 40 });
      expect(worst(shared, expected)).toBeLessThan(1e-4);
      expect(worst(shared, apart)).toBeLessThan(1e-5);
      expect(worst(shared, small)).toBeLessThan(1e-5);
    },
  );

  test.each([
    ['seqcls', 'float16', 5e-3],
    ['athene', 'float16', 5e-3],
    ['seqcls', 'int8', 0.1],
    ['athene', 'int8', 0.1],
  ] as const)('%s in %s: within %d, and every pair in the same order', async (model, dtype, tolerance) => {
    const { output, groups, expected } = await exported(model, dtype);
    const scores = await scoreIds(output, groups);
    expect(worst(scores, expected)).toBeLessThan(tolerance);
    const order = (each: readonly number[][]) => each.map(([chosen = 0, rejected = 0]) => chosen > rejected);
    expect(order(scores)).toEqual(order(expected));
  });
});

function worst(a: readonly number[][], b: readonly number[][]): number {
  return Math.max(...a.flat().map((value, i) => Math.abs(value - (b.flat()[i] as number))));
}
