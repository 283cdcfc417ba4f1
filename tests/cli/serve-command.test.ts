/** `persona-dpo serve` as a user runs it. */

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../support/tiny-model.js';
import { runCli } from './run-cli.js';

let folder: string;
let model: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'persona-dpo-serve-cli-'));
  model = join(folder, 'model');
  writeTinyModel(model);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const root = join(import.meta.dirname, '..', '..');

/** The command until it is told to stop; `use` works with it once it listens. */
async function serving(
  args: readonly string[],
  env: Record<string, string>,
  use: (url: string, stop: (signal: NodeJS.Signals) => void) => Promise<void>,
): Promise<{ code: number | null; events: Record<string, unknown>[]; stderr: string }> {
  const loader = join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs');
  const script = ['--import', loader, join(root, 'src', 'cli', 'main.ts'), 'serve', '--json', '--port', '0'];
  const child = spawn(process.execPath, [...script, ...args], { env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const events: Record<string, unknown>[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as Record<string, unknown>;
    events.push(event);
    if (event.event === 'listening') void use(String(event.url), (signal) => child.kill(signal));
  }
  return { code: await ended, events, stderr };
}

describe('serve', () => {
  it('answers official clients, with the key from the environment, until it is told to stop', async () => {
    const personas = join(folder, 'personas.jsonl');
    writeFileSync(personas, `${JSON.stringify({ user: 'ann', persona: '- Wants short answers' })}\n`);
    const state = join(folder, 'state');
    const apiKey = 'key-of-the-environment';
    const prompts: (number | undefined)[] = [];
    const { code, events, stderr } = await serving(
      ['--model', model, '--name', 'tiny', '--state', state, '--personas', personas, '--dtype', 'float32'],
      { PERSONA_DPO_API_KEY: apiKey },
      async (baseURL, stop) => {
        try {
          const client = new OpenAI({ baseURL, apiKey });
          for (const user of ['ann', 'bob']) {
            const messages = [{ role: 'user' as const, content: 'a secret' }];
            const { usage } = await client.chat.completions.create({
              ...{ model: 'tiny', messages, user, max_tokens: 4 },
            });
            prompts.push(usage?.prompt_tokens);
          }
          await new OpenAI({ baseURL, apiKey: 'wrong' }).models.list().catch(() => undefined);
        } finally {
          stop('SIGTERM');
        }
      },
    );
    expect(stderr).toContain('Stopping');
    expect(code).toBe(0);
    expect(events.map(({ event }) => event)).toEqual([
      'listening',
      'request',
      'request',
      'request',
      'stopped',
    ]);
    expect(events[0]).toMatchObject({ models: ['tiny'] });
    expect(events.slice(1, 4)).toMatchObject([
      { status: 200, model: 'tiny', persona: true },
      { status: 200, model: 'tiny', persona: false },
      { status: 401, error: 'invalid_api_key' },
    ]);
    expect(events.at(-1)).toEqual({ event: 'stopped', answered: true });
    expect(prompts[0]!).toBeGreaterThan(prompts[1]! + 50);
    expect(stderr + JSON.stringify(events)).not.toMatch(/secret|key-of|ann/);
    expect(readdirSync(state).sort()).toEqual(['folder.json', 'users']);
  });

  it.each([
    [
      'personas without a place for what is forgotten',
      ['--personas', 'x.jsonl'],
      '--personas needs --state DIR',
    ],
    ['an address for other machines without a key', ['--host', '0.0.0.0'], 'Set a key in the environment'],
    ['a port that is none', ['--port', '70000'], 'port'],
    ['an adapter without a name', ['--adapters', 'out/a'], 'expected NAME=DIR, got out/a'],
  ])('refuses %s', async (_name, args, message) => {
    const { code, stderr } = await runCli(['serve', '--model', model, ...args], {
      env: { PERSONA_DPO_API_KEY: '' },
    });
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
