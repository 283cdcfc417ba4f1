import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TokenizedPair } from '../../src/data/tokenize.js';
import { disposeAll, memory, type Tensor } from '../../src/runtime/tensor.js';
import { readMetrics } from '../../src/train/metrics-log.js';
import { loadBackbone, type RewardNetwork } from '../../src/train/reward/load-backbone.js';
import { rewardMetrics } from '../../src/train/reward/reward-metrics.js';
import { resolveTrainRewardOptions, type TrainRewardOptions } from '../../src/train/reward/reward-options.js';
import { evaluateRewards, trainOnRewards } from '../../src/train/reward/reward-pass.js';
import { trainReward } from '../../src/train/reward/train-reward.js';
import { GOLDEN_NOTE, goldenJson, goldenPath, withoutGolden } from '../support/golden.js';
import { worstError } from '../support/worst-error.js';

interface Golden {
  pairs: Record<'prompt' | 'chosen' | 'rejected', number[]>[];
  seqcls: { chosen: number; rejected: number }[];
  bradley_terry_loss: number;
  accuracy: number;
}

interface Trajectory {
  margins: number[] | null;
  center: number | null;
  accumulation: number;
  steps: Record<string, number>[];
  /** Of all responses after the last step. */
  rewards: number[];
}

interface TrlNumbers {
  gradients: {
    loss: number;
    total: number;
    by: Record<string, { norm: number; sum: number; first: number[] }>;
  };
  plain: Trajectory;
  margin: Trajectory;
  accumulated: Trajectory;
}

const trl = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'golden', 'rewards', 'trl-reward-trainer.json'), 'utf8'),
) as TrlNumbers;

/** Rows of the fused matrix of queries, keys and values. */
const QKV_ROWS = 72 + 24 + 24;

/** What PyTorch's parameters are here: the fused matrix, and which of its rows. */
const PLACES: Record<string, { id: string; rows?: [first: number, count: number] }> = {
  'score.weight': { id: 'score' },
  'model.norm.weight': { id: 'finalNorm' },
  'model.embed_tokens.weight': { id: 'embedding' },
  'model.layers.0.self_attn.q_proj.weight': { id: 'layers.0.qkv', rows: [0, 72] },
  'model.layers.0.input_layernorm.weight': { id: 'layers.0.inputNorm' },
  'model.layers.1.mlp.down_proj.weight': { id: 'layers.1.down' },
  'model.layers.2.self_attn.v_proj.weight': { id: 'layers.2.qkv', rows: [96, 24] },
  'model.layers.2.mlp.gate_proj.weight': { id: 'layers.2.gate' },
};

describe.skipIf(withoutGolden)(`the reference's reward model (${GOLDEN_NOTE})`, () => {
  let folder: string;
  let network: RewardNetwork;
  let golden: Golden;
  let pairs: TokenizedPair[];
  const passOptions = { centerRewardsCoefficient: null, tokenBudget: 4096 };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'reward-golden-'));
    golden = goldenJson<Golden>('reward.json');
    pairs = golden.pairs.map(({ prompt, chosen, rejected }, i) => ({
      id: `pair-${i}`,
      promptIds: prompt,
      chosenIds: chosen,
      rejectedIds: rejected,
    }));
    const options = resolveTrainRewardOptions({
      model: goldenPath('reward-seqcls'),
      pairs: 'none',
      outputDir: 'none',
      mode: 'full',
      dtype: 'float32',
    });
    network = await loadBackbone({ options, startedAt: new Date().toISOString(), hub: {} });
  });
  afterAll(() => {
    network.dispose();
    rmSync(folder, { recursive: true });
  });

  it.each([[4096], [1]])(
    'gives its rewards, loss and accuracy, in packed rows of at most %i tokens',
    async (tokenBudget) => {
      const before = memory().tensors;
      const { loaded, head } = network;
      const pass = await evaluateRewards(loaded.model, head, pairs, { ...passOptions, tokenBudget });
      expect(memory().tensors).toBe(before);
      const flat = (rewards: Golden['seqcls']) =>
        rewards.flatMap(({ chosen, rejected }) => [chosen, rejected]);
      expect(worstError(flat(pass.pairs), flat(golden.seqcls))).toBeLessThan(1e-5);
      const metrics = rewardMetrics(pass);
      expect(Math.abs(metrics.loss! - golden.bradley_terry_loss)).toBeLessThan(1e-5);
      expect(metrics.accuracy).toBeCloseTo(golden.accuracy, 6);
    },
  );

  it('has the gradients that PyTorch has, kept or computed anew', async () => {
    for (const recompute of [false, true]) {
      const before = memory().tensors;
      const gradients = new Map<string, { data: number[]; indices?: number[] }>();
      const { loaded, head } = network;
      const pass = await trainOnRewards(loaded.model, head, pairs, passOptions, {
        recompute: () => recompute,
        weight: 1,
        sink: (id, gradient: Tensor, rows) => {
          gradients.set(id, {
            data: gradient.toNumbers(),
            ...(rows && { indices: rows.indices.toNumbers() }),
          });
          disposeAll([gradient, rows?.indices]);
        },
      });
      expect(memory().tensors).toBe(before);
      expect(Math.abs(pass.loss - trl.gradients.loss)).toBeLessThan(1e-6);
      const squares = [...gradients.values()].map(({ data }) => data.reduce((sum, x) => sum + x * x, 0));
      const total = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
      expect(total / trl.gradients.total).toBeCloseTo(1, 5);
      for (const [name, known] of Object.entries(trl.gradients.by)) {
        const { id, rows } = PLACES[name]!;
        const { data } = gradients.get(id)!;
        const width = data.length / QKV_ROWS;
        const own = rows === undefined ? data : data.slice(rows[0] * width, (rows[0] + rows[1]) * width);
        const norm = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0));
        expect(norm / known.norm, name).toBeCloseTo(1, 4);
        const sum = own.reduce((all, x) => all + x, 0);
        expect(Math.abs(sum - known.sum), name).toBeLessThan(1e-4 * Math.max(1, known.norm));
        if (id !== 'embedding') expect(worstError(own.slice(0, 3), known.first), name).toBeLessThan(1e-3);
      }
    }
  });

  it.each(['plain', 'margin', 'accumulated'] as const)(
    "follows TRL's RewardTrainer for six steps, and ends with its rewards: %s",
    async (name) => {
      const { margins, center, accumulation, steps, rewards } = trl[name];
      const file = join(folder, `${name}.jsonl`);
      const rows = golden.pairs.map(({ prompt, chosen, rejected }, i) => ({
        prompt_ids: prompt,
        chosen_ids: chosen,
        rejected_ids: rejected,
        ...(margins !== null && { margin: margins[i] }),
      }));
      writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      const options: TrainRewardOptions = {
        model: goldenPath('reward-seqcls'),
        pairs: file,
        outputDir: join(folder, name),
        mode: 'full',
        dtype: 'float32',
        trainSamplingStrategy: 'sequential',
        perDeviceTrainBatchSize: 2 / accumulation,
        gradientAccumulationSteps: accumulation,
        centerRewardsCoefficient: center,
        learningRate: 1e-3,
        warmupSteps: 2,
        weightDecay: 0.1,
        maxSteps: 6,
        loggingSteps: 1,
        maxLength: null,
        saveStrategy: 'no',
      };
      const summary = await trainReward(options);
      const ours = readMetrics(join(folder, name, 'metrics.jsonl'));
      expect(ours).toHaveLength(steps.length);
      steps.forEach((known, i) => {
        for (const [metric, value] of Object.entries(known)) {
          const error = Math.abs((ours[i]![metric] as number) - value);
          const tolerance = 1e-4 * Math.max(1, Math.abs(value));
          expect(error, `${metric} at step ${i + 1}: ${ours[i]![metric]} for ${value}`).toBeLessThan(
            tolerance,
          );
        }
      });
      // What was saved is what was trained: it is loaded again and scores alike.
      const again = await loadBackbone({
        options: resolveTrainRewardOptions({ ...options, model: summary.model as string }),
        startedAt: new Date().toISOString(),
        hub: {},
      });
      const pass = await evaluateRewards(again.loaded.model, again.head, pairs, passOptions);
      again.dispose();
      const flat = pass.pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
      expect(worstError(flat, rewards)).toBeLessThan(2e-4);
    },
  );
});
