import { describe, expect, it } from 'vitest';
import { Tally } from '../../../src/data/tally.js';
import { type CandidateSettings, sampleCandidates } from '../../../src/pairs/candidates/sample-candidates.js';
import type { PromptRow } from '../../../src/pairs/rows.js';
import { type AnsweringModel, answeringModel, apiError, type Said } from '../support/answering-model.js';
import { all, watchedContext } from '../support/conversations.js';
import { promptRow } from '../support/rankings.js';

type Settings = Partial<CandidateSettings> & { say?: (draw: number, prompt: string) => Said };

async function sample(prompts: PromptRow[], { say, ...settings }: Settings = {}) {
  const answer = say ?? ((draw: number, prompt: string) => `answer ${draw} to ${prompt}`);
  const model =
    (settings.model as AnsweringModel | undefined) ??
    answeringModel(({ id }) => {
      const [prompt = '', draw] = id.split('/');
      return answer(Number(draw), prompt);
    });
  const context = watchedContext('prompts');
  const candidates = new Tally('candidates', (each) => context.dropped.push(each));
  const options = { samples: 4, ...settings, model };
  const rows = await all(sampleCandidates(prompts, options, context, candidates));
  return { rows, model, context, counts: context.tally.counts(), drawn: candidates.counts() };
}

describe('sampleCandidates', () => {
  it('asks for all draws of a prompt one after another, each with a seed of its own', async () => {
    const { rows, model, counts, drawn } = await sample([promptRow('a'), promptRow('b')]);
    expect(model.requests.map(({ id }) => id)).toEqual(
      ['a#0', 'b#0'].flatMap((prompt) => [0, 1, 2, 3].map((draw) => `${prompt}/${draw}`)),
    );
    expect(model.calls).toEqual([8]);
    const seeds = model.requests.map(({ sampling }) => sampling?.seed as number);
    expect(new Set(seeds).size).toBe(8);
    expect(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31)).toBe(true);
    expect(model.requests[0]?.sampling).toMatchObject({ temperature: 0.6, topP: 0.9 });
    expect(rows.map(({ id, candidates }) => [id, candidates.length])).toEqual([
      ['a#0', 4],
      ['b#0', 4],
    ]);
    expect(rows[0]?.candidates[1]).toEqual({ text: 'answer 1 to a#0', draws: [1], finishReason: 'stop' });
    expect(counts).toMatchObject({ unit: 'prompts', in: 2, out: 2 });
    expect(drawn).toMatchObject({ unit: 'candidates', in: 8, out: 8 });
  });

  it('leaves the first draws as they were when there are more, and draws others with another seed', async () => {
    const seedsOf = async (settings: Settings) => {
      const { model } = await sample([promptRow('a')], settings);
      return model.requests.map(({ sampling }) => sampling?.seed);
    };
    const four = await seedsOf({});
    expect((await seedsOf({ samples: 8 })).slice(0, 4)).toEqual(four);
    expect(await seedsOf({ seed: 1 })).not.toEqual(four);
  });

  it('shows the persona to the policy, unless it should not', async () => {
    const known = promptRow('a', { persona: 'Likes it brief.' });
    const { rows, model } = await sample([known]);
    expect(model.requests[0]?.messages[0]).toMatchObject({
      role: 'system',
      content: expect.stringContaining('Likes it brief.'),
    });
    expect(model.requests[0]?.owner).toBe('user of a');
    expect(rows[0]).toMatchObject({ persona: 'Likes it brief.', request: model.requests[0]?.messages });
    const without = await sample([known], { persona: false });
    expect(without.model.requests[0]?.messages).toEqual(known.prompt);
    expect(without.rows[0]?.persona).toBe('Likes it brief.');
    expect((await sample([promptRow('b')])).counts.noted).toEqual({ 'no-persona': 1 });
  });

  it('removes duplicates, and counts every draw that gives no candidate', async () => {
    const said: Said[] = [
      'one',
      ' one\n',
      '<think>hm</think>two',
      { text: 'half', finishReason: 'length' },
      { text: '', finishReason: 'filtered' },
      apiError('broken'),
      ' ... ',
      'two',
    ];
    const { rows, context, counts, drawn } = await sample([promptRow('a')], {
      samples: 8,
      say: (draw) => said[draw] as Said,
    });
    expect(rows[0]?.candidates).toEqual([
      { text: 'one', draws: [0, 1], finishReason: 'stop' },
      { text: 'two', draws: [2, 7], finishReason: 'stop' },
    ]);
    expect(drawn).toMatchObject({
      ...{ in: 8, out: 2 },
      dropped: {
        ...{ duplicate: 2, 'cut-answer': 1, 'withheld-answer': 1, 'request-failed': 1, 'empty-answer': 1 },
      },
    });
    expect(counts).toMatchObject({ in: 1, out: 1 });
    expect(context.dropped.map(({ id }) => id)).toEqual([
      'a#0/1',
      'a#0/3',
      'a#0/4',
      'a#0/5',
      'a#0/6',
      'a#0/7',
    ]);
    const kept = await sample([promptRow('a')], {
      samples: 8,
      say: (draw) => said[draw] as Said,
      cutAnswers: 'keep',
    });
    expect(kept.rows[0]?.candidates.map(({ finishReason }) => finishReason)).toEqual([
      'stop',
      'stop',
      'length',
    ]);
  });

  it('drops a prompt with fewer than two different candidates, with what it had', async () => {
    const { rows, counts, drawn } = await sample([promptRow('a'), promptRow('b')], {
      say: (draw, prompt) => (prompt === 'a#0' ? 'the same' : `${draw}`),
    });
    expect(rows.map(({ id }) => id)).toEqual(['b#0']);
    expect(counts).toMatchObject({ in: 2, out: 1, dropped: { 'too-few-candidates': 1 } });
    expect(drawn).toMatchObject({ in: 8, out: 4, dropped: { duplicate: 3, 'prompt-dropped': 1 } });
  });

  it('does not ask where the context has no room for an answer', async () => {
    const long = promptRow('a', { prompt: [{ role: 'user', content: 'word '.repeat(300) }] });
    const model = answeringModel(() => 'x', { contextTokens: 400 });
    const { context, drawn } = await sample([long], { model });
    expect(model.requests).toEqual([]);
    expect(context.dropped).toEqual([expect.objectContaining({ id: 'a#0', reason: 'context-full' })]);
    expect(drawn.in).toBe(0);
  });

  it('tells progress in draws', async () => {
    const { context } = await sample([promptRow('a'), promptRow('b')], { promptCount: 2 });
    expect(context.progress.at(-1)).toEqual({ done: 8, total: 8 });
  });

  it.each([{ samples: 1 }, { temperature: 0 }])(
    'refuses what gives nothing to choose from: %j',
    async (bad) => {
      await expect(sample([], bad)).rejects.toThrow(/candidates cannot be used/);
    },
  );
});
