/** Where a run's metrics go: metrics.jsonl, and TensorBoard's event files beside it. */

import { join } from 'node:path';
import { type MetricsLog, openMetricsLog } from './metrics-log.js';
import { outputFiles } from './output-folder.js';
import { openTensorboard } from './tensorboard.js';

/** Opens both in `folder`; with `resumeAt`, what they say of later steps no longer counts. */
export async function openRunLog(
  folder: string,
  reportTo: readonly string[],
  resumeAt: number | null,
): Promise<MetricsLog> {
  const rows = await openMetricsLog(join(folder, outputFiles.metrics), resumeAt);
  if (!reportTo.includes('tensorboard')) return rows;
  const board = openTensorboard(join(folder, outputFiles.tensorboard), { resumeAt });
  return {
    append(row) {
      rows.append(row);
      const { step, ...scalars } = row;
      board.scalars(step, scalars);
    },
    sync() {
      rows.sync();
      board.flush();
    },
    close() {
      rows.close();
      board.close();
    },
  };
}
