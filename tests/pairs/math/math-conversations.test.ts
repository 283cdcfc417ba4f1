import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, DataError } from '../../../src/errors.js';
import { pairsFromRewrites } from '../../../src/pairs/filter/pairs-from-rewrites.js';
import {
  type MathSettings,
  mathConversations,
  mathMessages,
} from '../../../src/pairs/math/math-conversations.js';
import type { Prm800kRow } from '../../../src/pairs/math/prm800k-row.js';
import { type ReadPrm800kRow, readPrm800k } from '../../../src/pairs/math/read-prm800k.js';
import {
  createMathFeedbackTemplate,
  createMathProblemTemplate,
  loadMathFeedbackTemplate,
  loadMathProblemTemplate,
} from '../../../src/pairs/prompts/math.js';
import { rewriteAnswers } from '../../../src/pairs/rewrite/rewrite-answers.js';
import { answeringModel } from '../support/answering-model.js';
import { all, watchedContext } from '../support/conversations.js';
import { generatedRow } from '../support/prm800k.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'math-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const readRows = (rows: readonly Prm800kRow[]): ReadPrm800kRow[] =>
  rows.map((row, i) => ({ file: 'prm.jsonl', line: i + 1, row }));

async function converse(rows: readonly ReadPrm800kRow[], settings: MathSettings = {}) {
  const context = watchedContext('solutions');
  const made = await all(mathConversations(rows, settings, context));
  return { made, context, counts: context.tally.counts() };
}

/** A solution of its own for each name. */
const wrongRow = (name: string, question: Partial<Prm800kRow['question']> = {}) =>
  generatedRow([`Fine ${name}.`, `Wrong ${name}.`, 'So 5.\n\n# Answer\n\n5'], [1, -1], { question });

describe('mathConversations', () => {
  it('has the problem, the solution with an error, and the user who names the step', async () => {
    const { made, counts } = await converse(readRows([wrongRow('a')]), {
      problemTemplate: createMathProblemTemplate('Solve: {{ problem }}'),
      feedbackTemplate: createMathFeedbackTemplate(
        'See step {{ step }}{% if right %} (5 is right){% endif %}!',
      ),
    });
    expect(made).toEqual([
      {
        id: expect.stringMatching(/^prm800k-[0-9a-f]{12}$/),
        user: expect.stringMatching(/^math-simulated-[0-9a-f]{12}$/),
        side: 'train',
        heldOut: false,
        turns: [
          { role: 'user', content: 'Solve: What is 2 + 2?' },
          {
            role: 'assistant',
            content:
              'Step 1: Fine a.\n\nStep 2: Wrong a.\n\nStep 3: So 5.\n\nThe final answer is $\\boxed{5}$.',
          },
          { role: 'user', content: 'See step 2!' },
        ],
      },
    ]);
    expect(counts).toEqual({
      unit: 'solutions',
      in: 1,
      out: 1,
      dropped: {},
      noted: { 'answer-not-known': 1 },
    });
  });

  it('asks for the box, and says when the answer is right all the same', async () => {
    const rows = readRows(
      Array.from({ length: 60 }, (_, i) =>
        wrongRow(`${i}`, { ground_truth_answer: i % 2 === 0 ? '5' : '4' }),
      ),
    );
    const { made, counts } = await converse(rows);
    expect(counts.noted).toEqual({ 'answer-right-all-the-same': 30 });
    const said = (parity: number) =>
      made.filter((_, i) => i % 2 === parity).map(({ turns }) => turns[2]?.content ?? '');
    for (const { turns } of made) {
      expect(turns[0]?.content).toMatch(/^What is 2 \+ 2\?\n\n.*\\boxed\{\}/);
      expect(turns[2]?.content).toMatch(/step 2\b/i);
    }
    for (const text of said(0)) expect(text).toMatch(/right|correct|\bok\b|full marks/);
    for (const text of said(1)) expect(text).not.toMatch(/answer|result|marks/);
    // Varied, and none of them gives the answer away.
    expect(new Set(said(0)).size).toBeGreaterThan(6);
    expect(new Set(said(1)).size).toBeGreaterThan(6);
    expect([...said(0), ...said(1)].join(' ')).not.toMatch(/[^2\D]/);
  });

  it('joins steps without numbers where that is wanted', async () => {
    const { made } = await converse(readRows([wrongRow('a')]), { numberSteps: false });
    expect(made[0]?.turns[1]?.content).toBe(
      'Fine a.\n\nWrong a.\n\nSo 5.\n\nThe final answer is $\\boxed{5}$.',
    );
  });

  it('gives all solutions of a problem to one user', async () => {
    const rows = readRows([wrongRow('a'), wrongRow('b'), wrongRow('c', { problem: 'What is 3 + 3?' })]);
    const { made } = await converse(rows);
    expect(made[0]?.user).toBe(made[1]?.user);
    expect(made[0]?.user).not.toBe(made[2]?.user);
    expect(new Set(made.map(({ id }) => id)).size).toBe(3);
  });

  it('drops with reasons what makes no conversation', async () => {
    const rows: ReadPrm800kRow[] = [
      ...readRows([
        wrongRow('a'),
        wrongRow('a'),
        generatedRow(['Fine.'], [1]),
        generatedRow(['Fine.'], []),
        generatedRow(['Fine.'], [-1], { finish: 'bad_problem' }),
      ]),
      { file: 'prm.jsonl', line: 6, problem: 'not valid JSON' },
    ];
    const { context, counts } = await converse(rows);
    expect(counts).toMatchObject({
      in: 6,
      out: 1,
      dropped: { duplicate: 1, 'no-error': 1, 'no-rating': 1, 'bad-problem': 1, 'unreadable-row': 1 },
    });
    expect(context.dropped.map(({ file, row }) => [file, row])).toEqual(
      [2, 3, 4, 5, 6].map((row) => ['prm.jsonl', row]),
    );
    expect(context.dropped.at(-1)).toMatchObject({ id: 'prm.jsonl:6', detail: 'not valid JSON' });
  });

  it('leaves out unfinished solutions where they are not wanted', async () => {
    const row: Prm800kRow = {
      question: { problem: 'p' },
      label: { steps: [{ completions: [{ text: 'Wrong.', rating: -1 }] }], finish_reason: null },
    };
    expect((await converse(readRows([row]))).counts).toMatchObject({ out: 1, noted: { unfinished: 1 } });
    expect((await converse(readRows([row]), { unfinished: false })).counts.dropped).toEqual({
      'not-finished': 1,
    });
  });

  it('draws so many by seed, whatever their order, and says where there are fewer', async () => {
    const rows = readRows(Array.from({ length: 50 }, (_, i) => wrongRow(`${i}`)));
    const ids = async (input: ReadPrm800kRow[], settings: MathSettings) =>
      (await converse(input, settings)).made.map(({ id }) => id);
    const everyone = await ids(rows, {});
    const drawn = await ids(rows, { size: 7, seed: 1 });
    expect(drawn).toHaveLength(7);
    expect(drawn).toEqual(everyone.filter((id) => drawn.includes(id)));
    expect((await ids([...rows].reverse(), { size: 7, seed: 1 })).sort()).toEqual([...drawn].sort());
    expect(await ids(rows, { size: 7, seed: 2 })).not.toEqual(drawn);
    const { counts, context } = await converse(rows, { size: 7 });
    expect(counts).toMatchObject({ in: 50, out: 7, dropped: { 'not-drawn': 43 } });
    expect(context.notices).toEqual([]);
    const few = await converse(rows, { size: 60 });
    expect(few.made).toHaveLength(50);
    expect(few.context.notices).toEqual([expect.stringMatching(/60 .* only 50/)]);
  });

  it('draws like choosing from the whole, whatever the size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 30 }),
        async (size, count) => {
          const rows = readRows(Array.from({ length: count }, (_, i) => wrongRow(`${i}`)));
          const { counts, made } = await converse(rows, { size });
          expect(made).toHaveLength(Math.min(size, count));
          expect(counts.in).toBe(count);
          // A larger draw holds the smaller one.
          const larger = await converse(rows, { size: size + 1 });
          expect(larger.made.map(({ id }) => id)).toEqual(expect.arrayContaining(made.map(({ id }) => id)));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('is rewritten and paired like any other conversation, without a persona', async () => {
    const { made } = await converse(readRows([wrongRow('a')]));
    const messages = made.flatMap(mathMessages);
    expect(messages.map(({ turn, type, number }) => [turn, type, number])).toEqual([
      [0, 'initial-request', 1],
      [2, 're-attempt-with-feedback', 2],
    ]);
    const rewriting = watchedContext();
    const rows = await all(
      rewriteAnswers(
        { conversations: made, messages, personas: new Map([[made[0]?.user ?? '', 'p']]) },
        { model: answeringModel(() => 'Step 1: Two and two make four.\n\n$\\boxed{4}$'), source: 'math' },
        rewriting,
      ),
    );
    const pairs = await all(pairsFromRewrites(rows, { minRejectedCharacters: null }, watchedContext()));
    expect(pairs).toEqual([
      {
        id: `${made[0]?.id}:2`,
        user: made[0]?.user,
        source: 'math',
        prompt: [made[0]?.turns[0]],
        chosen: [{ role: 'assistant', content: expect.stringContaining('boxed{4}') }],
        rejected: [made[0]?.turns[1]],
      },
    ]);
  });

  it('names options that cannot be used', async () => {
    await expect(converse([], { size: 0 })).rejects.toThrow(ConfigError);
  });
});

describe('the words of the simulated user', () => {
  it('are at least 12 of our own, each with the step', () => {
    const template = createMathFeedbackTemplate();
    const wordings = Array.from({ length: template.wordings }, (_, i) => i);
    for (const right of [true, false]) {
      const texts = wordings.map((i) => template.render(i, 31, right));
      expect(new Set(texts).size).toBeGreaterThanOrEqual(12);
      for (const text of texts) expect(text).toMatch(/step 31\b/i);
    }
  });

  it('can be files', () => {
    const path = join(folder, 'mine.jinja');
    writeFileSync(path, '\nLook at {{ step }}.\n\nSee {{ step }}?\n');
    const template = loadMathFeedbackTemplate(path);
    expect([template.wordings, template.render(1, 4, false)]).toEqual([2, 'See 4?']);
    writeFileSync(path, 'Fine: {{ step }}\nLook!\n');
    expect(() => loadMathFeedbackTemplate(path)).toThrow(/mine\.jinja, line 2,.*\{\{ step \}\}/);
    writeFileSync(path, '\n');
    expect(() => loadMathFeedbackTemplate(path)).toThrow(/no wording/);
    expect(() => loadMathProblemTemplate(path)).toThrow(/must show the problem/);
    expect(() => createMathProblemTemplate('{{ problem')).toThrow(/not valid Jinja/);
  });
});

describe('readPrm800k', () => {
  it('reads rows with nulls or without what may be missing, and says what is wrong with the others', async () => {
    const good = wrongRow('a');
    const lines = [
      JSON.stringify({ labeler: null, extra: 1, ...good }),
      '{"question": {"problem": "p"}, "label": {"steps": [{"completions": null}]}}',
      '{"question": {"problem": "p"}, "label": {"steps": [{"completions": [{"text": "t", "rating": 2}]}]}}',
      '{"question": {"problem": 7}, "label": {"steps": []}}',
      '{"question": ',
      '',
      '[1]',
    ];
    const path = join(folder, 'rows.jsonl.gz');
    writeFileSync(
      path,
      gzipSync(Buffer.concat([Buffer.from(`${lines.join('\n')}\n`), Buffer.from([0xff, 0x0a])])),
    );
    const read = await all(readPrm800k(path));
    expect(read.map(({ line, row, problem }) => [line, row === undefined ? problem : 'fine'])).toEqual([
      [1, 'fine'],
      [2, 'fine'],
      [3, expect.stringMatching(/^not a row of PRM800K: label\.steps\.0\.completions\.0\.rating: /)],
      [4, expect.stringMatching(/^not a row of PRM800K: question\.problem: .*string/)],
      [5, 'not valid JSON'],
      [7, expect.stringMatching(/^not a row of PRM800K: /)],
      [8, 'not valid UTF-8'],
    ]);
    expect(read[0]?.row).toEqual(good);
  });

  it('says when there is no file', async () => {
    await expect(all(readPrm800k(join(folder, 'none.jsonl')))).rejects.toThrow(DataError);
  });
});

const references = process.env.PERSONA_DPO_REFERENCE_DIR ?? '';
const published = join(references, 'data/prm800k');

describe.skipIf(references === '' || !existsSync(published))(
  'rows of PRM800K (needs PERSONA_DPO_REFERENCE_DIR)',
  () => {
    it('raw ones', async () => {
      const rows = await all(readPrm800k(join(published, 'raw_rows.jsonl')));
      const { made, counts } = await converse(rows);
      expect(counts).toEqual({
        unit: 'solutions',
        in: 5,
        out: 4,
        dropped: { duplicate: 1 },
        noted: { unfinished: 3 },
      });
      // The one of the second phase: its 7th step is wrong, and so is its answer.
      const generated = made[3]?.turns.map(({ content }) => content) ?? [];
      expect(generated[1]).toMatch(
        /\n\nStep 7: For the Democrats.*\n\nStep 13: The final answer is \$\\boxed\{7200\}\$\.$/s,
      );
      expect(generated[2]).toMatch(/step 7\b/);
      expect(generated[2]).not.toMatch(/right answer|correct answer/);
    });

    it('those with nulls where the source had none', async () => {
      const rows = await all(readPrm800k(join(published, 'phase1_test.original_schema_reconstructed.jsonl')));
      const { made, counts } = await converse(rows);
      expect(counts).toEqual({
        unit: 'solutions',
        in: 106,
        out: 58,
        dropped: { 'no-error': 40, 'no-solution': 3, duplicate: 5 },
        noted: { unfinished: 58 },
      });
      for (const { turns } of made) {
        const steps = [...(turns[1]?.content ?? '').matchAll(/^Step (\d+): /gm)].map(([, n]) => Number(n));
        expect(steps).toEqual(steps.map((_, i) => i + 1));
        expect(turns[2]?.content).toMatch(new RegExp(`step ${steps.length}\\b`, 'i'));
      }
      expect((await converse(rows, { size: 10, seed: 3 })).made).toHaveLength(10);
    });
  },
);
