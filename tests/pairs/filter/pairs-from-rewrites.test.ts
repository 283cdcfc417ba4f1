import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { preferencePairSchema, writePairs } from '../../../src/data/pairs.js';
import { readPairs } from '../../../src/data/read-pairs.js';
import { ConfigError } from '../../../src/errors.js';
import { candidateOfRewrite } from '../../../src/pairs/filter/candidate.js';
import { filterPairs } from '../../../src/pairs/filter/filter-pairs.js';
import type { PairSettings } from '../../../src/pairs/filter/make-pairs.js';
import { pairsFromRewrites } from '../../../src/pairs/filter/pairs-from-rewrites.js';
import type { RewriteRow } from '../../../src/pairs/rows.js';
import { all, watchedContext } from '../support/conversations.js';
import { answer, fakeScorer, rewriteRow } from '../support/rewrites.js';

async function pairsOf(rows: RewriteRow[], settings: PairSettings = {}) {
  const context = watchedContext('pairs');
  const pairs = await all(pairsFromRewrites(rows, settings, context));
  return { pairs, context, counts: context.tally.counts() };
}

const GERMAN =
  'Der Garten ist hinter dem Haus und es ist sehr schön, wenn man sich dort auf die Bank setzt. ';

describe('pairsFromRewrites', () => {
  it('prefers the rewrite over the original, under the context before both, with the persona', async () => {
    const row = rewriteRow('c:4', {
      persona: 'Likes it brief.',
      prompt: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'The roof?' },
        { role: 'assistant', content: 'Yes?' },
        { role: 'user', content: 'And the house?' },
      ],
    });
    const { pairs, counts } = await pairsOf([row]);
    expect(pairs).toEqual([
      {
        prompt: row.prompt,
        chosen: [{ role: 'assistant', content: row.rewrite }],
        rejected: [{ role: 'assistant', content: row.original }],
        id: 'c:4',
        persona: 'Likes it brief.',
        user: 'user of c',
        source: 'rewrite',
      },
    ]);
    expect(preferencePairSchema.parse(pairs[0])).toEqual(pairs[0]);
    expect(counts).toMatchObject({ unit: 'pairs', in: 1, out: 1, dropped: {} });
  });

  it('gives rows that training reads back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pairs-'));
    try {
      const { pairs } = await pairsOf([rewriteRow('a', { persona: 'p' }), rewriteRow('b')]);
      await writePairs(join(folder, 'pairs.jsonl'), pairs);
      expect((await readPairs(join(folder, 'pairs.jsonl'))).pairs).toEqual(pairs);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  /** Reason, what makes the rule drop a good row, and what turns the rule off. */
  const rules: [string, Partial<RewriteRow>, PairSettings][] = [
    [
      'rejected-too-short',
      { original: answer('roof', 1800).slice(0, 1877) },
      { minRejectedCharacters: null },
    ],
    [
      'prompt-too-long',
      { prompt: [{ role: 'user', content: 'x'.repeat(32_001) }] },
      { maxPromptCharacters: null },
    ],
    ['unchanged', { rewrite: ` ${answer('roof')}\n` }, { minChange: null }],
    ['unchanged', { rewrite: answer('roof').replace('here', 'there') }, { minChange: 0.001 }],
    ['refusal', { rewrite: "I'm sorry, but I can't help with that." }, { dropRefusals: false }],
    ['echo', { followUp: 'the garden please', rewrite: 'The garden, please!' }, { dropEchoes: false }],
    ['echo', { rewrite: 'Rewrite your answer for a child.' }, { dropEchoes: false }],
    [
      'talks-about-feedback',
      { rewrite: `Thank you for your feedback! ${answer('garden')}` },
      { dropFeedbackTalk: false },
    ],
    ['other-language', { rewrite: GERMAN.repeat(20) }, { dropOtherLanguage: false }],
    ['much-longer', { rewrite: answer('garden', 6200) }, { maxLengthRatio: null }],
    ['much-longer', { rewrite: answer('garden', 6200) }, { maxLengthRatio: 4 }],
  ];

  it.each(rules)('drops with a reason: %s', async (reason, change, off) => {
    const rows = [rewriteRow('good'), rewriteRow('bad', change)];
    const { pairs, context, counts } = await pairsOf(rows);
    expect(pairs.map(({ id }) => id)).toEqual(['good:2']);
    expect(context.dropped).toEqual([
      { id: 'bad:2', user: 'user of bad', reason, detail: expect.stringMatching(/./) },
    ]);
    expect(counts).toMatchObject({ in: 2, out: 1, dropped: { [reason]: 1 } });
    expect((await pairsOf(rows, off)).pairs.map(({ id }) => id)).toEqual(['good:2', 'bad:2']);
    expect((await pairsOf(rows, { filter: false })).pairs).toHaveLength(2);
  });

  it('lets a change of length or language pass that was asked for', async () => {
    const longer = { rewrite: answer('garden', 6200), followUp: 'more details please' };
    const german = { rewrite: GERMAN.repeat(20) };
    const { pairs } = await pairsOf([
      rewriteRow('a', longer),
      rewriteRow('b', { ...german, followUp: 'translate that' }),
      rewriteRow('c', { ...german, followUp: 'Das ist nicht die Antwort auf das, was ich wollte' }),
      rewriteRow('d', { ...german, prompt: [{ role: 'user', content: GERMAN }] }),
    ]);
    expect(pairs.map(({ id }) => id)).toEqual(['a:2', 'b:2', 'c:2', 'd:2']);
  });

  it('does not hold a short original against a sentence that takes its place', async () => {
    const row = rewriteRow('a', { original: 'Yes.', rewrite: answer('garden', 500) });
    const { pairs } = await pairsOf([row], { minRejectedCharacters: null });
    expect(pairs).toHaveLength(1);
  });

  it('drops pairs that are the same, but not those of another persona', async () => {
    const prompt = rewriteRow('a').prompt;
    const rows = [
      rewriteRow('a'),
      rewriteRow('b', { prompt }),
      rewriteRow('c', { prompt, persona: 'Likes it brief.' }),
    ];
    const { pairs, context } = await pairsOf(rows);
    expect(pairs.map(({ id }) => id)).toEqual(['a:2', 'c:2']);
    expect(context.dropped).toEqual([expect.objectContaining({ id: 'b:2', reason: 'duplicate' })]);
    expect((await pairsOf(rows, { dropDuplicates: false })).pairs).toHaveLength(3);
  });

  it('come user by user as they are, or in the order of time', async () => {
    const rows = ['2024-03-01T00:00:00Z', undefined, '2024-01-01T00:00:00Z'].map((time, i) =>
      rewriteRow(`c${i}`, time === undefined ? {} : { time }),
    );
    const ids = async (order: 'user' | 'time') => (await pairsOf(rows, { order })).pairs.map(({ id }) => id);
    expect(await ids('user')).toEqual(['c0:2', 'c1:2', 'c2:2']);
    expect(await ids('time')).toEqual(['c2:2', 'c0:2', 'c1:2']);
  });

  it('leaves the persona out of the same pairs, for the baseline without', async () => {
    const prompt = rewriteRow('a').prompt;
    const rows = [rewriteRow('a', { persona: 'one' }), rewriteRow('b', { prompt, persona: 'two' })];
    const { pairs } = await pairsOf(rows, { persona: false });
    expect(pairs.map((pair) => [pair.id, 'persona' in pair])).toEqual([
      ['a:2', false],
      ['b:2', false],
    ]);
  });

  it('adds up whatever comes in', async () => {
    const change = fc.constantFrom(...rules.map(([, each]) => each), {});
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 150 }), async (changes) => {
        const rows = changes.map((each, i) => rewriteRow(`c${i}`, each));
        const { pairs, context, counts } = await pairsOf(rows);
        expect(counts.in).toBe(rows.length);
        const settled = [...pairs, ...context.dropped].map(({ id }) => id);
        expect(settled.sort()).toEqual(rows.map(({ id }) => id).sort());
      }),
      { numRuns: 15 },
    );
  });

  it('names options that cannot be used', async () => {
    await expect(pairsOf([], { minChange: 2 })).rejects.toThrow(/pairs.*\n.*minChange/s);
    await expect(pairsOf([], { maxLengthRatio: 0 })).rejects.toThrow(ConfigError);
  });
});

describe('rules that need rewards', () => {
  const rewards: Record<string, number> = {};
  /** A row whose two answers get these rewards. */
  const scored = (id: string, chosen: number, rejected: number) => {
    const row = rewriteRow(id, { original: answer(`roof${id}`), rewrite: answer(`garden${id}`) });
    rewards[row.rewrite] = chosen;
    rewards[row.original] = rejected;
    return row;
  };
  const rows = [
    scored('equal', 0.5, 0.5),
    scored('worse', 0.4, 0.5),
    scored('low', -0.9, -1.1),
    scored('edge', 0, -1),
    scored('gap', 2.5, 1.4),
  ];
  const scorer = () => fakeScorer((text) => rewards[text] as number);

  it('drop by the rewards of both answers, which the pairs then carry', async () => {
    const { pairs, context, counts } = await pairsOf(rows, { scorer: scorer() });
    expect(pairs.map(({ id, scores }) => [id, scores])).toEqual([
      ['equal:2', { chosen: 0.5, rejected: 0.5 }],
      ['edge:2', { chosen: 0, rejected: -1 }],
    ]);
    expect(context.dropped.map(({ id, reason }) => [id, reason])).toEqual([
      ['worse:2', 'reward-below-original'],
      ['low:2', 'rejected-reward-too-low'],
      ['gap:2', 'reward-gap-too-large'],
    ]);
    expect(counts.noted).toBeUndefined();
    expect(context.notices).toEqual([]);
  });

  it.each([
    ['worse:2', { requireImprovement: false }],
    ['low:2', { minRejectedReward: null }],
    ['low:2', { minRejectedReward: -2 }],
    ['gap:2', { maxRewardGap: null }],
    ['gap:2', { maxRewardGap: 1.2 }],
  ])('let %s pass when they are off or wider', async (id, off) => {
    const { pairs } = await pairsOf(rows, { ...off, scorer: scorer() });
    expect(pairs.map((pair) => pair.id).sort()).toEqual(['edge:2', 'equal:2', id].sort());
  });

  it('ask with prompt and persona, and only about pairs that pass the others', async () => {
    const asked = scorer();
    await pairsOf([{ ...(rows[0] as RewriteRow), persona: 'p' }, rewriteRow('short', { original: 'no' })], {
      scorer: asked,
      persona: false,
    });
    const { prompt, rewrite, original } = rows[0] as RewriteRow;
    expect(asked.requests).toEqual([{ prompt, persona: 'p', candidates: [rewrite, original] }]);
  });

  it('are skipped without a scorer, which is counted and said', async () => {
    const { pairs, context, counts } = await pairsOf(rows);
    expect(pairs).toHaveLength(5);
    expect(counts.noted).toEqual({ 'rewards-not-checked': 5 });
    expect(context.notices).toEqual([
      expect.stringMatching(/^5 pairs have no rewards .*requireImprovement, minRejectedReward, maxRewardGap/),
    ]);
    const off = { requireImprovement: false, minRejectedReward: null, maxRewardGap: null };
    expect((await pairsOf(rows, off)).context.notices).toEqual([]);
    expect((await pairsOf(rows, { filter: false })).context.notices).toEqual([]);
  });

  it('use the rewards that pairs have already', async () => {
    const candidates = rows.map((row, i) => {
      const { pair } = candidateOfRewrite(row);
      return { pair: { ...pair, scores: { chosen: 1, rejected: i - 2 } } };
    });
    const context = watchedContext('pairs');
    const pairs = await all(filterPairs(candidates, {}, context));
    expect(pairs.map(({ id }) => id)).toEqual(['low:2', 'edge:2']);
    expect(context.tally.counts()).toMatchObject({
      in: 5,
      out: 2,
      dropped: { 'rejected-reward-too-low': 1, 'reward-gap-too-large': 1, 'reward-below-original': 1 },
    });
  });

  it('refuse scores that are none', async () => {
    const bad = fakeScorer(() => Number.NaN);
    await expect(pairsOf(rows, { scorer: bad })).rejects.toThrow(/fake scorer.*pair equal:2.*\[null,null\]/);
  });
});

describe('draws for equal data', () => {
  const rows = Array.from({ length: 40 }, (_, i) => rewriteRow(`c${i}`, { user: `u${i % 8}` }));

  it('take exactly so many users and pairs, and count the others', async () => {
    const { pairs, counts } = await pairsOf(rows, { users: 3, size: 10, seed: 1 });
    expect(new Set(pairs.map(({ user }) => user)).size).toBe(3);
    expect(counts).toMatchObject({ in: 40, out: 10, dropped: { 'not-drawn': 30 } });
    expect((await pairsOf(rows, { size: 7 })).pairs).toHaveLength(7);
    expect((await pairsOf(rows, { users: 2 })).pairs).toHaveLength(10);
  });

  it('are impossible with the numbers', async () => {
    await expect(pairsOf(rows, { users: 2, size: 11 })).rejects.toThrow(/11 pairs of 2 users.*have 10/);
  });
});
