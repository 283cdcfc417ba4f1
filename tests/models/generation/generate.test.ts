/** Generation of token ids: the same numbers as a full pass, whatever is in the batch; nothing left behind. */

import { afterAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../../src/data/random.js';
import { ConfigError, DataError, OpError } from '../../../src/errors.js';
import { generate, generateEvents } from '../../../src/models/generation/generate.js';
import type { GenerateOptions } from '../../../src/models/generation/options.js';
import type { ModelConfig } from '../../../src/models/model-config.js';
import { keep, memory, scope, tensor } from '../../../src/runtime/tensor.js';
import { GOLDEN_NOTE, goldenJson, goldenPath, withoutGolden } from '../../support/golden.js';
import { worstError } from '../../support/worst-error.js';
import { loadDecoder, modelOf, randomAdapter, randomWeights, smallConfig } from '../decoder/support.js';
import { fullPassLogps, idsOf, upToStop } from './support.js';

const config = smallConfig({ maxPositionEmbeddings: 200 });
const model = modelOf(config, randomWeights(config, 5, 0.4));
afterAll(() => model.dispose());

const random = createRandom(6);
const somePrompt = (length: number) => Array.from({ length }, () => random.int(config.vocabSize));
const PROMPTS = [somePrompt(7), somePrompt(1), somePrompt(19), somePrompt(4), somePrompt(19)];
const SEEDS = [3, 1, 4, 1, 5];
const sampled: GenerateOptions = { temperature: 1, maxNewTokens: 12, stopTokenIds: [] };

describe('log-probabilities of sampled tokens are those of a full forward pass', () => {
  const cases: Record<string, Partial<ModelConfig>> = {
    'Llama 3.1': {
      ropeScaling: {
        type: 'llama3',
        factor: 4,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositionEmbeddings: 16,
      },
    },
    'tied embeddings': { tieWordEmbeddings: true },
    'Mistral, with a window shorter than prompt and answer': { architecture: 'mistral', slidingWindow: 5 },
    'Qwen2.5, with biases': { architecture: 'qwen2', attentionBias: true },
    'Qwen3, with query and key norms': { architecture: 'qwen3', queryKeyNorm: true },
    'one query head for each key': { numHeads: 2 },
  };

  it.each(Object.entries(cases))('%s', async (_name, overrides) => {
    const other = smallConfig(overrides);
    const model = modelOf(other, randomWeights(other, 7, 0.4));
    const completions = await generate(model, PROMPTS, { ...sampled, samples: 2 });
    for (const { prompt, ids, logprobs } of completions.flat()) {
      expect(ids).toHaveLength(12);
      expect(worstError(logprobs, await fullPassLogps(model, PROMPTS[prompt]!, ids))).toBeLessThan(2e-5);
    }
    model.dispose();
  });

  it('past the first room for own tokens', async () => {
    const completions = await generate(model, [PROMPTS[0]!], { ...sampled, maxNewTokens: 90 });
    const { ids, logprobs } = completions[0]![0]!;
    expect(ids).toHaveLength(90);
    expect(worstError(logprobs, await fullPassLogps(model, PROMPTS[0]!, ids))).toBeLessThan(2e-5);
  });

  it('where sequences stand at different lengths', async () => {
    const options = { ...sampled, maxNewTokens: 60, samples: 3, stopTokenIds: [3, 8], maxBatch: 6 };
    const completions = (await generate(model, PROMPTS, options)).flat();
    expect(new Set(completions.map(({ ids }) => ids.length)).size).toBeGreaterThan(6);
    for (const { prompt, ids, logprobs } of completions) {
      expect(worstError(logprobs, await fullPassLogps(model, PROMPTS[prompt]!, ids))).toBeLessThan(2e-5);
    }
  });

  it('in bfloat16, within its precision', async () => {
    const model = modelOf(config, randomWeights(config, 5, 0.4), { dtype: 'bfloat16' });
    for (const { prompt, ids, logprobs } of (await generate(model, PROMPTS, sampled)).flat()) {
      expect(worstError(logprobs, await fullPassLogps(model, PROMPTS[prompt]!, ids))).toBeLessThan(0.03);
    }
    model.dispose();
  });

  it.each([
    ['every module', {}],
    ['query and value', { modules: ['q_proj', 'v_proj'] as const }],
    ['down and key with rsLoRA', { modules: ['down_proj', 'k_proj'] as const, useRslora: true }],
  ])('with an adapter on %s, and without where it is off', async (_name, lora) => {
    const { adapter } = randomAdapter(config, 8, lora);
    model.attach(adapter);
    const before = memory();
    const on = (await generate(model, PROMPTS, sampled)).flat();
    const off = (await generate(model, PROMPTS, { ...sampled, adapter: false })).flat();
    expect(memory()).toEqual(before);
    for (const { prompt, ids, logprobs } of on) {
      const full = await fullPassLogps(model, PROMPTS[prompt]!, ids, adapter);
      expect(worstError(logprobs, full)).toBeLessThan(2e-5);
    }
    for (const { prompt, ids, logprobs } of off) {
      expect(worstError(logprobs, await fullPassLogps(model, PROMPTS[prompt]!, ids))).toBeLessThan(2e-5);
    }
    expect(idsOf([on])).not.toEqual(idsOf([off]));
    model.detach()?.dispose();
  });
});

describe('what is in the batch changes nothing', () => {
  it('prompts of different lengths give what each gives alone', async () => {
    const together = await generate(model, PROMPTS, { ...sampled, seed: SEEDS, samples: 3 });
    for (const [i, prompt] of PROMPTS.entries()) {
      const [alone] = await generate(model, [prompt], { ...sampled, seed: [SEEDS[i]!], samples: 3 });
      expect(together[i]!.map(({ ids }) => ids)).toEqual(alone!.map(({ ids }) => ids));
    }
  });

  it('greedily too', async () => {
    const together = await generate(model, PROMPTS, { ...sampled, temperature: 0 });
    const alone = await Promise.all(
      PROMPTS.map((prompt) => generate(model, [prompt], { ...sampled, temperature: 0 })),
    );
    expect(idsOf(together)).toEqual(alone.map(([samples]) => samples!.map(({ ids }) => ids)));
  });

  it.each([1, 2, 4, 7])('at most %i sequences at a time', async (maxBatch) => {
    const options = { ...sampled, samples: 3 };
    const whole = await generate(model, PROMPTS, options);
    expect(idsOf(await generate(model, PROMPTS, { ...options, maxBatch }))).toEqual(idsOf(whole));
  });

  it.each([64, 9, 5])('sequences that end make room for others, of at most %i', async (maxBatch) => {
    const options = { ...sampled, maxNewTokens: 60, samples: 4 };
    const free = await generate(model, PROMPTS, options);
    const stopTokenIds = [3, 8];
    const stopped = await generate(model, PROMPTS, { ...options, maxBatch, stopTokenIds });
    const expected = idsOf(free).map((samples) => samples.map((ids) => upToStop(ids, stopTokenIds)));
    expect(idsOf(stopped)).toEqual(expected);
    const lengths = stopped.flat().map(({ ids }) => ids.length);
    expect(new Set(lengths).size).toBeGreaterThan(8);
    for (const { ids, finishReason } of stopped.flat()) {
      expect(finishReason).toBe(stopTokenIds.includes(ids.at(-1)!) ? 'stop' : 'length');
    }
  });

  it('a sample is the same however many its prompt has', async () => {
    const [many] = await generate(model, [PROMPTS[0]!], { ...sampled, samples: 5 });
    const [few] = await generate(model, [PROMPTS[0]!], { ...sampled, samples: 2 });
    expect(idsOf([many!.slice(0, 2)])).toEqual(idsOf([few!]));
    expect(new Set(many!.map(({ ids }) => ids.join())).size).toBe(5);
  });

  it('the lowest temperature is as good as none', async () => {
    const cold = await generate(model, PROMPTS, { ...sampled, temperature: 1e-6 });
    expect(idsOf(cold)).toEqual(idsOf(await generate(model, PROMPTS, { ...sampled, temperature: 0 })));
  });

  it('the seed decides', async () => {
    const run = (seed: number) => generate(model, PROMPTS, { ...sampled, seed });
    expect(await run(1)).toEqual(await run(1));
    expect(idsOf(await run(1))).not.toEqual(idsOf(await run(2)));
  });
});

describe('the end of a sample', () => {
  it("is the model's end-of-sequence token unless others are given", async () => {
    const options = { temperature: 1, maxNewTokens: 80, samples: 6 };
    const free = await generate(model, [PROMPTS[0]!], { ...options, stopTokenIds: [] });
    const byDefault = await generate(model, [PROMPTS[0]!], options);
    expect(idsOf(byDefault)[0]).toEqual(idsOf(free)[0]!.map((ids) => upToStop(ids, config.eosTokenIds)));
    expect(byDefault[0]!.some(({ finishReason }) => finishReason === 'stop')).toBe(true);
  });

  it("is the last of the model's positions", async () => {
    const prompt = somePrompt(195);
    const [samples] = await generate(model, [prompt], { ...sampled, maxNewTokens: 50 });
    expect(samples![0]).toMatchObject({ finishReason: 'length' });
    expect(samples![0]!.ids).toHaveLength(5);
  });

  it('is where the caller says so', async () => {
    const ids: number[] = [];
    const [samples] = await generate(model, [PROMPTS[0]!], {
      ...sampled,
      onToken(event) {
        ids.push(event.id);
        if (ids.length === 3) event.stop();
      },
    });
    expect(samples![0]).toMatchObject({ ids, finishReason: 'stop' });
    expect(ids).toHaveLength(3);
  });
});

describe('a repetition penalty', () => {
  it('large enough makes all tokens of prompt and answer different', async () => {
    const [samples] = await generate(model, [[5]], {
      temperature: 0,
      maxNewTokens: 20,
      repetitionPenalty: 1e6,
      stopTokenIds: [],
    });
    expect(new Set([5, ...samples![0]!.ids]).size).toBe(21);
  });
});

describe('a repetition penalty and sampling', () => {
  it('leave log-probabilities as they are', async () => {
    const penalized = await generate(model, PROMPTS, { ...sampled, samples: 2, repetitionPenalty: 1.3 });
    const free = await generate(model, PROMPTS, { ...sampled, samples: 2 });
    expect(idsOf(penalized)).not.toEqual(idsOf(free));
    for (const { prompt, ids, logprobs } of penalized.flat()) {
      expect(worstError(logprobs, await fullPassLogps(model, PROMPTS[prompt]!, ids))).toBeLessThan(2e-5);
    }
  });
});

describe('nothing is left behind', () => {
  it('after a run, a break, an abort, in or outside a scope', async () => {
    const options = { ...sampled, samples: 2 };
    await generate(model, PROMPTS, options);
    const before = memory();
    await generate(model, PROMPTS, options);
    expect(memory()).toEqual(before);
    await scope(() => generate(model, PROMPTS, options));
    expect(memory()).toEqual(before);

    let events = 0;
    for await (const _event of generateEvents(model, PROMPTS, options)) if (++events === 25) break;
    expect(memory()).toEqual(before);

    const controller = new AbortController();
    const reason = new Error('enough');
    let tokens = 0;
    const aborted = generate(model, PROMPTS, {
      ...options,
      signal: controller.signal,
      onToken: () => {
        if (++tokens === 25) controller.abort(reason);
      },
    });
    await expect(aborted).rejects.toBe(reason);
    expect(tokens).toBe(30);
    expect(memory()).toEqual(before);
    await expect(generate(model, PROMPTS, { signal: controller.signal })).rejects.toBe(reason);

    const duringPrompts = new AbortController();
    const early = generate(model, PROMPTS, { ...options, signal: duringPrompts.signal });
    duringPrompts.abort(reason);
    await expect(early).rejects.toBe(reason);
    expect(memory()).toEqual(before);
  });

  it('after weights that are not numbers, which are an error', async () => {
    const damaged = modelOf(config, randomWeights(config, 5));
    const nan = new Float32Array(config.hiddenSize).fill(Number.NaN);
    damaged.replace('finalNorm', keep(tensor('float32', [config.hiddenSize], nan)));
    const before = memory();
    await expect(generate(damaged, PROMPTS, sampled)).rejects.toThrow(OpError);
    expect(memory()).toEqual(before);
    damaged.dispose();
  });
});

describe('refuses', () => {
  it.each<[string, GenerateOptions]>([
    ['temperature', { temperature: -1 }],
    ['temperature', { temperature: 1e-50 }],
    ['topK', { topK: 1.5 }],
    ['topP', { topP: 0 }],
    ['minP', { minP: 2 }],
    ['repetitionPenalty', { repetitionPenalty: 0 }],
    ['maxNewTokens', { maxNewTokens: 0 }],
    ['samples', { samples: 0 }],
    ['maxBatch', { maxBatch: 0 }],
    ['seed', { seed: -1 }],
    ['seed', { seed: [1, 2] }],
  ])('a %s out of range: %o', async (name, options) => {
    const run = generate(model, [[1]], options);
    await expect(run).rejects.toThrow(ConfigError);
    await expect(run).rejects.toThrow(new RegExp(`^${name} `));
  });

  it.each([
    ['no tokens', []],
    ['as many tokens as positions', somePrompt(200)],
    ['a token outside the vocabulary', [29]],
  ])('a prompt with %s', async (_name, prompt) => {
    await expect(generate(model, [[1], prompt])).rejects.toThrow(DataError);
  });
});

it('gives nothing for no prompts', async () => {
  expect(await generate(model, [])).toEqual([]);
});

describe.skipIf(withoutGolden)(`greedy tokens of transformers (${GOLDEN_NOTE})`, () => {
  it.each(['llama31', 'smollm2'])('%s', async (name) => {
    const { prompt, greedy } = goldenJson<{ prompt: number[]; greedy: number[] }>(`${name}.greedy.json`);
    const reference = loadDecoder(goldenPath(name));
    const prompts = [prompt.slice(0, 3), prompt];
    const options = { maxNewTokens: greedy.length, stopTokenIds: [] };
    const completions = await generate(reference, prompts, options);
    expect(completions[1]![0]!.ids).toEqual(greedy);
    reference.dispose();
  });
});
