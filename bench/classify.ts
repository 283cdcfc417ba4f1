/**
 * How far a model's classification of follow-ups agrees with a labelled set, against always answering the largest
 * class: by likelihood without and with each calibration, or by reply. Prints JSON:
 *
 * - `largestClass`, what always answering the commonest type agrees in;
 * - for each way of asking, `model`, what the model alone agrees in, with the confusion and each type's recall and
 *   precision, and `withRepeats`, the same where exact repeats are not asked about, which is the stage's default.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import type { SplitConversation } from '../src/data/conversation.js';
import { Tally } from '../src/data/tally.js';
import type { ChatModel } from '../src/llm/chat-model.js';
import { openChatModel } from '../src/llm/open-chat-model.js';
import { hubOptionsFromEnvironment } from '../src/models/hub-options.js';
import { type ClassifySettings, classifyMessages } from '../src/pairs/classify/classify-messages.js';
import { isExactRepeat } from '../src/pairs/classify/follow-ups.js';
import { CALIBRATIONS } from '../src/pairs/classify/options.js';
import { FOLLOW_UP_TYPES } from '../src/pairs/rows.js';
import { machineReport } from '../src/runtime/device-report.js';
import { locateSmolLm2 } from '../src/runtime/install/location.js';
import { type Agreement, agreement } from './support/agreement.js';
import { count } from './support/counts.js';
import { rounded } from './support/statistics.js';

interface Labelled {
  previous: string;
  current: string;
  type: string;
}

interface Flags {
  model?: string;
  server?: string;
  device: 'cpu' | 'cuda';
  dtype: 'bfloat16' | 'float32';
  method: 'likelihood' | 'generate';
  labelled: string;
  limit: number;
}

const SMOLLM2 = 'HuggingFaceTB/SmolLM2-135M-Instruct';
const LABELLED = fileURLToPath(new URL('../examples/classify/labelled.jsonl', import.meta.url));

const flags = new Command('classify')
  .description(
    "A model's classification of follow-ups against a labelled set and against the largest class. JSON on stdout.",
  )
  .option('--model <model>', `folder, GGUF file, id on the Hub, or name on the server (default: ${SMOLLM2})`)
  .option('--server <url>', 'OpenAI-compatible server to ask; its key in OPENAI_API_KEY')
  .addOption(new Option('--device <device>').choices(['cpu', 'cuda']).default('cpu'))
  .addOption(new Option('--dtype <dtype>').choices(['bfloat16', 'float32']).default('float32'))
  .addOption(new Option('--method <method>').choices(['likelihood', 'generate']).default('likelihood'))
  .option('--labelled <file>', 'JSONL of previous, current and type', LABELLED)
  .option('--limit <n>', 'pairs, spread over the file: whether everything runs', count, Infinity)
  .parse()
  .opts<Flags>();

const rows = spread(readLabelled(flags.labelled), flags.limit);
const labels = rows.map(({ type }) => type);
const largest = FOLLOW_UP_TYPES.map((type) => labels.filter((label) => label === type).length);
const largestType = FOLLOW_UP_TYPES[largest.indexOf(Math.max(...largest))] as string;
const largestClass = shown(
  agreement(
    labels,
    labels.map(() => largestType),
    FOLLOW_UP_TYPES,
  ),
);
console.error(`${rows.length} pairs, always ${largestType}: ${percent(largestClass)}`);

const model = await openModel(flags);
const ways: Partial<ClassifySettings>[] =
  flags.method === 'generate'
    ? [{ method: 'generate' }]
    : CALIBRATIONS.map((calibration) => ({ method: 'likelihood', calibration }));
const results = [];
for (const way of ways) {
  const begun = performance.now();
  const verdicts = await classify(model, way);
  const seconds = (performance.now() - begun) / 1e3;
  const withRepeats = verdicts.map((verdict, index) => {
    const { previous, current } = rows[index] as Labelled;
    return isExactRepeat(previous, current) ? 're-attempt-without-feedback' : verdict;
  });
  const result = {
    ...way,
    model: shown(agreement(labels, verdicts, FOLLOW_UP_TYPES)),
    withRepeats: shown(agreement(labels, withRepeats, FOLLOW_UP_TYPES)),
    secondsPerPair: rounded(seconds / rows.length, 3),
  };
  results.push(result);
  const name = way.method === 'generate' ? 'by reply' : `by likelihood, calibration ${way.calibration}`;
  console.error(
    `${name}: ${percent(result.model)}; exact repeats known: ${percent(result.withRepeats)}, ` +
      `${rounded(result.withRepeats.accuracy / largestClass.accuracy, 3)} times the largest class`,
  );
}
await model.dispose();
const { identity } = model;
console.log(
  JSON.stringify(
    {
      bench: 'classify',
      machine: machineReport(),
      options: flags,
      identity,
      largestType,
      largestClass,
      results,
    },
    null,
    2,
  ),
);

/** The verdict on each row: a conversation of its own, in which the second message follows the first. */
async function classify(chat: ChatModel, way: Partial<ClassifySettings>): Promise<string[]> {
  const conversations = rows.map(
    ({ previous, current }, index): SplitConversation => ({
      ...{ id: String(index), user: 'labelled', side: 'train', heldOut: false },
      turns: [previous, current].map((content) => ({ role: 'user', content })),
    }),
  );
  const settings = { ...way, model: chat, shortcutRepeats: false };
  const verdicts: string[] = [];
  for await (const { number, type } of classifyMessages(conversations, settings, {
    tally: new Tally('messages'),
  })) {
    if (number === 2) verdicts.push(type);
  }
  return verdicts;
}

function openModel({ model: name, server, device, dtype }: Flags): Promise<ChatModel> {
  if (server !== undefined) {
    return openChatModel(
      { kind: 'server', baseUrl: server, model: name ?? SMOLLM2 },
      { apiKey: process.env.OPENAI_API_KEY },
    );
  }
  const path = name ?? locateSmolLm2() ?? SMOLLM2;
  return openChatModel(
    { kind: 'local', model: path, device, dtype },
    { hub: hubOptionsFromEnvironment(process.env) },
  );
}

function readLabelled(path: string): Labelled[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line, index) => {
      const row = JSON.parse(line) as Labelled;
      if ((FOLLOW_UP_TYPES as readonly string[]).includes(row.type)) return row;
      throw new Error(`${path}:${index + 1}: expected "type" to be one of ${FOLLOW_UP_TYPES.join(', ')}`);
    });
}

/** At most `limit` rows, as far from each other as they can be. */
function spread<Row>(all: readonly Row[], limit: number): Row[] {
  const count = Math.min(limit, all.length);
  return Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)] as Row);
}

function shown(result: Agreement): Agreement {
  const [low, high] = result.interval;
  return { ...result, accuracy: rounded(result.accuracy), interval: [rounded(low), rounded(high)] };
}

function percent({ accuracy, interval }: Agreement): string {
  const [value, low, high] = [accuracy, ...interval].map((each) => (100 * each).toFixed(1));
  return `${value}% (${low} to ${high})`;
}
