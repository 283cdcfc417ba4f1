import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { forgetUser } from '../../src/run/forget.js';
import { runPipeline } from '../../src/run/pipeline.js';
import { writeTinyModel } from '../support/tiny-model.js';
import { configOf, doSmallRun, setUpSmallRun } from './small-run.js';

test('a run trains on its pairs, goes on after a stop, and knows whose pairs its weights have seen', async () => {
  const small = await setUpSmallRun();
  const model = join(small.folder, 'model');
  writeTinyModel(model);
  const withTraining = (steps: number) => (text: string) =>
    `${text}train:
  model: ${model}
  use_peft: true
  max_steps: ${steps}
  per_device_train_batch_size: 2
  save_steps: 1
  max_length: 400
  reference_cache: ${small.folder}/reference
`;
  await doSmallRun(small);
  const controller = new AbortController();
  const stopped = await runPipeline(configOf(small, withTraining(4)), {
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'train' && event.event.type === 'step' && event.event.step === 2) controller.abort();
    },
  });
  expect(stopped).toMatchObject({ outcome: 'interrupted', interrupted: 'train', weights: null });
  expect(existsSync(join(small.output, 'train', 'checkpoint-2'))).toBe(true);

  const finished = await doSmallRun(small, { change: withTraining(4) });
  expect(finished.done).toEqual(['train']);
  const steps = finished.events.flatMap((event) =>
    event.type === 'train' && event.event.type === 'step' ? [event.event.step] : [],
  );
  expect(steps).toEqual([3, 4]);
  const adapter = join(small.output, 'train', 'adapter');
  expect(finished.summary.weights).toBe(adapter);
  expect((await doSmallRun(small, { change: withTraining(4) })).done).toEqual([]);

  const { trained } = await forgetUser(small.output, 'ben');
  expect(trained).toEqual([{ weights: adapter, pairs: 3 }]);
  const again = await doSmallRun(small, { change: withTraining(4) });
  expect(again.done).toEqual(['train']);
  expect(readdirSync(join(small.output, 'earlier'))).toEqual(['train-1']);
  expect((await forgetUser(small.output, 'ben')).trained).toEqual([
    { weights: join(small.output, 'earlier', 'train-1', 'adapter'), pairs: 3 },
  ]);
  rmSync(adapter, { recursive: true });
  const restored = await doSmallRun(small, { change: withTraining(4) });
  expect(restored.summary.stages.at(-1)?.reasons[0]).toContain('adapter/adapter_model.safetensors');
  expect(existsSync(adapter)).toBe(true);
});
