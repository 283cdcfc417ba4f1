import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parseRunConfig, readRunConfig, runConfigToYaml } from '../../src/run/config/config-file.js';
import { resolveRunConfig, resolveStageConfig } from '../../src/run/config/run-config.js';
import { planPipeline } from '../../src/run/pipeline.js';

const BASE = `output_dir: out
llm:
  kind: local
  model: small
conversations:
  input: logs.jsonl
`;

const read = (text: string) => parseRunConfig(text, 'run.yaml');
const problemsOf = (text: string): string[] => {
  try {
    read(text);
  } catch (error) {
    return (error as { details: { problems: string[] } }).details.problems;
  }
  return [];
};

describe('a configuration', () => {
  test('fills in the defaults of every stage', () => {
    const { config } = read(`${BASE}seed: 7\nclassify:\n  max_message_tokens: 50\n`);
    const { sections, models, train } = config;
    expect(sections.classify).toMatchObject({ method: 'generate', maxMessageTokens: 50 });
    expect(sections.conversations).toMatchObject({ input: ['logs.jsonl'], minConversations: 3, seed: 7 });
    expect(sections.rewrite).toMatchObject({ temperature: 0.6, topP: 0.9, seed: 7, source: 'rewrite' });
    expect([sections.reconstruct, sections.math, train]).toEqual([null, null, null]);
    expect(Object.keys(models)).toEqual(['classify', 'users', 'personas', 'rewrite']);
  });

  test('gives a stage a model of its own: changed in part, or another kind', () => {
    const { config } = read(
      `${BASE}classify:\n  llm: {batch_size: 4}\npersonas:\n  llm: {kind: server, base_url: "http://127.0.0.1:1/v1", model: big}\n`,
    );
    expect(config.models.classify).toMatchObject({ kind: 'local', model: 'small', batchSize: 4 });
    expect(config.models.personas).toMatchObject({ kind: 'server', model: 'big' });
    expect(config.models.rewrite).toMatchObject({ kind: 'local', batchSize: 32 });
  });

  test('switches stages, and asks for no model where none is needed', () => {
    const { config } = read(
      'output_dir: o\nconversations: {input: a}\nclassify: {llm: {kind: local, model: m}}\nusers: {method: rule}\npersonas: false\nrewrite: {source: logged}\n',
    );
    expect(Object.keys(config.models)).toEqual(['classify']);
    expect(config.sections.personas).toBeNull();
  });

  test('can be of math conversations alone', () => {
    const { config } = read('output_dir: o\nllm: {kind: local, model: m}\nmath: {input: prm.jsonl}\n');
    const done = Object.entries(config.sections).flatMap(([name, options]) =>
      options === null ? [] : [name],
    );
    expect(done).toEqual(['math', 'rewrite', 'pairs']);
  });

  test('takes the way of user-based rewards where candidates are asked for, beside that of rewrites or alone', () => {
    const reward = 'reward: {model: rewards}\n';
    const { config } = read(`${BASE}${reward}seed: 3\ncandidates: {samples: 8, llm: {batch_size: 4}}\n`);
    expect(config.sections.prompts).toMatchObject({ prompts: 'initial', seed: 3 });
    expect(config.sections.candidates).toMatchObject({ samples: 8, temperature: 0.6, topP: 0.9, seed: 3 });
    expect(config.sections.rank).toEqual({ rewards: 'user-based', compare: false });
    expect(config.sections.rewrite).not.toBeNull();
    expect(config.reward).toMatchObject({ model: 'rewards', executionProvider: 'auto' });
    expect(config.models.candidates).toMatchObject({ model: 'small', batchSize: 4 });
    const alone = read(`${BASE}${reward}candidates: true\nrewrite: false\n`).config.sections;
    expect([alone.rewrite, alone.pairs === null]).toEqual([null, false]);
    const neither = read(BASE).config;
    expect([neither.reward, neither.sections.prompts, neither.sections.rank]).toEqual([null, null, null]);
  });

  test('trains online on the prompts, with the reward model of the run', () => {
    const online = 'reward: {model: rewards}\nonline:\n  model: small\n  max_completion_length: 64\n';
    const { config } = read(`${BASE}seed: 3\n${online}rewrite: false\n`);
    expect(config.online).toMatchObject({ model: 'small', maxNewTokens: 64, pool: 'all', seed: 3 });
    expect(config.sections.prompts).not.toBeNull();
    expect([config.sections.pairs, config.sections.candidates]).toEqual([null, null]);
    const both = read(`${BASE}train: {model: big}\nonline: {beta: 0.02}\nreward: {model: rewards}\n`).config;
    expect(both.online).toMatchObject({ model: 'big', beta: 0.02 });
  });

  test('takes TRL names for training, with the seed and the persona template of the run', () => {
    const { config, notices } = read(
      `${BASE}seed: 3\npersona_template: p.jinja\ntrain:\n  model: small\n  bf16: true\n  optim_args: null\n`,
    );
    expect(config.train).toMatchObject({ dtype: 'bfloat16', seed: 3, personaTemplate: 'p.jinja' });
    expect(notices).toEqual([expect.stringMatching(/^run\.yaml:12: optim_args/)]);
  });

  test.each([
    [
      'a name nearly right',
      `${BASE}clasify: true\n`,
      'run.yaml:7: unknown option clasify; did you mean classify?',
    ],
    [
      'an option of a section',
      `${BASE}rewrite:\n  temprature: 1\n`,
      'run.yaml:8: unknown option temprature; did you mean temperature?',
    ],
    [
      'a nested option',
      'output_dir: o\nllm: {kind: local, model: m}\nconversations:\n  input: a\n  columns:\n    turn: x\n',
      'run.yaml:6: unknown option turn; did you mean turns?',
    ],
    [
      'a value',
      `${BASE}pairs:\n  min_change: 7\n`,
      'run.yaml:8: min_change: expected a number of at most 1, got 7',
    ],
    [
      'a kind of model',
      'output_dir: o\nllm:\n  kind: remote\n',
      'run.yaml:3: kind: expected one of local, server, got "remote"',
    ],
    [
      'a stage that is needed',
      `${BASE}classify: false\n`,
      'run.yaml:7: classify is needed by what comes after it; use until to end a run before it',
    ],
    [
      'personas that are given nowhere',
      `${BASE}personas:\n  method: given\n`,
      'run.yaml:8: file is required: method given takes the personas from it',
    ],
    [
      'candidates that nothing ranks',
      `${BASE}candidates: true\n`,
      expect.stringContaining('reward is required: expected the reward model that ranks candidates'),
    ],
    [
      'a ranking of nothing',
      `${BASE}rank: true\n`,
      'run.yaml:7: rank needs candidates: expected a section of that name',
    ],
    [
      'pairs of nothing',
      `${BASE}rewrite: false\n`,
      'run.yaml:7: rewrite is needed by what comes after it; use until to end a run before it',
    ],
    [
      'an option of the reward model',
      `${BASE}reward:\n  model: m\n  tokens: 1\n`,
      expect.stringContaining('run.yaml:9: unknown option tokens'),
    ],
    [
      'a threshold inside the pairs',
      `${BASE}pairs:\n  user_based:\n    share: 2\n`,
      'run.yaml:9: user_based.share: expected a number of at most 1, got 2',
    ],
    [
      'a curated pool without candidates',
      `${BASE}reward: {model: m}\nonline:\n  model: m\n  pool: curated\n`,
      'run.yaml:10: pool: curated needs candidates: expected a section of that name',
    ],
    [
      'prompts of its own for online training',
      `${BASE}reward: {model: m}\nonline:\n  model: m\n  prompts: p.jsonl\n  reward_model: r\n`,
      'run.yaml:11: reward_model comes from the section reward',
    ],
    [
      'online training without rewards',
      `${BASE}online: {model: m}\n`,
      'run.yaml: reward is required: expected the reward model that online training asks',
    ],
    [
      'training without pairs',
      `${BASE}reward: {model: m}\nonline: {model: m}\nrewrite: false\ntrain:\n  model: m\n`,
      'run.yaml:10: train needs pairs: expected rewrite, candidates, or both',
    ],
    [
      'training on pairs of its own',
      `${BASE}train:\n  model: m\n  pairs: x\n`,
      'run.yaml:9: pairs comes from the run',
    ],
    [
      'an option of TRL that is not possible',
      `${BASE}train:\n  model: m\n  fp16: true\n`,
      expect.stringContaining('run.yaml:9: fp16: true is not possible here'),
    ],
    [
      'options that do not go together',
      'output_dir: o\nllm: {kind: local, model: m}\nconversations:\n  input: a\n  min_conversations: 9\n  max_conversations: 2\n',
      'run.yaml:3: min_conversations must not be above max_conversations, got 9 and 2.',
    ],
  ])('names %s with its line', (_name, text, problem) => {
    expect(problemsOf(text)).toContainEqual(problem);
  });

  test('lists all mistakes at once, in the order of the lines', () => {
    const problems = problemsOf(`${BASE}users: 3\nrewrite:\n  seed: -1\n  sauce: hot\n`);
    expect(problems.map((problem) => /^run\.yaml:(\d+)/.exec(problem)?.[1])).toEqual(['7', '9', '10']);
  });

  test.each([
    ['a list', '- a\n', 'run.yaml: expected lines of "option: value", got a list'],
    ['what is not YAML', 'a: [\n', 'run.yaml:2: not valid YAML'],
    ['nothing', '', 'there is nothing to do: expected conversations, or math, or both'],
    [
      'no model',
      'output_dir: o\nconversations: {input: a}\n',
      'llm is required: expected the language model that the stages ask (classify, users, personas, rewrite)',
    ],
  ])('refuses %s', (_name, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test('does not show an address that may hold a password', () => {
    const text =
      'output_dir: o\nconversations: {input: a}\nllm: {kind: server, model: m, base_url: "http://me:s3cret@host/v1"}\n';
    expect(problemsOf(text)).toEqual([
      expect.stringContaining('base_url: must not hold a user name or password'),
    ]);
    expect(problemsOf(text).join()).not.toContain('s3cret');
  });

  test('is the same again when it is read from what was written of it', () => {
    const { config } = read(
      `${BASE}reconstruct: true\nclassify:\n  llm: {kind: server, base_url: "http://127.0.0.1:1/v1", model: m, extra_body: {a_b: {cD: 1}}}\nreward: {model: r, batch_tokens: 4096}\ncandidates: {samples: 4}\npairs: {user_based: {max_reward_gap: null, share: 0.5}}\ntrain:\n  model: m\n  learning_rate: 1.0e-6\nonline: {pool: curated, max_new_tokens: 64}\n`,
    );
    const again = parseRunConfig(runConfigToYaml(config), 'config.yaml').config;
    const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
    expect(isDeepStrictEqual(plain(again), plain(config))).toBe(true);
    expect(config.models.classify).toMatchObject({ extraBody: { a_b: { cD: 1 } } });
  });

  test('in code has the same checks', () => {
    const config = {
      outputDir: 'o',
      conversations: { input: 'a' },
      llm: { kind: 'local', model: 'm' },
    } as const;
    expect(resolveRunConfig(config).sections.pairs).toMatchObject({ minRejectedCharacters: 1878 });
    expect(() => resolveRunConfig({ ...config, pairs: { minChange: 7 } })).toThrow(
      'pairs.min_change: min_change: expected a number of at most 1, got 7',
    );
    expect(() => resolveStageConfig('users', { outputDir: 'o', options: { method: 'vote' } })).toThrow(
      'method: expected one of generate, likelihood, rule, got "vote"',
    );
  });
});

const FROM_LOGS = ['conversations', 'reconstruct', 'classify', 'users', 'personas'];

test.each([
  ['config', [...FROM_LOGS, 'rewrite', 'pairs', 'train']],
  ['user-based-rewards', [...FROM_LOGS, 'prompts', 'candidates', 'rank', 'pairs', 'online']],
])('the example of a real setting is valid, with neither data nor server: %s', async (name, expected) => {
  const { config } = readRunConfig(`examples/wildchat/${name}.yaml`);
  const { stages } = await planPipeline(config);
  expect(stages.map(({ stage, state }) => `${stage} ${state}`)).toEqual(
    expected.map((stage) => `${stage} to-do`),
  );
});
