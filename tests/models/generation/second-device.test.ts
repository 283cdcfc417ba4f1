/** Generation where the model does not lie on the host's own device: a second virtual CPU plays the accelerator. */

import { expect, it } from 'vitest';
import { generate } from '../../../src/models/generation/generate.js';
import { startRuntime } from '../../../src/runtime/runtime.js';
import { worstError } from '../../support/worst-error.js';
import { modelOf, randomWeights, smallConfig } from '../decoder/support.js';
import { fullPassLogps } from './support.js';

it.each(['float32', 'bfloat16'] as const)('works on a second device in %s', async (dtype) => {
  expect(startRuntime({ device: 'cpu', virtualCpuDevices: 2 }).device).toContain('CPU:1');
  const config = smallConfig();
  const model = modelOf(config, randomWeights(config, 51, 0.4), { dtype });
  const prompts = [[4, 5, 6], [7]];
  const completions = await generate(model, prompts, { temperature: 1, samples: 2, maxNewTokens: 40 });
  for (const { prompt, ids, logprobs } of completions.flat()) {
    const full = await fullPassLogps(model, prompts[prompt]!, ids);
    expect(worstError(logprobs, full)).toBeLessThan(dtype === 'float32' ? 2e-5 : 0.03);
  }
  model.dispose();
});
