/**
 * Runs `trainOnline` with the options in a JSON file and a scripted scorer: `train-online.ts FILE [STEP]`; at the end of
 * step STEP it kills itself, or in the middle of the step after it where `+` follows.
 */
import { readFileSync } from 'node:fs';
import type { OnlineTrainOptions } from '../../../src/train/online/options.js';
import { trainOnline } from '../../../src/train/online/train-online.js';
import { vowelScorer } from '../online/support.js';

const [file, killAt = ''] = process.argv.slice(2) as [string, string?];
const kill = () => process.kill(process.pid, 'SIGKILL');
await trainOnline(JSON.parse(readFileSync(file, 'utf8')) as OnlineTrainOptions, {
  scorer: vowelScorer(),
  onEvent: (event) => {
    const step = Number(killAt.replace('+', ''));
    if (killAt.endsWith('+')) {
      if (event.type === 'rollout' && event.set === 'train' && event.step === step && event.scored > 0)
        kill();
    } else if (event.type === 'step' && event.step === step) kill();
  },
});
