// A reward model from a program: the head alone on a few of the quickstart's pairs, a few steps only, then two answers
// scored for two users. Uses the model that `npm start` fetches; the first argument names another.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchSmolLm2, loadRewardModel, setup, trainReward } from 'persona-dpo';

await setup(); // does nothing where TensorFlow is there already
const model = process.argv[2] ?? (await fetchSmolLm2());
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-'));
const lines = readFileSync(new URL('quickstart/pairs.jsonl', import.meta.url), 'utf8').split('\n');
const pairs = join(folder, 'pairs.jsonl');
writeFileSync(pairs, lines.slice(0, 8).join('\n'));

const summary = await trainReward(
  { model, pairs, outputDir: join(folder, 'run'), mode: 'head', maxSteps: 5, maxLength: 512 },
  {
    onEvent: (event) => {
      if (event.type === 'step') {
        console.log(
          `step ${event.step}: loss ${event.metrics.loss.toFixed(4)}, accuracy ${event.metrics.accuracy}`,
        );
      }
    },
  },
);
console.log(`${summary.outcome}: ${summary.onnx}`);

const reward = await loadRewardModel(summary.onnx);
const prompt = [{ role: 'user', content: 'How do I keep basil alive indoors?' }];
const candidates = [
  '- South window\n- Water from below',
  'Basil loves light, so find it your sunniest sill ...',
];
for (const persona of [
  'Wants short lists, no small talk.',
  'Likes a warm tone and the reason behind each tip.',
]) {
  const rewards = await reward.score({ prompt, persona, candidates });
  console.log(`[${persona}] ${rewards.map((value) => value.toFixed(3)).join(', ')}`);
}
await reward.dispose();
rmSync(folder, { recursive: true });
