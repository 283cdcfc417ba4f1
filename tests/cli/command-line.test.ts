import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createProgram, normalizeFlags } from '../../src/cli/program.js';
import { toFlagName } from '../../src/train/option-names.js';
import { describeTrainOptions } from '../../src/train/options.js';
import { runCli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const commands = [
  ...['quickstart', 'run', 'status', 'inspect', 'forget'],
  ...['conversations', 'reconstruct', 'classify', 'users', 'personas', 'math', 'rewrite', 'pairs'],
  ...['train', 'generate', 'chat', 'logps', 'merge', 'setup', 'doctor'],
];

describe('help', () => {
  test('without arguments lists the commands', async () => {
    const { code, stdout } = await runCli([]);
    expect(code).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
  });

  test.each(commands)('of %s has examples that are commands of ours', (name) => {
    const program = createProgram();
    const command = program.commands.find((each) => each.name() === name);
    let text = '';
    command?.configureOutput({ writeOut: (part) => (text += part) });
    command?.outputHelp();
    const examples = text.slice(text.indexOf('Examples:')).match(/^ {2}\$ .+$/gm) ?? [];
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(example).toMatch(new RegExp(`persona-dpo ${name}( |$)`));
    expect(text).toContain('--debug');
  });

  test('of train shows every option with its default, in groups', async () => {
    const { code, stdout } = await runCli(['train', '--help']);
    expect(code).toBe(0);
    for (const { name, group } of describeTrainOptions()) {
      expect(stdout).toContain(`--${toFlagName(name)} `);
      expect(stdout).toContain(`${group}:`);
    }
    expect(stdout).toMatch(/--beta <NUMBER>\s+How strongly[\s\S]*?\(default:\s+0.1\)/);
    expect(stdout).not.toContain('--bf16');
  });

  test('examples of train, generate and the others use flags that exist', () => {
    for (const command of createProgram().commands) {
      const known = new Set(command.options.map((option) => option.long));
      let text = '';
      command.configureOutput({ writeOut: (part) => (text += part) });
      command.outputHelp();
      const examples = text.slice(text.indexOf('Examples:')).match(/^ {2}\$ .+$/gm) ?? [];
      for (const example of examples) {
        for (const [flag] of example.matchAll(/(?<= )--[a-z-]+/g)) expect(known, example).toContain(flag);
      }
    }
  });

  test('--version is that of the package', async () => {
    const { code, stdout } = await runCli(['--version']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe('wrong usage ends with 2 and one clear message', () => {
  const config = join(folder, 'run.yaml');
  writeFileSync(config, 'model: m\npairs: p.jsonl\noutput_dir: o\nlearning_rat: 1\n');
  const twice = join(folder, 'fp16.yaml');
  writeFileSync(twice, 'model: m\npairs: p.jsonl\noutput_dir: o\nfp16: true\ndeepspeed: x\n');

  test.each<[string[], string]>([
    [['trian'], "unknown command 'trian'\n(Did you mean train?)\nSee `persona-dpo --help`."],
    [['train', '--lerning-rate', '1'], "unknown option '--lerning-rate'\n(Did you mean --learning-rate?)"],
    [['train', '--model', 'm'], 'pairs is required: Preference pairs to train on'],
    [
      ['train', '--model', 'm', '--pairs', 'p', '--output', 'o', '--beta', '-1'],
      'beta: expected a number above 0, got -1',
    ],
    [
      ['train', '--model', 'm', '--pairs', 'p', '--output', 'o', '--loss_type', 'kto'],
      'loss_type: expected one of sigmoid',
    ],
    [['train', '--config', config], 'unknown option learning_rat; did you mean learning_rate?'],
    [['train', '--config', twice], '2 problems\n  - fp16: true is not possible here'],
    [['train', '--config', join(folder, 'none.yaml')], 'none.yaml cannot be read'],
    [
      ['train', '--model', 'm', '--deepspeed', 'ds.json'],
      'deepspeed: "ds.json" is not possible here: training runs in one process here',
    ],
    [['generate'], "required option '--model <ID|DIR|FILE>' not specified"],
    [['generate', '--model', 'm', '--prompt', 'a', '--prompts', 'b'], 'give --prompt or --prompts, not both'],
    [
      ['generate', '--model', 'm', '--temperature', 'warm'],
      "option '--temperature <NUMBER>' argument 'warm' is invalid. Expected a number from 0.",
    ],
    [['setup', '--device', 'tpu'], 'Allowed choices are auto, cpu, cuda'],
    [['doctor', 'now'], 'too many arguments'],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('--json puts the error on standard output as well, --debug shows where', async () => {
    const args = [
      'train',
      '--model',
      'm',
      '--pairs',
      'p',
      '--output',
      'o',
      '--beta',
      '0',
      '--json',
      '--debug',
    ];
    const { code, stdout, stderr } = await runCli(args);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'CONFIG', details: { problems: ['beta: expected a number above 0, got 0'] } },
    });
    expect(stderr).toMatch(/^\s+at /m);
  });
});

test('a file that is not there ends with 2, the flag named', async () => {
  const { code, stderr } = await runCli(['logps', '--model', 'm', '--pairs', join(folder, 'none.jsonl')]);
  expect(stderr).toMatch(/^error: --pairs: there is no file .*none\.jsonl$/m);
  expect(code).toBe(2);
});

describe('normalizeFlags', () => {
  test('turns underscores into hyphens in flags, not in values', () => {
    const words = ['train', '--learning_rate', '1', '--output_dir=my_dir', '--pairs', 'a_b', '--', '--x_y'];
    expect(normalizeFlags(words)).toEqual([
      'train',
      '--learning-rate',
      '1',
      '--output-dir=my_dir',
      '--pairs',
      'a_b',
      '--',
      '--x_y',
    ]);
  });
});
