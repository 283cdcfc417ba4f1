import { join } from 'node:path';
import { expect, test } from 'vitest';
import { referenceDir } from '../data/fixtures.js';
import { doSmallRun, readRowsOf, setUpSmallRun } from './small-run.js';

test.skipIf(referenceDir === undefined)(
  'a run can be of math conversations alone, whose pairs have no persona',
  async () => {
    const small = await setUpSmallRun();
    const input = join(
      referenceDir as string,
      'data',
      'prm800k',
      'phase1_test.original_schema_reconstructed.jsonl',
    );
    const { done, summary } = await doSmallRun(small, {
      change: (text) =>
        text
          .replace(/conversations:\n(?: .*\n)+/, `math:\n  input: ${input}\n  size: 5\n`)
          .replace(/(classify|users|personas):\n(?: .*\n)+/g, '')
          .replace(
            'min_rejected_characters: 50',
            'min_rejected_characters: null\n  drop_feedback_talk: false',
          ),
    });
    expect(done).toEqual(['math', 'rewrite', 'pairs']);
    const rewrite = summary.stages.find(({ stage }) => stage === 'rewrite');
    expect(rewrite?.counts).toMatchObject([
      { unit: 'messages of math conversations', in: 10, out: 5, dropped: { 'initial-request': 5 } },
    ]);
    const rewrites = readRowsOf(join(small.output, 'rewrite', 'rewrites.jsonl'));
    expect(rewrites).toHaveLength(5);
    for (const row of rewrites) expect(row).toMatchObject({ source: 'math' });
    const pairs = readRowsOf(join(small.output, 'pairs', 'pairs.jsonl'));
    expect(pairs.every(({ persona }) => persona === undefined)).toBe(true);
  },
);
