import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMetrics } from '../../src/train/metrics-log.js';
import { openWorkshop, type Workshop } from './support.js';

const PROGRAM = fileURLToPath(new URL('programs/placement.ts', import.meta.url));

let workshop: Workshop;
beforeAll(() => {
  workshop = openWorkshop();
});
afterAll(() => workshop.close());

describe('training on a device that is not the host (a GPU, or a second virtual CPU)', () => {
  const options = {
    maxSteps: 4,
    gradientAccumulationSteps: 2,
    weightDecay: 0.01,
    saveStrategy: 'no',
  } as const;
  let report: { device: string; devices: string[]; weights: number; states: number; bytesByStep: number[] };
  let outputDir: string;

  beforeAll(() => {
    const file = join(workshop.folder, 'options.json');
    const run = workshop.options('accelerator', options);
    outputDir = run.outputDir;
    writeFileSync(file, JSON.stringify(run));
    const result = spawnSync(process.execPath, ['--import', 'tsx', PROGRAM, file], { encoding: 'utf8' });
    expect(result.status, result.stderr).toBe(0);
    report = JSON.parse(result.stdout.trim().split('\n').at(-1) as string);
  });

  it('weights and optimizer state lie there, and stay there', () => {
    expect(['GPU:0', 'CPU:1']).toContain(report.device);
    expect(report.weights).toBeGreaterThan(0);
    expect(report.states).toBeGreaterThan(0);
    expect(report.devices).toEqual([report.device]);
  });

  it('only metrics come back to the host within a step: four numbers a completion token, and scalars', () => {
    // 8 pairs of at most 2 x 9 completion tokens, 4 float32 each, and five numbers a pair.
    const most = 8 * 2 * 9 * 4 * 4 + 8 * 5 * 4 + 100;
    for (const bytes of report.bytesByStep.slice(1)) expect(bytes).toBeLessThan(most);
  });

  it('gives the same numbers as training on the host', async () => {
    const host = await workshop.run('host', options);
    expect(readMetrics(join(outputDir, 'metrics.jsonl'))).toEqual(host.rows);
  });
});
