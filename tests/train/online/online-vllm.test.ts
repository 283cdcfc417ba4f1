import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodePrompt } from '../../../src/data/prompt.js';
import type { TokenizedPair } from '../../../src/data/tokenize.js';
import type { Tokenizer } from '../../../src/data/tokenizer.js';
import { loadModel } from '../../../src/models/load-model.js';
import { memory } from '../../../src/runtime/tensor.js';
import { type OnlineTrainOptions, resolveOnlineTrainOptions } from '../../../src/train/online/options.js';
import { VllmSampler } from '../../../src/train/online/vllm-sampler.js';
import { sendError } from '../../llm/fake-server.js';
import { type FakeVllm, type FakeVllmOptions, startFakeVllm } from './fake-vllm.js';
import { mean, type OnlineWorkshop, openOnlineWorkshop, scriptedScorer } from './support.js';

let workshop: OnlineWorkshop;
beforeAll(() => {
  workshop = openOnlineWorkshop();
});
afterAll(() => workshop.close());

let vllm: FakeVllm;
async function start(options: Partial<FakeVllmOptions> = {}): Promise<Partial<OnlineTrainOptions>> {
  vllm = await startFakeVllm({ model: join(workshop.folder, 'model'), ...options });
  return {
    ...{ usePeft: true, loraTargetModules: 'all-linear', learningRate: 1e-2 },
    ...{ vllmServerBaseUrl: vllm.url, vllmMaxRetries: 2, vllmRetryDelayMs: 5, numGenerations: 3 },
  };
}
afterEach(() => vllm.close());

describe('a vLLM server', () => {
  it('samples from the adapter as it is: the run learns, and nothing is left on the server', async () => {
    const options = await start();
    const before = memory().tensors;
    const run = await workshop.run('learns', {
      ...options,
      numGenerations: 6,
      maxSteps: 6,
      learningRate: 3e-2,
      lrSchedulerType: 'constant',
    });
    const rewards = run.rows.map(({ reward }) => reward as number);
    expect(mean(rewards.slice(-2))).toBeGreaterThan(2 * mean(rewards.slice(0, 2)));
    expect(run.rows.map(({ staleness }) => staleness)).toEqual(Array(6).fill(0));
    // Each adapter has a name of its own; the one before goes when the next is there.
    const names = Array.from({ length: 6 }, (_, step) => `persona-dpo-${step}`);
    expect(vllm.changes).toEqual(
      names
        .flatMap((name, i) => [`+${name}`, i === 0 ? [] : `-${names[i - 1]}`])
        .flat()
        .concat('-persona-dpo-5'),
    );
    expect([...new Set(vllm.chats())]).toEqual(names);
    expect(vllm.adapters.size).toBe(0);
    expect(existsSync(join(run.outputDir, 'vllm'))).toBe(false);
    expect(memory().tensors).toBe(before);
  });

  it('is asked as training would: messages with the persona, sampling, a seed for each sample', async () => {
    const options = await start();
    await workshop.run('asked', { ...options, maxSteps: 2, temperature: 0.7, topP: 0.8 });
    const chats = vllm.asked.filter(({ path }) => path.endsWith('/completions')).map(({ body }) => body);
    expect(chats).toHaveLength(2 * 3 * 3);
    expect(chats[0]).toMatchObject({ temperature: 0.7, top_p: 0.8, max_tokens: 8 });
    expect(new Set(chats.map(({ seed }) => seed)).size).toBe(chats.length);
    const withPersona = chats.find(({ messages }) => messages?.at(-1)?.content === 'hello');
    expect(withPersona?.messages?.[0]?.content).toMatch(/What is known about this person: likes the hello/);
  });

  it('trains on answers in the tokens that the policy would have drawn', async () => {
    const options = resolveOnlineTrainOptions(
      workshop.options('tokens', { ...(await start()), rewardModel: 'none' }),
    );
    const policy = await loadModel(options.model, { dtype: 'float32' });
    const tokenizer = policy.tokenizer as Tokenizer;
    const shown = [{ role: 'user' as const, content: 'hello' }];
    const promptIds = encodePrompt(shown, tokenizer);
    const sampler = new VllmSampler({
      ...{ options, baseUrl: vllm.url, policy, tokenizer, apiKey: undefined },
      ...{ onEvent: () => {}, signal: new AbortController().signal },
    });
    const made = sampler.pairOf(
      { id: 'p', messages: shown, shown, promptIds, user: 'u' },
      { text: 'the end', ids: [], finishReason: 'stop' },
      { text: 'in the mid', ids: [], finishReason: 'length' },
    );
    const { pair } = made as { pair: TokenizedPair };
    expect(pair).toMatchObject({ id: 'p', user: 'u', promptIds });
    expect(tokenizer.decode(pair.chosenIds)).toBe('the end<|im_end|>');
    expect(tokenizer.decode(pair.rejectedIds)).toBe('in the mid');
    const reply = { text: 'a <|im_end|> b', ids: [], finishReason: 'stop' as const };
    expect(
      sampler.pairOf({ id: 'p', messages: shown, shown, promptIds }, reply, { ...reply, text: 'c' }),
    ).toEqual({
      reason: expect.stringContaining('end-of-turn token'),
    });
    await sampler.close();
    policy.dispose();
  });

  it('gets the adapter every few steps; how old samples are is logged', async () => {
    const options = await start();
    const run = await workshop.run('stale', { ...options, vllmSyncSteps: 3, maxSteps: 5 });
    expect(run.rows.map(({ staleness }) => staleness)).toEqual([0, 1, 2, 0, 1]);
    expect(run.rollouts.map(({ staleness }) => staleness).filter((_, i) => i % 3 === 0)).toEqual([
      0, 1, 2, 0, 1,
    ]);
    expect(vllm.changes).toEqual(['+persona-dpo-0', '+persona-dpo-3', '-persona-dpo-0', '-persona-dpo-3']);
    expect(run.events.flatMap((event) => (event.type === 'reload' ? [event.step] : []))).toEqual([0, 3]);
  });

  it('is asked for the newest adapter when the held-out reward is measured', async () => {
    const options = await start();
    const evalPrompts = workshop.options('').prompts;
    await workshop.run('measured', {
      ...options,
      vllmSyncSteps: 9,
      maxSteps: 2,
      evalPrompts,
      numGenerationsEval: 1,
    });
    expect(vllm.changes.filter((change) => change.startsWith('+'))).toEqual([
      '+persona-dpo-0',
      '+persona-dpo-2',
    ]);
  });

  it.each([
    ['in place, where the server can', true, ['+mine', '+mine', '-mine']],
    ['by unloading first, where it cannot', false, ['+mine', '-mine', '+mine', '-mine']],
  ])('loads adapters %s', async (_, loadsInplace, changes) => {
    const options = await start({ loadsInplace });
    await workshop.run(`in place ${loadsInplace}`, {
      ...{ ...options, maxSteps: 2, vllmLoadInplace: true, vllmAdapterName: 'mine' },
    });
    expect(vllm.changes).toEqual(changes);
    const loads = vllm.asked.filter(({ path }) => path.endsWith('/load_lora_adapter'));
    expect(loads[0]?.body).toMatchObject({ lora_name: 'mine', load_inplace: true });
  });

  it('finds adapters under its own path, and gets the key', async () => {
    const outputDir = join(workshop.folder, 'runs', 'elsewhere');
    const options = await start({ pathOf: (path) => path.replace('/mounted', outputDir) });
    const secret = (variable: string) => (variable === 'VLLM_KEY' ? 'very-secret' : undefined);
    await workshop.run(
      'elsewhere',
      { ...options, maxSteps: 1, vllmOutputDir: '/mounted', vllmApiKeyVariable: 'VLLM_KEY' },
      { secret },
    );
    const [load] = vllm.asked.filter(({ path }) => path.endsWith('/load_lora_adapter'));
    expect(load?.body.lora_path).toBe('/mounted/vllm/step-0');
    for (const { headers } of vllm.asked) expect(headers.authorization).toBe('Bearer very-secret');
    await expect(workshop.run('no key', { ...options, vllmApiKeyVariable: 'VLLM_KEY' })).rejects.toThrow(
      /^vllm_api_key_variable: VLLM_KEY is not set$/,
    );
  });

  it('that is busy for a moment is asked again', async () => {
    let failures = 2;
    const options = await start({
      before: ({ path }, response) => {
        if (!path.endsWith('/load_lora_adapter') || failures-- <= 0) return false;
        sendError(response, 500, 'CUDA is busy');
        return true;
      },
    });
    const run = await workshop.run('busy', { ...options, maxSteps: 1 });
    expect(run.summary.outcome).toBe('finished');
    expect(vllm.asked.filter(({ path }) => path.endsWith('/load_lora_adapter'))).toHaveLength(3);
  });

  it.each([
    [400, 'LoRA rank 16 is greater than max_lora_rank 8.', 1, /answered 400: LoRA rank 16.*--max-lora-rank/],
    [404, 'Not Found', 1, /answered 404: Not Found.*VLLM_ALLOW_RUNTIME_LORA_UPDATING=True/],
    [
      500,
      'the engine is dead',
      3,
      /answered 500: the engine is dead.*has not taken over|has not taken over.*answered 500/,
    ],
  ])('that refuses the adapter (%i) ends the run with advice', async (status, says, tries, message) => {
    const options = await start({
      before: ({ path }, response) => {
        if (path.endsWith('/load_lora_adapter')) sendError(response, status, says);
        return path.endsWith('/load_lora_adapter');
      },
    });
    const run = workshop.run(`refused ${status}`, options);
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toThrow(/has not taken over the adapter in .*vllm\/step-0/);
    expect(vllm.asked.filter(({ path }) => path.endsWith('/load_lora_adapter'))).toHaveLength(tries);
  });

  it('that vanishes ends the run with its state saved, from which it goes on with another server', async () => {
    const options = await start();
    const notices: string[] = [];
    const run = workshop.run(
      'vanished',
      { ...options, maxSteps: 4 },
      {
        onEvent: (event) => {
          if (event.type === 'step' && event.step === 2) void vllm.close();
          if (event.type === 'notice') notices.push(event.message);
        },
      },
    );
    await expect(run).rejects.toThrow(/127\.0\.0\.1:\d+\/v1 .*cannot be reached/);
    expect(notices.join('\n')).toMatch(/the state after step 2 is saved in .*checkpoint-2: go on from there/);
    const other = await start();
    const resumed = await workshop.run('vanished', { ...other, maxSteps: 4, resumeFromCheckpoint: true });
    expect(resumed.summary).toMatchObject({ outcome: 'finished', step: 4 });
    expect(vllm.changes[0]).toBe('+persona-dpo-2');
  });

  it('that has forgotten the adapter ends the run', async () => {
    let chats = 0;
    const options = await start({
      before: ({ path }, response) => {
        if (!path.endsWith('/completions') || chats++ < 9) return false;
        sendError(response, 404, 'The model `persona-dpo-1` does not exist.');
        return true;
      },
    });
    await expect(workshop.run('forgotten', options)).rejects.toThrow(/persona-dpo-1` does not exist/);
  });

  it('that fails single requests leaves those samples out', async () => {
    let chats = 0;
    const options = await start({
      before: ({ path }, response) => {
        if (!path.endsWith('/completions') || chats++ % 4 !== 1) return false;
        sendError(response, 400, 'this one not');
        return true;
      },
    });
    const run = await workshop.run(
      'single',
      { ...options, maxSteps: 1 },
      { scorer: scriptedScorer((text) => text.length) },
    );
    expect(run.rollouts.reduce((sum, { completions }) => sum + completions.length, 0)).toBe(7);
    expect(run.events).toContainEqual({
      type: 'notice',
      message: expect.stringMatching(/^2 of 9 samples are missing; the last because: .*this one not/),
    });
  });
});
