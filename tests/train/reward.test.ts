import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PreferencePair } from '../../src/data/pairs.js';
import { tokenizePairs } from '../../src/data/tokenize.js';
import { memory, type Tensor, tensor } from '../../src/runtime/tensor.js';
import { loadBackbone } from '../../src/train/reward/load-backbone.js';
import { resolveTrainRewardOptions, type TrainRewardOptions } from '../../src/train/reward/reward-options.js';
import { evaluateRewards, trainOnRewards } from '../../src/train/reward/reward-pass.js';
import type { TrainableParameter } from '../../src/train/trainable-parameters.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { worstError } from '../support/worst-error.js';
import {
  modelBytes,
  openRewardWorkshop,
  type RewardRun,
  type RewardWorkshop,
  wordPairs,
} from './reward-support.js';

let workshop: RewardWorkshop;
beforeAll(() => {
  workshop = openRewardWorkshop();
});
afterAll(() => workshop.close());

/** The rewards of all pairs under a saved model, chosen and rejected in turn. */
async function rewardsOf(model: string, pairs: readonly PreferencePair[], persona = true): Promise<number[]> {
  const options = resolveTrainRewardOptions({
    ...workshop.options('none'),
    model,
    mode: 'head',
  });
  const network = await loadBackbone({ options, startedAt: new Date().toISOString(), hub: {} });
  const given = persona ? pairs : pairs.map(({ persona: _, ...pair }) => pair);
  const { tokenized } = tokenizePairs(given, network.loaded.tokenizer!, { maxLength: 512 });
  const pass = await evaluateRewards(network.loaded.model, network.head, tokenized, {
    centerRewardsCoefficient: null,
    tokenBudget: 2048,
  });
  network.dispose();
  return pass.pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
}

describe('what is trained', () => {
  it.each(['lora', 'full'] as const)(
    'in mode %s ranks by what each persona says, and leaves no tensor behind',
    async (mode) => {
      const before = memory().tensors;
      const fresh = wordPairs(24, 2) as PreferencePair[];
      const run = await workshop.run(`learns-${mode}`, {
        mode,
        pairs: workshop.write('many.jsonl', wordPairs(64)),
        evalPairs: workshop.write('fresh.jsonl', fresh),
        perDeviceTrainBatchSize: 8,
        maxSteps: 40,
        learningRate: 5e-3,
        loraTargetModules: 'all-linear',
        saveStrategy: 'no',
        loggingSteps: 20,
      });
      expect(memory().tensors).toBe(before);
      const last = run.rows.at(-1)!;
      expect(last.eval_accuracy).toBeGreaterThan(0.85);
      expect(run.summary.heldOut).toEqual({
        pairs: 24,
        correct: Math.round((last.eval_accuracy as number) * 24),
      });
      // Without the personas nothing tells which of the two is wanted.
      const rewards = await rewardsOf(run.summary.model!, fresh, false);
      const right = fresh.filter((_, i) => rewards[2 * i]! > rewards[2 * i + 1]!).length;
      expect(right).toBeLessThan(17);
    },
  );

  it('in mode head ranks by what the model sees anyway: which answer is short', async () => {
    const brief = (count: number, seed: number) => wordPairs(2 * count, seed).filter((_, i) => i % 2 === 0);
    const before = memory().tensors;
    const run = await workshop.run('learns-head', {
      mode: 'head',
      pairs: workshop.write('brief.jsonl', brief(64, 1)),
      evalPairs: workshop.write('brief-fresh.jsonl', brief(24, 2)),
      perDeviceTrainBatchSize: 16,
      maxSteps: 60,
      learningRate: 0.05,
      saveStrategy: 'no',
      loggingSteps: 20,
    });
    expect(memory().tensors).toBe(before);
    expect(run.rows.at(-1)?.eval_accuracy).toBeGreaterThan(0.85);
  });

  it('begins at rewards of 0, where the loss is log 2', async () => {
    const { rows } = await workshop.run('begins', { maxSteps: 1 });
    expect(rows[0]).toMatchObject({ margin: 0, mean_reward: 0, accuracy: 0 });
    expect(rows[0]?.loss).toBeCloseTo(Math.LN2, 12);
  });

  it('under LoRA is the same merged, saved and loaded as it was with the adapter', async () => {
    const pairs = join(workshop.folder, 'pairs.jsonl');
    const run = await workshop.run('merged', {
      mode: 'lora',
      loraTargetModules: 'all-linear',
      evalPairs: pairs,
      maxSteps: 20,
    });
    const rewards = await rewardsOf(run.summary.model!, wordPairs(24) as PreferencePair[]);
    const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
    const { eval_mean_reward, eval_min_reward, eval_max_reward } = run.rows.at(-1)!;
    const known = [eval_mean_reward, eval_min_reward, eval_max_reward] as number[];
    expect(worstError([mean, Math.min(...rewards), Math.max(...rewards)], known)).toBeLessThan(1e-4);
    const config = JSON.parse(readFileSync(join(run.summary.adapter!, 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({ task_type: 'SEQ_CLS', modules_to_save: ['score'], r: 16 });
  });

  it('in bfloat16 saves the sum of weight and update in float32, which keeps small updates', async () => {
    const run = await workshop.run('wide', { dtype: 'bfloat16', maxSteps: 1 });
    expect(modelBytes(run).includes('"dtype":"F32"')).toBe(true);
    expect(modelBytes(run).includes('"dtype":"BF16"')).toBe(false);
    const full = await workshop.run('narrow', { dtype: 'bfloat16', mode: 'full', maxSteps: 1 });
    expect(modelBytes(full).includes('"dtype":"BF16"')).toBe(true);
  });

  it('is what transformers calls a classifier of one label, padded with a token that ends no answer', async () => {
    const run = await workshop.run('classifier', { maxSteps: 1 });
    const read = (name: string) => JSON.parse(readFileSync(join(run.summary.model!, name), 'utf8'));
    expect(read('config.json')).toMatchObject({
      architectures: ['LlamaForSequenceClassification'],
      id2label: { 0: 'LABEL_0' },
      pad_token_id: 0,
    });
    expect(read('tokenizer_config.json').pad_token).toBe('<|endoftext|>');
    expect(modelBytes(run).includes('"score.weight":{"dtype":"F32","shape":[1,32]')).toBe(true);
    expect(modelBytes(run).includes('lm_head')).toBe(false);

    // SmolLM2's padding token is its end of turn.
    const same = join(workshop.folder, 'padded-by-the-end');
    writeTinyModel(same, { config: { padTokenId: 2 } });
    const config = JSON.parse(readFileSync(join(same, 'tokenizer_config.json'), 'utf8'));
    writeFileSync(
      join(same, 'tokenizer_config.json'),
      JSON.stringify({ ...config, pad_token: '<|im_end|>' }),
    );
    const other = await workshop.run('padded', { model: same, maxSteps: 1 });
    const readOther = (name: string) => JSON.parse(readFileSync(join(other.summary.model!, name), 'utf8'));
    const { pad_token_id: id } = readOther('config.json');
    expect([0, 1]).toContain(id);
    expect(readOther('tokenizer_config.json').pad_token).toBe(['<|endoftext|>', '<|im_start|>'][id]);
  });

  it('goes on from a reward model, whose head it begins with', async () => {
    const first = await workshop.run('first', {
      maxSteps: 20,
      evalPairs: join(workshop.folder, 'pairs.jsonl'),
    });
    const second = await workshop.run('second', {
      model: first.summary.model!,
      evalPairs: join(workshop.folder, 'pairs.jsonl'),
      evalOnStart: true,
      maxSteps: 1,
    });
    const [start] = second.rows;
    expect(start?.eval_loss).toBeCloseTo(first.rows.at(-1)?.eval_loss as number, 4);
  });

  it('in mode head computes features once, whoever trains on them', async () => {
    const features = (run: Awaited<ReturnType<RewardWorkshop['run']>>) =>
      run.events.filter((event) => event.type === 'features').at(-1);
    const cache = { mode: 'head', featureCache: join(workshop.folder, 'own-features') } as const;
    const first = await workshop.run('computed', { ...cache, seed: 1, evalSplit: 0.25 });
    expect(features(first)).toEqual({ type: 'features', done: 24, total: 24, cached: 0 });
    const second = await workshop.run('cached', { ...cache, seed: 2, evalSplit: 0.25 });
    expect(features(second)).toEqual({ type: 'features', done: 24, total: 24, cached: 24 });
    const other = await workshop.run('no-persona', { ...cache, persona: false });
    expect(features(other)).toMatchObject({ cached: 0 });
  });
});

/** A tensor whose elements differ from those of `x` by what `by` says. */
function moved(x: Tensor, by: (element: number) => number): Tensor {
  return tensor(
    'float32',
    x.shape,
    x.toNumbers().map((value, i) => value + by(i)),
  );
}

describe('ways that must give the same trajectory', () => {
  const distance = (a: RewardRun, b: RewardRun): number => {
    expect(a.rows).toHaveLength(b.rows.length);
    return Math.max(
      ...a.rows.flatMap((row, i) =>
        ['loss', 'margin', 'grad_norm'].map((name) =>
          Math.abs((row[name] as number) - (b.rows[i]![name] as number)),
        ),
      ),
    );
  };

  it('a batch of 8, two of 4 accumulated, rows packed one pair at a time, activations anew', async () => {
    const same = { trainSamplingStrategy: 'sequential', maxSteps: 4 } as const;
    const one = await workshop.run('one', { ...same, perDeviceTrainBatchSize: 8 });
    const ways: Partial<TrainRewardOptions>[] = [
      { gradientAccumulationSteps: 2 },
      { perDeviceTrainBatchSize: 8, tokenBudget: 1 },
      { perDeviceTrainBatchSize: 8, gradientCheckpointing: true },
    ];
    for (const [i, way] of ways.entries()) {
      const other = await workshop.run(`way-${i}`, { ...same, ...way });
      expect(distance(one, other), JSON.stringify(way)).toBeLessThan(2e-5);
    }
  });
});

describe('the loss', () => {
  it('has margins and centering, whose gradients are those of central differences', async () => {
    const options = resolveTrainRewardOptions({
      ...workshop.options('none'),
      loraTargetModules: 'all-linear',
      loraR: 2,
    });
    const network = await loadBackbone({ options, startedAt: new Date().toISOString(), hub: {} });
    const { model, tokenizer } = network.loaded;
    const rows = wordPairs(4).map((pair, i) => ({ ...pair, margin: i / 2 })) as PreferencePair[];
    const { tokenized } = tokenizePairs(rows, tokenizer!);
    const loss = { centerRewardsCoefficient: 0.3, tokenBudget: 4096 };
    const adapter = model.adapter!;
    const parameterOf = (id: string): Pick<TrainableParameter, 'current' | 'replace'> =>
      id === 'score'
        ? network.head.parameter
        : { current: () => adapter.parameter(id), replace: (value) => adapter.replace(id, value) };
    const trained = ['score', 'layers.1.v_proj.B', 'layers.0.q_proj.B', 'layers.1.down_proj.A'];
    for (const id of trained) {
      // Away from zero, where a product of two zeros would hide a gradient.
      const { current, replace } = parameterOf(id);
      replace(moved(current(), (i) => 0.2 * Math.sin(i + 1)));
    }
    const gradients = new Map<string, number[]>();
    await trainOnRewards(model, network.head, tokenized, loss, {
      recompute: () => false,
      weight: 1,
      sink: (id, gradient) => {
        gradients.set(id, gradient.toNumbers());
        gradient.dispose();
      },
    });
    const lossNow = async () => (await evaluateRewards(model, network.head, tokenized, loss)).loss;
    for (const id of trained) {
      const { current, replace } = parameterOf(id);
      for (const element of [0, 7]) {
        const step = 1e-2;
        const shift = (by: number) => replace(moved(current(), (i) => (i === element ? by : 0)));
        shift(step);
        const above = await lossNow();
        shift(-2 * step);
        const below = await lossNow();
        shift(step);
        const known = (above - below) / (2 * step);
        const error = Math.abs(gradients.get(id)![element]! - known);
        expect(error, `${id} ${element}: ${known}`).toBeLessThan(5e-3 * Math.max(0.1, Math.abs(known)));
      }
    }
    network.dispose();
  });
});
