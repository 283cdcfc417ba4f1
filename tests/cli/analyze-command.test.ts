/** `persona-dpo analyze` as a user runs it. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEvaluations } from '../../src/eval/results.js';
import { writeTinyBert } from '../eval/analysis/tiny-bert.js';
import { runCli } from './run-cli.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'persona-dpo-analyze-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, rows: object[]): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

describe('analyze', () => {
  it("looks at a run's messages and personas, and at sets of contexts", async () => {
    const run = join(folder, 'run');
    const row = (turn: number, type: string) => ({
      ...{
        conversation: 'c',
        user: 'ann-secret',
        turn,
        type,
        characters: 10 * (turn + 1),
        number: turn / 2 + 1,
      },
    });
    write(join(run, 'classify', 'classified.jsonl'), [
      row(0, 'initial-request'),
      row(2, 're-attempt-with-feedback'),
      row(4, 'new-request'),
    ]);
    write(join(run, 'personas', 'personas.jsonl'), [
      { user: 'ann-secret', persona: '- Wants short answers' },
      { user: 'bob', persona: '- Wants detailed answers with background' },
    ]);
    const pairs = ['a b', 'c d', 'e f', 'g h', 'i j'].map((text) => ({
      ...{ prompt: [user(text)], chosen: [assistant('x')], rejected: [assistant('y')] },
    }));
    write(join(run, 'pairs', 'pairs.jsonl'), [...pairs, { prompt: 'bad' }]);
    const logs = write(join(folder, 'logs.jsonl'), [
      { conversation: [user('q r'), assistant('x'), user('s t')] },
      { conversation: [user('u v'), assistant('x')] },
    ]);
    const bert = join(folder, 'bert');
    writeTinyBert(bert);
    const args = [
      'analyze',
      '--output',
      run,
      '--contexts',
      `logs=${logs}`,
      '--embedding-model',
      bert,
      '--json',
    ];
    const { code, stdout, stderr } = await runCli(args, { env: { PERSONA_DPO_HOME: join(folder, 'home') } });
    expect([code, stderr]).toEqual([0, expect.stringContaining('1 rows are no preference pairs')]);
    const found = JSON.parse(stdout);
    expect(found.messages).toMatchObject({
      ...{ classified: true, messages: 3, users: 1 },
      types: { 're-attempt-with-feedback': { count: 1, share: expect.closeTo(1 / 3) } },
    });
    expect(found.contexts.sets).toMatchObject([
      { set: 'own', available: 5, diversity: { contexts: 5 } },
      { set: 'logs', available: 2, diversity: { contexts: 2 } },
    ]);
    expect(found.contexts.map).toHaveLength(7);
    const informativeness = found.dimensions.shares[1];
    expect(informativeness.shares).toMatchObject({ first: { estimate: 0.5 }, second: { estimate: 0.5 } });
    for (const file of found.files) expect(existsSync(file)).toBe(true);
    expect(found.files).toHaveLength(7);
    const [evaluation] = readEvaluations(run);
    expect(evaluation).toMatchObject({ name: 'data-analysis', tables: { length: 4 } });
    const kept = readFileSync(join(run, 'evaluations', 'data-analysis', 'analysis.json'), 'utf8');
    expect(kept + JSON.stringify(evaluation)).not.toContain('ann-secret');
  });

  it('reads logs that nobody has classified, and says what it leaves out', async () => {
    const logs = write(join(folder, 'plain.jsonl'), [
      { conversation: [user('a long question'), assistant('x'), user('more')] },
      { conversation: 'nothing' },
    ]);
    const { code, stdout, stderr } = await runCli([
      'analyze',
      '--output',
      join(folder, 'out'),
      '--conversations',
      logs,
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/initial requests +1 +50\.0 %/);
    expect(stdout).toMatch(/unclassified +1 +50\.0 %/);
    expect(stdout).not.toContain('re-attempts');
    expect(stderr).toMatch(/1 conversations left out/);
    expect(stderr).toContain('Without --embedding-model');
  });

  it.each([
    ['nothing to look at', [], 'there is nothing to analyze'],
    ['a set without a name', ['--contexts', 'x.jsonl'], 'expected NAME=FILE'],
    [
      'a server without a model',
      ['--contexts', 'a=x.jsonl', '--embedding-base-url', 'http://127.0.0.1:1/v1'],
      'needs --embedding-server-model',
    ],
  ])('refuses %s', async (_name, args, message) => {
    const { code, stderr } = await runCli(['analyze', '--output', join(folder, 'none'), ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
