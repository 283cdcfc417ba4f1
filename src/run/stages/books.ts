/** What every stage does with its rows: written as they come, with what was left out beside them, and counted. */

import { join } from 'node:path';
import { type Counts, Tally } from '../../data/tally.js';
import type { StageContext } from '../../pairs/stage.js';
import type { OutputFile } from '../manifest.js';
import { RowWriter } from '../row-files.js';
import { DROPPED_FILE } from '../run-folder.js';
import type { StageWork } from '../stage.js';

export interface StageBooks {
  /** Books of one kind of thing, as a stage of the method wants them. */
  context(unit: string): StageContext;
  /** Writes all rows into a file of the stage; `onRow` sees each of them. */
  write<Row>(file: string, rows: AsyncIterable<Row>, onRow?: (row: Row) => void): Promise<OutputFile>;
}

export interface ClosedBooks<Result> {
  result: Result;
  outputs: Record<string, OutputFile>;
  counts: Counts[];
}

/** Runs `work` with books, and closes them: that they add up is checked here. */
export async function withBooks<Result>(
  { folder, signal, onProgress, onNotice }: StageWork,
  work: (books: StageBooks) => Promise<Result>,
): Promise<ClosedBooks<Result>> {
  const dropped = new RowWriter(join(folder, DROPPED_FILE));
  const tallies: Tally[] = [];
  const outputs: Record<string, OutputFile> = {};
  const books: StageBooks = {
    context(unit) {
      const tally = new Tally(unit, (drop) => dropped.write(drop));
      tallies.push(tally);
      return { tally, signal, onProgress, onNotice };
    },
    async write(file, rows, onRow) {
      const writer = new RowWriter(join(folder, file));
      try {
        for await (const row of rows) {
          signal.throwIfAborted();
          writer.write(row);
          onRow?.(row);
        }
      } catch (error) {
        writer.abandon();
        throw error;
      }
      const output = writer.close();
      outputs[file] = output;
      return output;
    },
  };
  try {
    const result = await work(books);
    dropped.close();
    return { result, outputs, counts: tallies.map((tally) => tally.counts()) };
  } catch (error) {
    dropped.abandon();
    throw error;
  }
}
