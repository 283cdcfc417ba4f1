/**
 * Computes reference log-probabilities of twelve pairs in a store: `reference.ts MODEL STORE [kill]`. With `kill` it
 * kills itself after the first pass. Prints counts and a sum of all values.
 */
import { loadModel } from '../../../src/models/load-model.js';
import { openReferenceLogps } from '../../../src/train/reference-cache.js';
import { randomPairs } from '../random-pairs.js';

const [modelFolder, cacheDir, kill] = process.argv.slice(2) as [string, string, string?];
const { model, fingerprint, dispose } = await loadModel(modelFolder, { dtype: 'float32' });
const pairs = randomPairs(12);
const reference = await openReferenceLogps(model, pairs, {
  cacheDir,
  fingerprint: await fingerprint(),
  tokenBudget: 100,
  onProgress: ({ done }) => {
    if (kill !== undefined && done > 0) process.kill(process.pid, 'SIGKILL');
  },
});
let sum = 0;
for (const pair of pairs) {
  const { chosen, rejected } = reference.lookup(pair);
  for (const value of [...chosen, ...rejected]) sum += value;
}
await reference.close();
dispose();
console.log(JSON.stringify({ computed: reference.computed, cached: reference.cached, sum }));
