import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { forgetUser } from '../../src/run/forget.js';
import { runPipeline } from '../../src/run/pipeline.js';
import { ROLLOUTS_FILE } from '../../src/train/online/rollout-log.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { fakeReward } from './fake-reward.js';
import { configOf, doSmallRun, setUpSmallRun } from './small-run.js';

const reward = () => fakeReward((text) => text.length / 100);

const onlineSection = (model: string, steps: number) => `reward: {model: rewards}
online:
  model: ${model}
  use_peft: true
  max_steps: ${steps}
  num_generations: 3
  max_new_tokens: 8
  per_device_train_batch_size: 2
  max_prompt_length: 500
  save_steps: 1
`;

test('a run trains online on its prompts, goes on after a stop, and knows whose its weights have seen', async () => {
  const small = await setUpSmallRun();
  const model = join(small.folder, 'model');
  writeTinyModel(model);
  const change = (text: string) =>
    `${text.replace(/rewrite:\n.*\npairs:\n.*\n/, '')}rewrite: false\n${onlineSection(model, 3)}`;
  const controller = new AbortController();
  const stopped = await runPipeline(configOf(small, change), {
    openReward: reward().open,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'train' && event.event.type === 'step' && event.event.step === 1) controller.abort();
    },
  });
  expect(stopped).toMatchObject({ outcome: 'interrupted', interrupted: 'online', weights: null });
  expect(stopped.stages.map(({ stage }) => stage)).not.toContain('pairs');

  const fake = reward();
  const finished = await doSmallRun(small, { change, openReward: fake.open });
  expect(finished.done).toEqual(['online']);
  const steps = finished.events.flatMap((event) =>
    event.type === 'train' && event.event.type === 'step' ? [event.event.step] : [],
  );
  expect(steps).toEqual([2, 3]);
  expect(finished.summary.weights).toBe(join(small.output, 'online', 'adapter'));
  expect(finished.summary.stages.at(-1)?.counts).toEqual([{ unit: 'prompts', in: 12, out: 12, dropped: {} }]);
  // Under the persona that the run has inferred.
  expect(fake.asked.every(({ persona }) => persona === '- Wants short answers\n- Wants no lists')).toBe(true);
  expect((await doSmallRun(small, { change, openReward: fake.open })).done).toEqual([]);

  const rollouts = join(small.output, 'online', ROLLOUTS_FILE);
  const named = /about (\w+) topic/.exec(readFileSync(rollouts, 'utf8'))?.[1] as string;
  const { trained } = await forgetUser(small.output, named);
  expect(trained).toEqual([{ weights: join(small.output, 'online', 'adapter'), pairs: 3 }]);
  expect(readFileSync(rollouts, 'utf8')).not.toContain(`about ${named} topic`);
});

test('or on the curated pool: prompts whose candidates pass the filter', async () => {
  const small = await setUpSmallRun();
  const model = join(small.folder, 'model');
  writeTinyModel(model);
  const change = (text: string) =>
    `${text.replace(/rewrite:\n.*\n/, 'rewrite: false\n').replace('min_rejected_characters: 50', 'min_rejected_characters: 60')}candidates: {samples: 4}\n${onlineSection(model, 1)}  pool: curated\n`;
  const { done, summary } = await doSmallRun(small, { change, openReward: reward().open });
  expect(done.slice(-3)).toEqual(['rank', 'pairs', 'online']);
  const [pairs] = summary.stages.find(({ stage }) => stage === 'pairs')?.counts ?? [];
  const online = summary.stages.at(-1)?.counts?.[0];
  expect(online?.in).toBe(pairs?.out);
  expect(existsSync(join(small.output, 'pairs', 'pool.jsonl'))).toBe(true);
});
