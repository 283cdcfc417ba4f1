import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readEvaluations, writeEvaluation } from '../../src/eval/results.js';
import { withReplyCache } from '../../src/llm/reply-cache.js';
import { forgetInEvaluations } from '../../src/run/forget-evaluations.js';
import { RunFolder } from '../../src/run/run-folder.js';
import { scriptedModel } from '../pairs/support/scripted-model.js';
import { temporaryFolder } from './toy-stages.js';

const isAnns = ({ user, id }: Readonly<Record<string, unknown>>) => user === 'ann' || id === 'a1:0';

it('takes answers, verdicts, votes and replies of a user away, and leaves the others', async () => {
  const run = new RunFolder(temporaryFolder());
  const folder = join(run.path, 'evaluations');
  const answer = (user: string) => ({
    ...{ user, prompt: [{ role: 'user' as const, content: 'hm' }] },
    answers: [{ label: 'log', text: 'yes' }],
  });
  await writeEvaluation(run.path, {
    ...{ kind: 'evaluation', format: 1, name: 'user-eval', title: 'UserEval', tables: [] },
    answers: [answer('ann'), answer('ben')],
  });
  const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  mkdirSync(join(folder, 'user-eval'));
  mkdirSync(join(folder, 'human-study'));
  const answers = join(folder, 'user-eval', 'answers.jsonl');
  const votes = join(folder, 'human-study', 'votes.jsonl');
  writeFileSync(
    answers,
    lines([
      { id: 'a1:0', user: 'ann' },
      { id: 'b1:0', user: 'ben' },
    ]),
  );
  writeFileSync(
    votes,
    lines([
      { id: 'a1:0', participant: 'p' },
      { id: 'b1:0', participant: 'p' },
    ]),
  );
  const model = withReplyCache(scriptedModel({ reply: () => 'fine' }), join(folder, 'replies.lmdb'));
  const requests = ['ann', 'ben'].map((owner) => ({
    ...{ id: owner, owner, messages: [{ role: 'user' as const, content: `from ${owner}` }] },
  }));
  for await (const _ of model.generate(requests)) void _;
  await model.dispose();

  const { removed, replies } = await forgetInEvaluations(run, 'ann', isAnns);
  expect(replies).toBe(1);
  expect(removed).toEqual([
    { file: join(folder, 'user-eval.json'), rows: 1 },
    { file: votes, rows: 1 },
    { file: answers, rows: 1 },
  ]);
  expect(readEvaluations(run.path)[0]?.answers.map(({ user }) => user)).toEqual(['ben']);
  expect(readFileSync(answers, 'utf8')).toBe(lines([{ id: 'b1:0', user: 'ben' }]));
  expect(readFileSync(votes, 'utf8')).toBe(lines([{ id: 'b1:0', participant: 'p' }]));
  expect(await forgetInEvaluations(run, 'ann', isAnns)).toEqual({ removed: [], replies: 0 });
});

it('has nothing to do where nothing was evaluated', async () => {
  expect(await forgetInEvaluations(new RunFolder(temporaryFolder()), 'ann', isAnns)).toEqual({
    ...{ removed: [], replies: 0 },
  });
});
