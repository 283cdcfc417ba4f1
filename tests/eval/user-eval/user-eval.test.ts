import { describe, expect, it } from 'vitest';
import { evaluationResultSchema } from '../../../src/eval/results.js';
import { userEval } from '../../../src/eval/user-eval/user-eval.js';
import type { ChatRequest } from '../../../src/llm/chat-model.js';
import { said } from '../../pairs/support/classified-conversations.js';
import {
  refusedRequest,
  type ScriptedModel,
  scriptedModel,
  textOf,
} from '../../pairs/support/scripted-model.js';
import { evaluationFile, evaluationUser } from './support.js';

const USERS = ['ada', 'bob', 'cid'];

/** Answers `good` to those who are in `liked`, else `bad`. */
function answering(liked: readonly string[] = USERS): ScriptedModel {
  return scriptedModel({
    identity: 'model',
    reply: (request) =>
      textOf(request).includes('How does this person want')
        ? '- Wants what the model saw'
        : liked.some((user) => textOf(request).includes(`${user} asks`))
          ? 'good'
          : 'bad',
  });
}

/** Prefers `good` to the log's answer, and that to `bad`, wherever they stand. */
function judging(say: (verdict: string, request: ChatRequest, attempt: number) => string = (v) => v) {
  return scriptedModel({
    identity: 'judge',
    reply: (request, attempt) => {
      const text = textOf(request);
      if (text.includes('How does this person want')) return '- Wants what the judge saw';
      const [, first = '', second = ''] =
        /<answer-A>\s*(.*?)\s*<\/answer-A>.*?<answer-B>\s*(.*?)\s*<\/answer-B>/s.exec(text) ?? [];
      const worth = (answer: string) => (answer === 'good' ? 2 : answer === 'bad' ? 0 : 1);
      return say(worth(first) > worth(second) ? 'A' : 'B', request, attempt);
    },
  });
}

async function threeUsers(): Promise<string> {
  return evaluationFile(USERS.flatMap(evaluationUser));
}

describe('userEval', () => {
  it('judges an answer at each held-out user message against the log, in both orders', async () => {
    const model = answering(['ada']);
    const judge = judging();
    const { answers, judgments, axes, result } = await userEval({
      ...{ conversations: await threeUsers(), model, judge },
    });
    expect(answers.map(({ id, kind }) => [id, kind])).toEqual(
      USERS.flatMap((user) => [
        [`${user}-3:0`, 'initial'],
        [`${user}-3:2`, 'follow-up'],
      ]),
    );
    expect(answers[1]?.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(judgments).toHaveLength(6 * 3 * 2);
    for (const axis of axes) {
      expect(axis).toMatchObject({ wins: 2, losses: 4, undecided: 0, unjudged: 0, users: 3 });
      expect(axis).toMatchObject({ firstPlaceShare: 0.5, consistency: 1 });
      expect(axis.all.estimate).toBeCloseTo(1 / 3, 12);
      expect(axis.initial.estimate).toBeCloseTo(1 / 3, 12);
      // Whole users are drawn: all of them good, or none.
      expect([axis.all.low, axis.all.high]).toEqual([0, 1]);
    }
    expect(evaluationResultSchema.parse(result).tables[0]?.rows).toHaveLength(3);
  });

  it('lets only axes with a persona see it, the one that the judge has inferred from the history alone', async () => {
    const judge = judging();
    await userEval({ conversations: await threeUsers(), model: answering(), judge });
    const inferring = judge.asked.filter((request) => textOf(request).includes('How does this person want'));
    expect(inferring).toHaveLength(3);
    for (const request of inferring) expect(textOf(request)).not.toContain('asks three');
    const sees = (axis: string) =>
      judge.asked
        .filter(({ id }) => id.includes(`:${axis}:`))
        .map((r) => textOf(r).includes('what the judge saw'));
    expect(new Set(sees('personalization'))).toEqual(new Set([true]));
    expect(new Set(sees('user-eval'))).toEqual(new Set([true]));
    expect(new Set(sees('instruction-following'))).toEqual(new Set([false]));
  });

  it('guides the model by a persona that it has inferred itself, where that is asked for', async () => {
    const model = answering();
    const settings = { conversations: await threeUsers(), model, judge: judging() };
    const { answers } = await userEval({ ...settings, inference: 'persona-guided' });
    expect(answers.every(({ guidedBy }) => guidedBy === '- Wants what the model saw')).toBe(true);
    const answered = model.asked.filter(({ id }) => id.includes('-3:'));
    for (const { messages } of answered) {
      expect(messages[0]).toMatchObject({
        role: 'system',
        content: expect.stringContaining('what the model saw'),
      });
    }
    const plain = answering();
    await userEval({ ...settings, model: plain });
    expect(plain.asked.every(({ messages }) => messages[0]?.role === 'user')).toBe(true);
  });

  it('infers nothing where personas are given', async () => {
    const judge = judging();
    const personas = new Map(USERS.map((user) => [user, `- ${user} likes tables`]));
    await userEval({ conversations: await threeUsers(), model: answering(), judge, personas });
    expect(judge.asked.some((request) => textOf(request).includes('How does this person want'))).toBe(false);
    expect(judge.asked.some((request) => textOf(request).includes('- ada likes tables'))).toBe(true);
  });

  it('counts ties as half', async () => {
    const { axes } = await userEval({
      ...{ conversations: await threeUsers(), model: answering(), judge: judging(() => '[[tie]]') },
      axes: ['user-eval'],
    });
    expect(axes[0]).toMatchObject({ wins: 0, losses: 0, undecided: 6, firstPlaceShare: 0.5, consistency: 1 });
    expect(axes[0]?.all).toMatchObject({ estimate: 0.5, low: 0.5, high: 0.5 });
  });

  it('shows a judge that goes by the place alone as one', async () => {
    const { axes } = await userEval({
      ...{ conversations: await threeUsers(), model: answering(), judge: judging(() => 'A') },
      axes: ['instruction-following'],
    });
    expect(axes[0]).toMatchObject({ firstPlaceShare: 1, consistency: 0, undecided: 6 });
    expect(axes[0]?.all.estimate).toBe(0.5);
  });

  it('asks again for a verdict that cannot be read, and counts it where none comes', async () => {
    const nonsense = judging((verdict, { id }, attempt) =>
      id.startsWith('ada-3:0:') ? 'no idea' : id.startsWith('bob-3:0:') && attempt === 0 ? 'hm' : verdict,
    );
    const { axes, judgments, tallies } = await userEval({
      ...{ conversations: await threeUsers(), model: answering(), judge: nonsense },
      axes: ['user-eval'],
    });
    expect(axes[0]).toMatchObject({ unjudged: 1, wins: 5, turns: { all: 5, initial: 2, followUp: 3 } });
    expect(judgments.filter(({ problem }) => problem !== undefined).map(({ id }) => id)).toEqual([
      'ada-3:0',
      'ada-3:0',
    ]);
    expect(tallies.at(-1)?.counts()).toMatchObject({ in: 12, out: 10, dropped: { 'no-verdict': 2 } });
  });

  it('decides by likelihood with what the place alone would give taken off', async () => {
    // Always for A by two nats, but for where B is good.
    const judge = scriptedModel({
      score: (request) => {
        const [, second = ''] = /<answer-B>\s*(.*?)\s*<\/answer-B>/s.exec(textOf(request)) ?? [];
        const [, first = ''] = /<answer-A>\s*(.*?)\s*<\/answer-A>/s.exec(textOf(request)) ?? [];
        return [-1 + (first === 'good' ? 1 : 0), -3 + (second === 'good' ? 1 : 0)];
      },
    });
    const { axes } = await userEval({
      ...{ conversations: await threeUsers(), model: answering(), judge },
      ...{ axes: ['instruction-following'], judgeMethod: 'likelihood' },
    });
    expect(axes[0]).toMatchObject({ wins: 6, losses: 0, firstPlaceShare: 0.5 });
  });

  it('drops and counts turns that the model cannot answer', async () => {
    const model = scriptedModel({
      reply: (request) =>
        request.id === 'ada-3:0' ? refusedRequest('too long') : request.id === 'bob-3:0' ? ' ' : 'good',
    });
    const { answers, tallies } = await userEval({
      ...{ conversations: await threeUsers(), model, judge: judging() },
      axes: ['instruction-following'],
    });
    expect(answers).toHaveLength(4);
    const turns = tallies.find((tally) => tally.counts().unit === 'turns')?.counts();
    expect(turns).toMatchObject({ in: 6, out: 4, dropped: { 'answer-failed': 1, 'empty-answer': 1 } });
  });

  it('draws users by the seed, the same whatever the order of the file', async () => {
    const [one, other] = [USERS, [...USERS].reverse()].map((users) =>
      evaluationFile(users.flatMap(evaluationUser)),
    );
    const drawn = async (conversations: string, seed: number) => {
      const settings = { conversations, model: answering(), judge: judging(), axes: ['user-eval' as const] };
      const { answers } = await userEval({ ...settings, users: 2, seed });
      return [...new Set(answers.map(({ user }) => user))].sort();
    };
    expect(await drawn(await (one as Promise<string>), 3)).toEqual(
      await drawn(await (other as Promise<string>), 3),
    );
    const draws = await Promise.all([0, 1, 2, 3, 4, 5].map(async (seed) => drawn(await threeUsers(), seed)));
    expect(new Set(draws.map(String)).size).toBeGreaterThan(1);
  });

  it('says what it needs where nobody has a history and held-out conversations', async () => {
    const path = await evaluationFile([said('x', ['hello'], { user: 'ada', side: 'test', heldOut: false })]);
    await expect(userEval({ conversations: path, model: answering(), judge: judging() })).rejects.toThrow(
      /found none among 1 users \(1 no-held-out-answers\).*evaluation_min_conversations/s,
    );
  });

  it('stops with the reasons where a judge answers nothing but nonsense', async () => {
    await expect(
      userEval({ conversations: await threeUsers(), model: answering(), judge: judging(() => '?!') }),
    ).rejects.toThrow('There are no verdicts to go by: 36 no-verdict.');
  });
});
