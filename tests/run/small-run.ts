/** A whole run on a few conversations, whose model is a server on the loopback that answers by rule. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { parseRunConfig } from '../../src/run/config/config-file.js';
import type { ResolvedRunConfig } from '../../src/run/config/run-config.js';
import type { RunEvent } from '../../src/run/events.js';
import { type RangeOptions, type RunHooks, type RunSummary, runPipeline } from '../../src/run/pipeline.js';
import type { StageName } from '../../src/run/stage-names.js';
import { type Asked, type FakeServer, sendReply, startFakeServer } from '../llm/fake-server.js';
import { temporaryFolder } from './toy-stages.js';

export const USERS = ['ann', 'ben', 'cyd', 'dan', 'eve'] as const;
const CONVERSATIONS = 3;

const TEMPLATES = {
  classify: 'KIND\n{{ previous }}\n{{ current }}',
  users: 'MEANINGFUL\n{% for follow_up in follow_ups %}{{ follow_up }}\n{% endfor %}',
  personas:
    'PERSONA\n{% for messages in conversations %}{% for message in messages %}{{ message.text }}\n{% endfor %}{% endfor %}{{ persona }}',
  rewrite: 'REWRITE\n{{ follow_up }}',
};

export interface SmallRun {
  /** Holds logs, templates, the configuration and the run. */
  folder: string;
  output: string;
  configFile: string;
  logs: string;
  server: FakeServer;
  /** Counts of requests by what was asked. */
  asked(): Record<string, number>;
}

/** Ann's requests are about apples, Ben's about bread; each is answered at length, and sent back. */
export function conversationOf(user: string, number: number): Record<string, unknown> {
  const topic = `${user} topic ${number}`;
  const said = [
    { role: 'user', content: `Tell me about ${topic}.` },
    { role: 'assistant', content: `There is a lot to say about ${topic}, and here is the long form of it.` },
    { role: 'user', content: `make it shorter, I am ${user}` },
    { role: 'assistant', content: `All right: ${topic} in a nutshell.` },
    { role: 'user', content: 'thanks' },
  ];
  return { id: `${user}-${number}`, user, messages: said };
}

export function writeLogs(
  path: string,
  users: readonly string[] = USERS,
  conversations = CONVERSATIONS,
): void {
  const rows = users.flatMap((user) =>
    Array.from({ length: conversations }, (_, number) => conversationOf(user, number)),
  );
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

/** What the server answers to the last message of a request. */
export function ruleReply({ body }: Asked): string {
  const [kind, ...rest] = (body.messages?.at(-1)?.content ?? '').split('\n');
  const current = rest.at(-1) ?? '';
  if (kind === 'KIND')
    return current.startsWith('make') ? 'Change' : current === 'thanks' ? 'Thanks' : 'Other';
  if (kind === 'MEANINGFUL') return rest.some((text) => text.includes('I am dan')) ? 'No' : 'Yes';
  if (kind === 'PERSONA') return '- Wants short answers\n- Wants no lists';
  if (kind === 'REWRITE' && !current.startsWith('make'))
    return 'Divide by two first: the result is \\boxed{3}.';
  if (kind === 'REWRITE') return `Here is the brief form for someone who said ${current}.`;
  // With a persona in the context: a candidate, another one by another seed.
  if (body.messages?.[0]?.role === 'system') {
    return `${'Long and winding '.repeat(((body.seed as number) % 5) + 1)}answer to: ${kind}`;
  }
  return `An answer to: ${current || kind}`;
}

export interface SmallRunOptions {
  /** Lines of the configuration beyond the usual ones. */
  yaml?: string;
  /** Replaces the server's rule. */
  behave?: (asked: Asked) => Promise<void> | void;
}

export async function setUpSmallRun({ yaml = '', behave }: SmallRunOptions = {}): Promise<SmallRun> {
  const folder = temporaryFolder();
  const server = await startFakeServer(async (asked, response) => {
    await behave?.(asked);
    if (!response.destroyed) sendReply(asked, response, { text: ruleReply(asked) });
  });
  onTestFinished(() => server.close());
  const logs = join(folder, 'logs.jsonl');
  writeLogs(logs);
  mkdirSync(join(folder, 'templates'));
  for (const [name, source] of Object.entries(TEMPLATES)) {
    writeFileSync(join(folder, 'templates', `${name}.jinja`), source);
  }
  const output = join(folder, 'run');
  const configFile = join(folder, 'run.yaml');
  writeFileSync(configFile, configText({ folder, output, logs, url: server.url }) + yaml);
  const asked = () => {
    const counts: Record<string, number> = {};
    for (const prompt of server.prompts()) {
      const kind = /^[A-Z]+(?=\n)/.exec(prompt)?.[0] ?? 'other';
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return counts;
  };
  return { folder, output, configFile, logs, server, asked };
}

function configText({ folder, output, logs, url }: Record<string, string>): string {
  const template = (name: string) => `template: ${folder}/templates/${name}.jinja`;
  return `output_dir: ${output}
llm:
  kind: server
  base_url: ${url}
  model: rule
  api_key_variable: null
  context_tokens: 4096
conversations:
  input: ${logs}
  train_share: 1
classify:
  ${template('classify')}
users:
  ${template('users')}
personas:
  ${template('personas')}
rewrite:
  ${template('rewrite')}
pairs:
  min_rejected_characters: 50
`;
}

export function configOf(
  { configFile }: SmallRun,
  change: (text: string) => string = (text) => text,
): ResolvedRunConfig {
  return parseRunConfig(change(readText(configFile)), configFile).config;
}

export function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

export function readRowsOf(path: string): Record<string, unknown>[] {
  return readText(path)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export interface SmallOutcome {
  summary: RunSummary;
  events: RunEvent[];
  done: StageName[];
}

export async function doSmallRun(
  run: SmallRun,
  {
    change,
    ...options
  }: RangeOptions & Pick<RunHooks, 'signal' | 'openReward'> & { change?: (text: string) => string } = {},
): Promise<SmallOutcome> {
  const events: RunEvent[] = [];
  const summary = await runPipeline(configOf(run, change), {
    ...options,
    onEvent: (event) => events.push(event),
  });
  const done = events.flatMap((event) => (event.type === 'done' ? [event.stage] : []));
  return { summary, events, done };
}
