import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { exitCodeOf } from '../../src/cli/exit-codes.js';
import { createProgram } from '../../src/cli/program.js';
import { readEvaluations } from '../../src/eval/results.js';
import { type FakeServer, sendJson, sendReply, startFakeServer } from '../llm/fake-server.js';
import { evaluationFile, evaluationUser } from './user-eval/support.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-evaluate-'));
let server: FakeServer;

function written(name: string, rows: readonly object[]): string {
  const path = join(folder, name);
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}

/** Runs a command in this process, which takes a tenth of the time of one of its own. */
async function runCommand(
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      output[name] += text;
      return true;
    }),
  );
  try {
    await createProgram().parseAsync(['node', 'persona-dpo', ...args]);
    return { code: 0, ...output };
  } catch (error) {
    return {
      code: exitCodeOf(error),
      stdout: output.stdout,
      stderr: output.stderr + (error as Error).message,
    };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Solves, answers and judges: who is OWN wins; every second reply of the judge has no verdict at first. */
beforeAll(async () => {
  server = await startFakeServer((asked, response) => {
    const { messages = [], logprobs } = asked.body;
    const text = messages.map(({ content }) => content).join('\n');
    const ownIsFirst = text.indexOf('OWN') < text.indexOf('BASE');
    if (logprobs === true) {
      const top = [
        { token: ownIsFirst ? 'm' : 'M', logprob: -0.1 },
        { token: ownIsFirst ? 'M' : 'm', logprob: -2.4 },
      ];
      sendJson(response, 200, {
        choices: [
          {
            index: 0,
            message: { content: 'm' },
            finish_reason: 'stop',
            logprobs: { content: [{ ...top[0], top_logprobs: top }] },
          },
        ],
        usage: { prompt_tokens: 9, completion_tokens: 1 },
      });
    } else if (text.includes('[[A>>B]]')) {
      const isAgain = messages.length > 2;
      sendReply(asked, response, { text: isAgain ? (ownIsFirst ? '[[A>B]]' : '[[B>>A]]') : 'Let me think.' });
    } else if (text.includes('\\boxed{}')) {
      sendReply(asked, response, {
        text: text.includes('1 + 1') ? 'It is \\boxed{2}.' : 'It is \\boxed{0}.',
      });
    } else sendReply(asked, response, { text: 'OWN answer' });
  });
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const modelFlags = () => [
  '--base-url',
  server.url,
  '--model',
  'tiny',
  '--context-tokens',
  '8192',
  '--api-key-variable',
  'none',
];
const judgeFlags = () => [
  '--judge-base-url',
  server.url,
  '--judge-model',
  'wise',
  '--judge-context-tokens',
  '8192',
  '--judge-api-key-variable',
  'none',
];

const problems = () =>
  written('math.jsonl', [
    { problem: 'What is 1 + 1?', answer: '2', subject: 'Algebra' },
    { problem: 'What is 2 + 1?', answer: '3', subject: 'Counting' },
  ]);

describe('evaluate reasoning', () => {
  test('writes figures and every response, and asks nothing twice', async () => {
    const run = join(folder, 'reasoning');
    const args = [
      'evaluate',
      'reasoning',
      '--benchmark',
      'math-500',
      '--data',
      problems(),
      '--samples',
      '3',
      '--output',
      run,
      ...modelFlags(),
    ];
    const first = await runCommand(args);
    expect(first.stderr).toContain('6 requests, about');
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/accuracy \(mean of 3\) +50\.0 % {2}\(0\.0 to 100\.0\)/);
    const asked = server.asked.length;
    const second = await runCommand([...args, '--json']);
    expect(server.asked.length).toBe(asked);
    expect(JSON.parse(second.stdout)).toMatchObject({ name: 'reasoning-math-500', subject: 'tiny' });
    const [result] = readEvaluations(run);
    expect(result?.tables[0]?.rows[0]?.cells[0]).toMatchObject({ value: 0.5 });
    const rows = readFileSync(join(run, 'evaluations', 'reasoning-math-500.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(rows.map((row) => JSON.parse(row).accuracy)).toEqual([1, 0]);
  });

  test('says what it would ask, and asks nothing', async () => {
    const asked = server.asked.length;
    const run = join(folder, 'dry');
    const { code, stdout } = await runCommand([
      ...[
        'evaluate',
        'reasoning',
        '--benchmark',
        'math-500',
        '--data',
        problems(),
        '--output',
        run,
        '--dry-run',
      ],
      ...[
        '--price-per-million-prompt-tokens',
        '1',
        '--price-per-million-completion-tokens',
        '10',
        ...modelFlags(),
      ],
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('100 requests');
    expect(stdout).toContain('at most 204,800 of replies');
    expect(stdout).toMatch(/at most 2\.05\d? in the currency/);
    expect(server.asked.length).toBe(asked);
    expect(existsSync(run)).toBe(false);
  });

  test('names what is wrong', async () => {
    const { code, stderr } = await runCommand([
      ...[
        'evaluate',
        'reasoning',
        '--benchmark',
        'gpqa',
        '--data',
        problems(),
        '--output',
        folder,
        ...modelFlags(),
      ],
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain('math.jsonl:1: expected a row of GPQA');
    expect(stderr).toContain('https://huggingface.co/datasets/Idavidrein/gpqa');
  });
});

describe('evaluate alpaca-eval', () => {
  const reference = () =>
    written('reference.json', [
      { instruction: 'Say one.', output: 'BASE one', generator: 'base', dataset: 'x' },
      { instruction: 'Say two.', output: 'BASE two', generator: 'base', dataset: 'x' },
    ]);

  test('answers, judges and writes in the form of alpaca_eval, which the leaderboard reads', async () => {
    const run = join(folder, 'alpaca');
    const { code, stdout, stderr } = await runCommand([
      ...[
        'evaluate',
        'alpaca-eval',
        '--reference',
        reference(),
        '--output',
        run,
        ...modelFlags(),
        ...judgeFlags(),
      ],
    ]);
    expect(stderr).toContain('The judge: 2 requests');
    expect(code).toBe(0);
    const share = (100 * Math.exp(-0.1)) / (Math.exp(-0.1) + Math.exp(-2.4));
    expect(stdout).toContain(`${share.toFixed(1)} %`);
    const results = join(run, 'evaluations', 'alpaca-eval');
    const annotations = JSON.parse(readFileSync(join(results, 'annotations.json'), 'utf8'));
    expect(annotations[0]).toMatchObject({
      ...{ instruction: 'Say one.', output_1: 'BASE one', output_2: 'OWN answer', generator_1: 'base' },
      ...{ generator_2: 'tiny', annotator: 'wise', dataset: 'x', preference: 1 + share / 100 },
    });
    const leaderboard = await runCommand([
      'evaluate',
      'alpaca-leaderboard',
      join(results, 'annotations.json'),
      '--json',
    ]);
    expect(JSON.parse(leaderboard.stdout)[0]).toMatchObject({
      name: 'tiny',
      wins: 2,
      lengthControlled: null,
    });
  });

  test('refuses outputs to other instructions, and models that are missing', async () => {
    const outputs = written('outputs.json', [
      { instruction: 'Say three.', output: 'OWN', generator: 'tiny' },
    ]);
    const args = ['evaluate', 'alpaca-eval', '--reference', reference(), '--output', folder];
    const other = await runCommand([...args, '--outputs', outputs, ...judgeFlags()]);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain(
      'outputs.json: expected outputs to the 2 instructions that the baseline has: 2 are missing',
    );
    const none = await runCommand([...args, ...judgeFlags()]);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('give --model, or its answers by --outputs');
  });
});

describe('evaluate arena-hard', () => {
  const ids = ['a', 'b'];
  const questions = () =>
    written(
      'question.jsonl',
      ids.map((id) => ({ question_id: id, turns: [{ content: `Question ${id}` }] })),
    );
  const answers = (name: string, text: string, of = ids) =>
    written(
      `${name}.jsonl`,
      of.map((id) => ({
        question_id: id,
        model_id: name,
        choices: [{ index: 0, turns: [{ content: text }] }],
      })),
    );

  test('plays two games a question, and writes in the form of Arena-Hard, which the leaderboard reads', async () => {
    const run = join(folder, 'arena');
    const { code, stdout } = await runCommand([
      ...[
        'evaluate',
        'arena-hard',
        '--questions',
        questions(),
        '--baseline-answers',
        answers('base', 'BASE'),
      ],
      ...['--output', run, ...modelFlags(), ...judgeFlags()],
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/tiny +100\.0 % {2}\(100\.0 to 100\.0\) +2 +2 +0/);
    const results = join(run, 'evaluations', 'arena-hard');
    const [judgment] = readFileSync(join(results, 'judgments.jsonl'), 'utf8').split('\n');
    const { games, ...rest } = JSON.parse(judgment ?? '');
    expect(rest).toEqual({ question_id: 'a', model: 'tiny', judge: 'wise' });
    expect(games.map(({ score }: { score: string }) => score)).toEqual(['B>>A', 'A>B']);
    const leaderboard = await runCommand(['evaluate', 'arena-leaderboard', join(results, 'judgments.jsonl')]);
    expect(leaderboard.stdout).toMatch(/tiny +100\.0 %/);
  });

  test('says which answers are missing', async () => {
    const { code, stderr } = await runCommand([
      ...[
        'evaluate',
        'arena-hard',
        '--questions',
        questions(),
        '--baseline-answers',
        answers('base', 'BASE'),
      ],
      ...['--answers', answers('own', 'OWN', ['a']), '--output', folder, ...judgeFlags()],
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain('own.jsonl: own has no answer to 1 of the 2 questions, such as b');
  });
});

describe('help', () => {
  const evaluate = createProgram().commands.find((command) => command.name() === 'evaluate');
  const names = ['reasoning', 'alpaca-eval', 'alpaca-leaderboard', 'arena-hard', 'arena-leaderboard'];

  test.each(names)('of evaluate %s has examples with flags that exist', (name) => {
    const command = evaluate?.commands.find((each) => each.name() === name);
    let text = '';
    command?.configureOutput({ writeOut: (part) => (text += part) });
    command?.outputHelp();
    const known = command?.options.map(({ long }) => long);
    const examples = text.slice(text.indexOf('Examples:')).match(/^ {2}\$ .+$/gm) ?? [];
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      expect(example).toContain(`persona-dpo evaluate ${name} `);
      for (const [flag] of example.matchAll(/(?<= )--[a-z-]+/g)) expect(known, example).toContain(flag);
    }
    expect(text).toContain('--debug');
  });
});

describe('evaluate user-eval --dry-run', () => {
  test('says what each model would be asked, and for how much where its prices are known', async () => {
    const asked = server.asked.length;
    const conversations = await evaluationFile(['ann', 'bob'].flatMap(evaluationUser));
    const { code, stdout, stderr } = await runCommand([
      ...['evaluate', 'user-eval', '--conversations', conversations, '--output', join(folder, 'user-dry')],
      ...['--dry-run', ...modelFlags(), '--price-per-million-prompt-tokens', '1'],
      ...['--price-per-million-completion-tokens', '10', '--judge-model', 'judge', '--json'],
    ]);
    expect(code, stderr).toBe(0);
    const estimate = JSON.parse(stdout);
    // Each of the two users has two turns to answer; a judge is asked twice about each on three axes, and once for a persona.
    expect(estimate).toMatchObject({
      users: 2,
      turns: 4,
      model: { requests: 4 },
      judge: { requests: 26, cost: null },
    });
    const { promptTokens, completionTokens, cost } = estimate.model;
    expect(cost).toBeCloseTo((promptTokens + 10 * completionTokens) / 1e6, 12);
    expect(server.asked.length).toBe(asked);
  });
});
