/** Runs `trainReward` with the options in a JSON file: `train-reward.ts FILE STEP`; at the end of step STEP it kills itself. */
import { readFileSync } from 'node:fs';
import type { TrainRewardOptions } from '../../../src/train/reward/reward-options.js';
import { trainReward } from '../../../src/train/reward/train-reward.js';

const [file, killAt] = process.argv.slice(2) as [string, string];
await trainReward(JSON.parse(readFileSync(file, 'utf8')) as TrainRewardOptions, {
  onEvent: (event) => {
    if (event.type === 'step' && event.step === Number(killAt)) process.kill(process.pid, 'SIGKILL');
  },
});
