// Training from a program: a LoRA adapter on a few of the quickstart's pairs, two steps only, then an answer to the
// same request for two users. Uses the model that `npm start` fetches; the first argument names another.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchSmolLm2, generate, loadModel, setup, train, withPersona } from 'persona-dpo';

await setup(); // does nothing where TensorFlow is there already
const model = process.argv[2] ?? (await fetchSmolLm2());
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-'));
const pairs = fileURLToPath(new URL('quickstart/pairs.jsonl', import.meta.url));

const summary = await train(
  {
    model,
    pairs,
    outputDir: join(folder, 'run'),
    usePeft: true,
    loraTargetModules: 'all-linear',
    maxSteps: 2,
    perDeviceTrainBatchSize: 2,
    learningRate: 2e-4,
  },
  {
    onEvent: (event) => {
      if (event.type === 'step') console.log(`step ${event.step}: loss ${event.metrics.loss.toFixed(4)}`);
    },
  },
);
console.log(`${summary.outcome}: ${summary.weights.path}`);

const loaded = await loadModel(model, { adapter: summary.weights.path });
const request = [{ role: 'user', content: 'How do I keep basil alive indoors?' }];
const personas = ['Wants short lists, no small talk.', 'Likes a warm tone and the reason behind each tip.'];
const answers = await generate(
  loaded,
  personas.map((persona) => withPersona(request, persona)),
  { maxNewTokens: 40, temperature: 0 },
);
personas.forEach((persona, i) => {
  console.log(`\n[${persona}]\n${answers[i][0].text}`);
});
loaded.dispose();
rmSync(folder, { recursive: true });
