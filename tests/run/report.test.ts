import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, DataError } from '../../src/errors.js';
import { type EvaluationResultInput, writeEvaluation } from '../../src/eval/results.js';
import { forgetUser } from '../../src/run/forget.js';
import { gatherRun } from '../../src/run/report/gather-run.js';
import { shortText, shortValue } from '../../src/run/report/short-text.js';
import { writeRunReport } from '../../src/run/report/write-run-report.js';
import { doSmallRun, setUpSmallRun } from './small-run.js';
import { temporaryFolder } from './toy-stages.js';

const EVALUATION: EvaluationResultInput = {
  kind: 'evaluation',
  format: 1,
  name: 'looks',
  title: 'Looks',
  tables: [{ title: 'Rates', columns: [{ title: 'rate' }], rows: [{ label: 'all', cells: [{ value: 1 }] }] }],
  answers: ['ann', 'ben'].map((user) => ({
    user,
    prompt: [{ role: 'user', content: 'Hello?' }],
    answers: [{ label: 'before', text: `Hello ${user}` }],
  })),
};

describe('what a report takes from a run', () => {
  test('is all of it: books, pairs with what led to them, personas, evaluations', async () => {
    const small = await setUpSmallRun();
    await doSmallRun(small);
    await writeEvaluation(small.output, EVALUATION);
    const run = await gatherRun(small.output, 'small', { mostPairs: 100 });
    expect(run.stages.map(({ name, done }) => [name, done])).toEqual([
      ['conversations', true],
      ['classify', true],
      ['users', true],
      ['personas', true],
      ['rewrite', true],
      ['pairs', true],
    ]);
    const [conversations, classify, users] = run.stages;
    expect(conversations?.counts[0]).toMatchObject({ unit: 'conversations', in: 15, out: 15 });
    expect(conversations?.versions.machine).toMatch(/ cores, .* GiB, /);
    expect(classify?.usage?.requests).toBeGreaterThan(0);
    expect(users?.examples).toEqual([{ reason: 'no-meaningful-feedback', id: 'dan', detail: 'No' }]);
    expect(run.settings['classify.llm.model']).toBe('rule');
    expect(run.evaluations.map(({ name }) => name)).toEqual(['looks']);
    expect([run.pairs.length, run.pairsInAll, run.personas.length]).toEqual([12, 12, 4]);
    expect(run.personas.find(({ user }) => user === 'ann')).toMatchObject({ conversations: 3, pairs: 3 });
    const pair = run.pairs.find(({ id }) => id === 'ann-1:2');
    expect(pair).toMatchObject({
      user: 'ann',
      source: 'rewrite',
      persona: '- Wants short answers\n- Wants no lists',
      prompt: [{ role: 'user', content: 'Tell me about ann topic 1.' }],
      chosen: 'Here is the brief form for someone who said make it shorter, I am ann.',
      followUp: { text: 'make it shorter, I am ann', type: 're-attempt-with-feedback' },
      conversation: 'ann-1',
      turn: 2,
      turnIs: 'follow-up',
      records: [],
    });
    expect(pair?.made?.request.at(-1)?.content).toBe('REWRITE\nmake it shorter, I am ann');
    expect(run.conversations['ann-1']?.turns).toHaveLength(5);
  });

  test('is what there is of a run that is not done, and the first pairs of a large one', async () => {
    const small = await setUpSmallRun();
    await doSmallRun(small, { until: 'classify' });
    const begun = await gatherRun(small.output, 'small', { mostPairs: 100 });
    expect(begun.stages.filter(({ done }) => !done).map(({ name }) => name)).toEqual([
      'users',
      'personas',
      'rewrite',
      'pairs',
    ]);
    expect([begun.pairs, begun.trainings, begun.personas]).toEqual([[], [], []]);
    await doSmallRun(small);
    const first = await gatherRun(small.output, 'small', { mostPairs: 2 });
    expect([first.pairs.length, first.pairsInAll, first.personas.length, first.personasInAll]).toEqual([
      2, 12, 2, 4,
    ]);
  });

  test('is also a folder of training alone, with samples of online training', async () => {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, 'config.yaml'),
      'model: tiny\npairs: pairs.jsonl\noutput_dir: out\nloss_type: sigmoid\n',
    );
    writeFileSync(join(folder, 'metrics.jsonl'), '{"step":1,"loss":0.7}\n');
    writeFileSync(join(folder, 'summary.json'), '{"outcome":"stopped-early"}');
    const rollout = {
      step: 3,
      set: 'train',
      prompt_id: 'p',
      user: 'ann',
      prompt: [{ role: 'user', content: 'Hello?' }],
      completions: [
        { text: 'Hi.', tokens: 2, finish_reason: 'stop', reward: 0.51234 },
        { text: '', tokens: 1, finish_reason: 'stop', reward: null },
      ],
      chosen: 0,
      rejected: null,
      staleness: 0,
    };
    writeFileSync(join(folder, 'rollouts.jsonl'), `${JSON.stringify(rollout)}\n`.repeat(60));
    const { trainings } = await gatherRun(folder, 'alone', { mostPairs: 10 });
    expect(trainings).toMatchObject([
      {
        stage: '',
        outcome: 'stopped-early',
        untrained: { loss: Math.LN2 },
        metrics: [{ step: 1, loss: 0.7 }],
        samplesInAll: 60,
      },
    ]);
    expect(trainings[0]?.samples.length).toBeGreaterThan(15);
    expect(trainings[0]?.samples[0]?.group.answers).toEqual([
      { label: 'reward 0.5123, chosen', text: 'Hi.' },
      { label: 'no reward', text: '' },
    ]);
  });

  test('is no more of a text than can be read', () => {
    expect(shortText('abc', 3)).toBe('abc');
    expect(shortText('abcdef', 3)).toBe('abc\n[... 3 more characters, which this report leaves out]');
    const deep = { a: { b: { c: { d: { e: { f: 1 } } } } }, list: Array.from({ length: 99 }, () => 0) };
    expect(JSON.stringify(shortValue(deep))).toContain('"[...]"');
    expect((shortValue(deep) as typeof deep).list).toHaveLength(50);
  });
});

describe('writing a report', () => {
  test('puts it into the run, or where it is wanted, with its drawings beside it', async () => {
    const small = await setUpSmallRun();
    await doSmallRun(small);
    const progress: string[] = [];
    const one = await writeRunReport(
      [small.output],
      {},
      { onProgress: (...what) => progress.push(what.join(' ')) },
    );
    expect(one.html).toBe(join(small.output, 'report.html'));
    expect(progress[0]).toBe('runs 1 1');
    expect(readFileSync(one.html, 'utf8')).toContain('<title>Run run</title>');
    await writeEvaluation(small.output, EVALUATION);
    const wanted = join(small.folder, 'deep', 'page.html');
    expect((await writeRunReport([small.output], { output: wanted, pairs: 0 })).html).toBe(wanted);
    // A page without pairs can be handed on: nothing of what was said is in it, and nobody's name.
    const page = readFileSync(wanted, 'utf8');
    expect(page).not.toContain('id="run-0-pairs-0"');
    expect(page).not.toMatch(/Hello|\b(ann|ben|dan)\b/);
    expect(page).toContain('no-meaningful-feedback');
  });

  test('of several runs tells them apart by their folders', async () => {
    const small = await setUpSmallRun();
    await doSmallRun(small);
    await doSmallRun(small, { limit: 4 });
    const { html } = await writeRunReport([small.output, join(small.output, 'limit-4')]);
    expect(html).toBe(join(small.output, 'comparison.html'));
    expect(readFileSync(html, 'utf8')).toContain('<title>2 runs compared</title>');
  });

  test('is refused without runs, twice of the same, and of what is none', async () => {
    const small = await setUpSmallRun();
    await doSmallRun(small, { until: 'conversations' });
    await expect(writeRunReport([])).rejects.toThrow('expected the folder of at least one run');
    await expect(writeRunReport([small.output, `${small.output}/`])).rejects.toThrow(/is given twice/);
    await expect(writeRunReport([small.folder])).rejects.toThrow(ConfigError);
    await expect(writeRunReport([small.output], { pairs: -1 })).rejects.toThrow('report: pairs: ');
    mkdirSync(join(small.output, 'evaluations'));
    const bad = join(small.output, 'evaluations', 'bad.json');
    writeFileSync(bad, '{"kind":"evaluation","format":2}');
    await expect(writeRunReport([small.output])).rejects.toThrow(DataError);
    await expect(writeRunReport([small.output])).rejects.toThrow(
      `${bad}: expected the result of an evaluation`,
    );
  });

  test('goes when a user is forgotten, and what evaluations keep of the user with it', async () => {
    const small = await setUpSmallRun();
    await doSmallRun(small);
    await writeEvaluation(small.output, EVALUATION);
    const { html, plotsFolder } = await writeRunReport([small.output]);
    const { reports, removed } = await forgetUser(small.output, 'ben');
    expect(reports).toEqual([html]);
    expect(removed).toContainEqual({ file: join(small.output, 'evaluations', 'looks.json'), rows: 1 });
    expect([existsSync(html), existsSync(plotsFolder)]).toEqual([false, false]);
    const again = await gatherRun(small.output, 'again', { mostPairs: 100 });
    expect(again.evaluations[0]?.answers.map(({ user }) => user)).toEqual(['ann']);
    expect(JSON.stringify(again)).not.toContain('ben');
  });
});
