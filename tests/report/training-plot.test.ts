import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { DataError } from '../../src/errors.js';
import { type MetricsRow, readMetrics } from '../../src/report/metrics-file.js';
import { trainingPlotSvg, writeTrainingPlot } from '../../src/report/training-plot.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-plot-'));
afterAll(() => rmSync(folder, { recursive: true }));

const rows: MetricsRow[] = [
  { step: 0, eval_loss: 0.69, 'eval_rewards/margins': 0 },
  { step: 1, loss: 0.69, 'rewards/margins': 0 },
  { step: 2, loss: 0.5, 'rewards/margins': 0.6 },
  { step: 2, eval_loss: 0.6, 'eval_rewards/margins': 0.2 },
];

describe('readMetrics', () => {
  const write = (text: string) => {
    const file = join(folder, 'metrics.jsonl');
    writeFileSync(file, text);
    return file;
  };

  test('keeps the later of two rows of a step, training and evaluation apart', () => {
    const file = write(
      '{"step":1,"loss":9}\n{"step":2,"loss":2}\n{"step":1,"eval_loss":3}\n\n{"step":1,"loss":1}\n',
    );
    expect(readMetrics(file)).toEqual([
      { step: 1, loss: 1 },
      { step: 1, eval_loss: 3 },
      { step: 2, loss: 2 },
    ]);
  });

  test('leaves out a last line that was cut off', () => {
    expect(readMetrics(write('{"step":1,"loss":1}\n{"step":2,"lo'))).toEqual([{ step: 1, loss: 1 }]);
  });

  test('names the line that holds no metrics', () => {
    const file = write('{"step":1}\nnonsense\n');
    expect(() => readMetrics(file)).toThrow(`${file}:2: expected a JSON object of metrics`);
    expect(() => readMetrics(write('[1]\n'))).toThrow('expected a row of metrics with its step');
    expect(() => readMetrics(join(folder, 'none'))).toThrow(DataError);
  });
});

describe('trainingPlotSvg', () => {
  test('has titles, axis titles, legend and the line of an untrained policy', async () => {
    const svg = await trainingPlotSvg(rows, {
      title: 'A run',
      subtitle: 'of two steps',
      untrainedLoss: Math.LN2,
    });
    for (const text of [
      'A run',
      'of two steps',
      'Loss',
      'Reward margin',
      'optimizer step',
      'mean loss of a pair',
      'chosen minus rejected reward',
      'training pairs',
      'held-out pairs',
    ]) {
      expect(svg).toContain(`>${text}</text>`);
    }
    expect(svg.match(/>untrained</g)).toHaveLength(2);
  });

  test('shows no held-out series where there was no evaluation', async () => {
    const svg = await trainingPlotSvg(rows.filter((row) => 'loss' in row));
    expect(svg).toContain('training pairs');
    expect(svg).not.toContain('held-out');
  });

  test('leaves out values that are no numbers, and refuses a run without any loss', async () => {
    const svg = await trainingPlotSvg([...rows, { step: 3, loss: Number.NaN }]);
    expect(svg).not.toContain('NaN');
    await expect(trainingPlotSvg([{ step: 1, grad_norm: 2 }])).rejects.toThrow(
      'with a loss to plot, found none',
    );
  });
});

test('writeTrainingPlot writes the drawing and a picture of twice its size', async () => {
  const { svg, png } = await writeTrainingPlot(rows, join(folder, 'training'));
  const width = Number(/width="([\d.]+)"/.exec(readFileSync(svg, 'utf8'))?.[1]);
  const picture = await sharp(png).metadata();
  expect(picture.format).toBe('png');
  expect(Math.abs((picture.width ?? 0) - 2 * width)).toBeLessThanOrEqual(2);
  // Something is drawn in both colours of the series.
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const has = (r: number, g: number, b: number) => {
    for (let i = 0; i < data.length; i += info.channels) {
      if (data[i] === r && data[i + 1] === g && data[i + 2] === b) return true;
    }
    return false;
  };
  expect(has(0x3b, 0x6f, 0xb6)).toBe(true);
  expect(has(0xd9, 0x62, 0x2b)).toBe(true);
});
