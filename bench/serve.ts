/** How many tokens a second the server gives to several clients at once, against the same requests one by one. */

import { Command } from 'commander';
import OpenAI from 'openai';
import { loadModel } from '../src/models/load-model.js';
import { machineReport } from '../src/runtime/device-report.js';
import { locateSmolLm2 } from '../src/runtime/install/location.js';
import { localServedModels } from '../src/serve/local-served-models.js';
import { startServer } from '../src/serve/start-server.js';
import { count } from './support/counts.js';
import { median, rounded } from './support/statistics.js';

interface Options {
  model?: string;
  clients: number;
  requests: number;
  newTokens: number;
  rounds: number;
  threads?: number;
}

/** What a client may ask; each question has a number of its own, so that no two prompts are the same. */
const QUESTIONS = [
  'How do I keep bread fresh for a week?',
  'Explain what a hash table is to somebody who cooks.',
  'Write a short letter that declines an invitation.',
  'Which exercises help against a stiff neck?',
];

interface Asked {
  seconds: number;
  firstTokenSeconds: number;
  tokens: number;
  text: string;
}

const options = parseOptions();
const path = options.model ?? locateSmolLm2();
if (path === undefined) throw new Error('give --model, or place SmolLM2 with `persona-dpo setup --model`');
const loaded = await loadModel(path, options.threads === undefined ? {} : { threads: options.threads });
const local = localServedModels(loaded, { name: 'model', maxBatch: options.clients });
const server = await startServer({ models: local.models, port: 0 });
const clients = Array.from(
  { length: options.clients },
  () => new OpenAI({ baseURL: server.url, apiKey: 'none', maxRetries: 0 }),
);

await ask(clients[0]!, 'Warm up.');
const together: Measured[] = [];
const serial: Measured[] = [];
for (let round = 0; round < options.rounds; round++) {
  together.push(await measure((list) => Promise.all(list.map((work) => work()))));
  say(round, 'together', together.at(-1)!);
  serial.push(
    await measure(async (list) => {
      const all: Asked[][] = [];
      for (const work of list) all.push(await work());
      return all;
    }),
  );
  say(round, 'one by one', serial.at(-1)!);
}
const result = {
  bench: 'serve',
  machine: machineReport(),
  options: { ...options, model: loaded.origin.id },
  together: summary(together),
  serial: summary(serial),
  timesFaster: rounded(median(together.map(rate)) / median(serial.map(rate))),
  lost: [...together, ...serial].reduce((sum, { lost }) => sum + lost, 0),
};
console.error(`${result.timesFaster} times as many tokens a second together as one by one`);
console.log(JSON.stringify(result, null, 2));
await server.stop();
await local.close();
loaded.dispose();

interface Measured {
  seconds: number;
  answers: Asked[];
  lost: number;
}

/** All clients' requests, each client's one after the other; `run` says how the clients follow each other. */
async function measure(run: (clients: (() => Promise<Asked[]>)[]) => Promise<Asked[][]>): Promise<Measured> {
  const began = performance.now();
  const answers = await run(clients.map((client, c) => () => session(client, c)));
  const seconds = (performance.now() - began) / 1000;
  const all = answers.flat();
  return { seconds, answers: all, lost: options.clients * options.requests - all.length };
}

async function session(client: OpenAI, number: number): Promise<Asked[]> {
  const answers: Asked[] = [];
  for (let i = 0; i < options.requests; i++) {
    const question = QUESTIONS[(number + i) % QUESTIONS.length];
    answers.push(await ask(client, `${question} (${number}.${i})`));
  }
  return answers;
}

async function ask(client: OpenAI, content: string): Promise<Asked> {
  const began = performance.now();
  let firstTokenSeconds = 0;
  let tokens = 0;
  let text = '';
  const stream = await client.chat.completions.create({
    ...{ model: 'model', messages: [{ role: 'user', content }], temperature: 0 },
    ...{ max_tokens: options.newTokens, stream: true, stream_options: { include_usage: true } },
  });
  for await (const { choices, usage } of stream) {
    const piece = choices[0]?.delta.content ?? '';
    if (text === '' && piece !== '') firstTokenSeconds = (performance.now() - began) / 1000;
    text += piece;
    tokens += usage?.completion_tokens ?? 0;
  }
  return { seconds: (performance.now() - began) / 1000, firstTokenSeconds, tokens, text };
}

function rate({ seconds, answers }: Measured): number {
  return answers.reduce((sum, { tokens }) => sum + tokens, 0) / seconds;
}

function summary(rounds: readonly Measured[]) {
  const answers = rounds.flatMap((round) => round.answers);
  return {
    tokensPerSecond: rounded(median(rounds.map(rate))),
    answers: answers.length,
    firstTokenSeconds: rounded(median(answers.map(({ firstTokenSeconds }) => firstTokenSeconds))),
    answerSeconds: rounded(median(answers.map(({ seconds }) => seconds))),
  };
}

function say(round: number, how: string, measured: Measured): void {
  const place = `round ${round + 1} of ${options.rounds}`;
  console.error(`${place}: ${how}, ${rate(measured).toFixed(0)} tokens a second, ${measured.lost} lost`);
}

function parseOptions(): Options {
  return new Command('serve')
    .description('Tokens a second for several clients at once, against the same requests one by one.')
    .option('--model <PATH>', 'model (default: SmolLM2-135M-Instruct where it is installed)')
    .option('--clients <NUMBER>', 'clients at once', count, 8)
    .option('--requests <NUMBER>', 'requests of each, one after the other', count, 2)
    .option('--new-tokens <NUMBER>', 'most tokens of an answer', count, 48)
    .option('--rounds <NUMBER>', 'times that both are measured', count, 2)
    .option('--threads <NUMBER>', 'CPU threads (default: all cores)', count)
    .parse()
    .opts<Options>();
}
