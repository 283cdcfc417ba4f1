/**
 * Asks a server the questions 0 to 29 through a reply cache: `cached-run.ts BASE_URL CACHE [KILL_AFTER]`. Kills itself
 * with SIGKILL after so many outcomes; else prints the replies as JSON.
 */
import { openChatModel } from '../../../src/llm/open-chat-model.js';

const [baseUrl, cache, killAfter] = process.argv.slice(2) as [string, string, string | undefined];
const model = await openChatModel(
  { kind: 'server', baseUrl, model: 'tiny', contextTokens: 4096, concurrency: 4 },
  { cache },
);
const requests = Array.from({ length: 30 }, (_, i) => ({
  id: `q${i}`,
  messages: [{ role: 'user' as const, content: `question ${i}` }],
  sampling: { temperature: 1, seed: i },
}));
const replies: string[] = [];
let count = 0;
for await (const { index, reply } of model.generate(requests)) {
  replies[index] = reply?.text ?? '';
  if (++count === Number(killAfter)) process.kill(process.pid, 'SIGKILL');
}
process.stdout.write(JSON.stringify({ replies, usage: model.usage() }));
await model.dispose();
