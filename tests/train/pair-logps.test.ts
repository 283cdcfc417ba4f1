import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TokenizedPair } from '../../src/data/tokenize.js';
import { type LoadedModel, loadModel } from '../../src/models/load-model.js';
import { memory } from '../../src/runtime/tensor.js';
import { type PairLogpsOptions, pairLogps } from '../../src/train/pair-logps.js';

const references = process.env.PERSONA_DPO_REFERENCE_DIR ?? '';
const golden = join(references, 'reference/golden');

interface Cases {
  pairs: { prompt: number[]; chosen: number[]; rejected: number[] }[];
  token_logps: { policy_chosen: number[]; policy_rejected: number[] }[];
}

describe.skipIf(references === '')('pairLogps (needs PERSONA_DPO_REFERENCE_DIR)', () => {
  let loaded: LoadedModel;
  let pairs: TokenizedPair[];
  let expected: Cases['token_logps'];

  beforeAll(async () => {
    const cases = JSON.parse(readFileSync(join(golden, 'dpo-cases.json'), 'utf8')) as Cases;
    expected = cases.token_logps;
    pairs = cases.pairs.map(({ prompt, chosen, rejected }, i) => ({
      id: `${i}`,
      promptIds: prompt,
      chosenIds: chosen,
      rejectedIds: rejected,
    }));
    loaded = await loadModel(join(golden, 'llama31'), { dtype: 'float32', device: 'cpu' });
  });
  afterAll(() => loaded?.dispose());

  const collect = async (options: PairLogpsOptions) => {
    const all = [];
    for await (const logps of pairLogps(loaded.model, pairs, options)) all.push(logps);
    return all;
  };

  test.each([
    ['all in one pass', 4096],
    ['two passes', 160],
    ['a pass for each pair', 1],
  ])('%s: the values of transformers, in order', async (_name, tokenBudget) => {
    const all = await collect({ tokenBudget });
    expect(all.map(({ pair }) => pair.id)).toEqual(pairs.map(({ id }) => id));
    all.forEach(({ chosenLogps, rejectedLogps }, i) => {
      const { policy_chosen, policy_rejected } = expected[i] as Cases['token_logps'][number];
      expect(chosenLogps).toHaveLength(policy_chosen.length);
      expect(rejectedLogps).toHaveLength(policy_rejected.length);
      for (const [t, value] of policy_chosen.entries()) expect(chosenLogps[t]).toBeCloseTo(value, 3);
      for (const [t, value] of policy_rejected.entries()) expect(rejectedLogps[t]).toBeCloseTo(value, 3);
    });
  });

  test('leaves no tensors behind, even when it is left early', async () => {
    const before = memory().tensors;
    await collect({});
    for await (const _ of pairLogps(loaded.model, pairs, { tokenBudget: 1 })) break;
    expect(memory().tensors).toBe(before);
  });

  test('stops at a signal', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const run = async () => {
      for await (const { pair } of pairLogps(loaded.model, pairs, {
        tokenBudget: 1,
        signal: controller.signal,
      })) {
        seen.push(pair.id);
        controller.abort();
      }
    };
    await expect(run()).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    expect(seen).toEqual(['0']);
  });
});
