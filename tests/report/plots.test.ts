import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { panelsOf, thinned } from '../../src/report/curves.js';
import { DARK, drawPlot, LIGHT, type Palette } from '../../src/report/plot.js';
import type { ReportRun } from '../../src/report/report-data.js';
import { drawingsOf, writeReport } from '../../src/report/write-report.js';
import { reportData, reportRun } from './fixtures.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-plots-'));
afterAll(() => rmSync(folder, { recursive: true }));

const untrained = { loss: Math.LN2 };

describe('curves', () => {
  test('known metrics come first and in their order, held-out values beside those of training', () => {
    const metrics = [
      {
        step: 1,
        grad_norm: 3,
        'objective/kl': 0.1,
        reward: 0.2,
        loss: 0.7,
        'rewards/chosen': 0,
        'rewards/rejected': 0,
      },
      { step: 2, grad_norm: 2, 'objective/kl': 0.3, reward: 0.4, loss: 0.5, epoch: 1, num_tokens: 9 },
      { step: 2, eval_loss: 0.6, eval_runtime: 12 },
    ];
    const panels = panelsOf({ metrics, untrained });
    expect(panels.map(({ name, main }) => [name, main])).toEqual([
      ['loss', true],
      ['rewards', true],
      ['reward', true],
      ['kl', true],
      ['metric-grad-norm', false],
    ]);
    const [loss, rewards] = panels;
    expect(loss?.untrained).toBe(Math.LN2);
    expect(loss?.curves.map(({ heldOut, points }) => [heldOut, points.length])).toEqual([
      [false, 2],
      [true, 1],
    ]);
    expect(rewards?.curves.map(({ label }) => label)).toEqual(['chosen', 'rejected']);
  });

  test('what is no number is left out, and with it a metric that has nothing else', () => {
    const metrics = [
      { step: 1, loss: Number.NaN },
      { step: 2, loss: 1, other: Number.POSITIVE_INFINITY },
    ];
    const panels = panelsOf({ metrics, untrained });
    expect(panels.map(({ name }) => name)).toEqual(['loss']);
    expect(panels[0]?.curves[0]?.points).toEqual([{ step: 2, value: 1 }]);
  });

  test('long curves become means of neighbours', () => {
    const points = Array.from({ length: 1000 }, (_, i) => ({ step: i, value: i % 2 }));
    const few = thinned(points, 100);
    expect(few).toHaveLength(100);
    expect(few[0]).toEqual({ step: 4.5, value: 0.5 });
    expect(thinned(points.slice(0, 3), 100)).toHaveLength(3);
  });
});

describe('drawings', () => {
  const textsOf = (svg: string) => [...svg.matchAll(/>([^<>]+)<\/text>/g)].map(([, text]) => text);

  test('a run has its curves, rewards and intervals, in both colour schemes and in words', async () => {
    const plots = await Promise.all(drawingsOf(reportData([reportRun('a')])).map(drawPlot));
    expect(plots.map(({ name }) => name)).toEqual([
      'run-1-loss',
      'run-1-margin',
      'run-1-accuracy',
      'run-1-rewards',
      'run-1-kl',
      'run-1-metric-grad-norm',
      'run-1-metric-learning-rate',
      'run-1-pair-rewards',
      'run-1-user-eval-1',
    ]);
    const [loss] = plots;
    expect(textsOf(loss?.light ?? '')).toEqual(
      expect.arrayContaining([
        'mean loss of a pair',
        'optimizer step',
        'training pairs',
        'held-out pairs',
        'untrained',
      ]),
    );
    expect(loss?.light).toContain(LIGHT.series[0]);
    expect(loss?.dark).toContain(DARK.series[0]);
    expect(loss?.description).toMatch(
      /^Loss\. training pairs: from [\d.]+ at step 1 to [\d.]+ at step 120\. held-out/,
    );
    const intervals = plots.at(-1);
    expect(textsOf(intervals?.light ?? '')).toEqual(
      expect.arrayContaining(['initial turns', 'personalization', 'instruction following', '%']),
    );
    expect(intervals?.description).toContain('initial turns, personalization: 62 (57 to 67).');
  });

  test('runs are compared in the curves and evaluations that both have', async () => {
    const bare: ReportRun = { ...reportRun('bare'), trainings: [], evaluations: [] };
    const alone = drawingsOf(reportData([reportRun('a'), bare])).filter(({ run }) => run === null);
    expect(alone).toEqual([]);
    const both = drawingsOf(reportData([reportRun('first'), reportRun('second')])).filter(
      ({ run }) => run === null,
    );
    expect(both.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['comparison-user-eval-1-1', 'comparison-user-eval-1-2']),
    );
    const loss = await drawPlot(both[0] as (typeof both)[number]);
    expect(loss.title).toBe('Loss, held-out pairs');
    expect(textsOf(loss.light)).toEqual(expect.arrayContaining(['first', 'second']));
  });

  test('they lie beside the report as SVG and as pictures of twice their size', async () => {
    const html = join(folder, 'one.html');
    const written = await writeReport(reportData([reportRun('a', { pairs: 3 })]), html);
    expect(written.plotsFolder).toBe(join(folder, 'one-plots'));
    expect(written.plots.every((file) => existsSync(file))).toBe(true);
    const svg = readFileSync(join(written.plotsFolder, 'run-1-loss.svg'), 'utf8');
    const width = Number(/width="([\d.]+)"/.exec(svg)?.[1]);
    const picture = await sharp(join(written.plotsFolder, 'run-1-loss.png')).metadata();
    expect(picture.format).toBe('png');
    expect(Math.abs((picture.width ?? 0) - 2 * width)).toBeLessThanOrEqual(2);
  });

  test.each([
    ['light', LIGHT],
    ['dark', DARK],
  ] satisfies [string, Palette][])(
    'can be told from their ground (%s)',
    (_name, { paper, ink, muted, series }) => {
      for (const color of [ink, muted]) expect(contrast(color, paper)).toBeGreaterThanOrEqual(4.5);
      for (const color of series) expect(contrast(color, paper)).toBeGreaterThanOrEqual(3);
    },
  );
});

/** Contrast of two colours as WCAG 2 defines it. */
function contrast(a: string, b: string): number {
  const luminance = (color: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}
