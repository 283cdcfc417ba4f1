/** Runs `train` with the options in a JSON file: `train.ts FILE [STEP]`; at the end of step STEP it kills itself. */
import { readFileSync } from 'node:fs';
import type { TrainOptions } from '../../../src/train/options.js';
import { train } from '../../../src/train/train.js';

const [file, killAt] = process.argv.slice(2) as [string, string?];
await train(JSON.parse(readFileSync(file, 'utf8')) as TrainOptions, {
  onEvent: (event) => {
    if (event.type === 'step' && event.step === Number(killAt)) process.kill(process.pid, 'SIGKILL');
  },
});
