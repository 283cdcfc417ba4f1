import { describe, expect, it } from 'vitest';
import type { Case, VerdictWords } from '../../../src/pairs/judge/judge.js';
import { judgeByLikelihood } from '../../../src/pairs/judge/judge-by-likelihood.js';
import { judgeByReply } from '../../../src/pairs/judge/judge-by-reply.js';
import { refusedRequest, scriptedModel, textOf } from '../support/scripted-model.js';

const WORDS: VerdictWords<'yes' | 'no'> = { verdicts: ['yes', 'no'], words: { yes: ['Yes'], no: ['No'] } };

function ask(id: string): Case {
  return { id, owner: `owner of ${id}`, messages: [{ role: 'user', content: `question ${id}` }] };
}

describe('a judge by reply', () => {
  it('asks once where the reply is a verdict, and gives judgements in the order of the cases', async () => {
    const model = scriptedModel({ reply: ({ id }) => (id === 'a' ? 'Yes' : 'No') });
    const judged = await judgeByReply(model, WORDS, { maxTokens: 7 }).judge(['a', 'b', 'c'].map(ask));
    expect(judged).toEqual([
      { verdict: 'yes', reply: 'Yes' },
      { verdict: 'no', reply: 'No' },
      { verdict: 'no', reply: 'No' },
    ]);
    expect(model.asked).toHaveLength(3);
    expect(model.asked[0]).toMatchObject({ owner: 'owner of a', sampling: { temperature: 0, maxTokens: 7 } });
  });

  it('asks again, once and otherwise, where it is none', async () => {
    const model = scriptedModel({ reply: (_, attempt) => (attempt === 0 ? 'Hard to say.' : 'Yes') });
    const judged = await judgeByReply(model, WORDS, { maxTokens: 7 }).judge([ask('a')]);
    expect(judged).toEqual([{ verdict: 'yes', reply: 'Yes' }]);
    const [first, second] = model.asked;
    expect(second?.messages.slice(0, 2)).toEqual([
      ...(first?.messages ?? []),
      { role: 'assistant', content: 'Hard to say.' },
    ]);
    expect(second?.messages[2]?.content).toContain('[[Yes]] or [[No]]');
  });

  it('leaves the case without verdict after that, and says why', async () => {
    const model = scriptedModel({ reply: (_, attempt) => ['', 'Maybe', 'Yes'][attempt] as string });
    const judged = await judgeByReply(model, WORDS, { maxTokens: 7 }).judge([ask('a')]);
    expect(judged).toEqual([{ problem: 'no verdict in "Maybe"', reply: 'Maybe' }]);
    expect(model.asked).toHaveLength(2);
    expect(model.asked[1]?.messages.every(({ content }) => content !== '')).toBe(true);
  });

  it('does not ask again where the request failed, and asks again where the reply was withheld', async () => {
    const model = scriptedModel({
      reply: ({ id }) =>
        id === 'a' ? refusedRequest('too long') : { text: 'Yes', finishReason: 'filtered' },
    });
    const judged = await judgeByReply(model, WORDS, { maxTokens: 7 }).judge(['a', 'b'].map(ask));
    expect(judged).toEqual([
      { problem: 'too long' },
      { problem: 'the server withheld the reply', reply: 'Yes' },
    ]);
    expect(model.asked.map(({ id }) => id)).toEqual(['a', 'b', 'b']);
  });

  it('tells of each case once', async () => {
    const model = scriptedModel({ reply: ({ id }, attempt) => (id === 'b' && attempt === 0 ? '?' : 'Yes') });
    let told = 0;
    await judgeByReply(model, WORDS, { maxTokens: 7 }).judge(['a', 'b', 'c'].map(ask), {
      onJudged: () => told++,
    });
    expect(told).toBe(3);
  });
});

describe('a judge by likelihood', () => {
  const score = ({ id }: { id: string }) =>
    id === 'a' ? [-1, -3] : id === 'b' ? [-1, -1.5] : id === 'c' ? [-2, -2] : [-1, -2];

  it('takes the likeliest label, the first of two that are as likely', async () => {
    const model = scriptedModel({ score });
    const judge = judgeByLikelihood(model, WORDS, { calibration: [] });
    expect(await judge.judge(['a', 'b', 'c'].map(ask))).toEqual([
      { verdict: 'yes', logprobs: { yes: -1, no: -3 } },
      { verdict: 'yes', logprobs: { yes: -1, no: -1.5 } },
      { verdict: 'yes', logprobs: { yes: -2, no: -2 } },
    ]);
    expect(model.scored[0]).toMatchObject({ owner: 'owner of a', labels: ['Yes', 'No'] });
  });

  it('subtracts the mean over the calibration, which is asked once', async () => {
    const model = scriptedModel({ score });
    const judge = judgeByLikelihood(model, WORDS, {
      calibration: ['x', 'y'].map((content) => [{ role: 'user', content }]),
    });
    const prior = { yes: -1, no: -2 };
    expect(await judge.judge([ask('a')])).toEqual([{ verdict: 'yes', logprobs: { yes: -1, no: -3 }, prior }]);
    expect(await judge.judge([ask('b')])).toEqual([
      { verdict: 'no', logprobs: { yes: -1, no: -1.5 }, prior },
    ]);
    expect(model.scored.map(textOf)).toEqual(['x', 'y', 'question a', 'question b']);
  });

  it('has no verdict where the request failed or a number is none', async () => {
    const model = scriptedModel({
      score: ({ id }) => (id === 'a' ? refusedRequest('too long') : [Number.NaN, -1]),
    });
    const judged = await judgeByLikelihood(model, WORDS, { calibration: [] }).judge(['a', 'b'].map(ask));
    expect(judged.map(({ verdict, problem }) => ({ verdict, problem }))).toEqual([
      { problem: 'too long' },
      { problem: 'the model gave no finite likelihood' },
    ]);
  });

  it('fails where the calibration does', async () => {
    const model = scriptedModel({ score: () => refusedRequest('no scores') });
    const calibration = [[{ role: 'user' as const, content: 'x' }]];
    await expect(judgeByLikelihood(model, WORDS, { calibration }).judge([ask('a')])).rejects.toThrow(
      'no scores',
    );
  });
});
