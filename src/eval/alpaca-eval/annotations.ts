/** Files in alpaca_eval's form: outputs of models, and annotations of two outputs each. */
import { z } from 'zod';
import { writeFileAtomic } from '../../data/atomic-write.js';
import { DataError } from '../../errors.js';
import { checkedRows } from '../table-rows.js';

const instructionSchema = z.object({ instruction: z.string().min(1), dataset: z.string().nullish() });

const outputSchema = instructionSchema.extend({ output: z.string(), generator: z.string().min(1) });

const annotationSchema = instructionSchema.extend({
  output_1: z.string(),
  output_2: z.string(),
  generator_1: z.string().min(1),
  generator_2: z.string().min(1),
  annotator: z.string().nullish(),
  /** 1 where output 1 is better, 2 where output 2 is, 1.5 and 0 for a draw; null where there is no verdict. */
  preference: z.number().min(0).max(2).nullable(),
});

export type AlpacaOutput = z.output<typeof outputSchema>;
export type AlpacaAnnotation = z.output<typeof annotationSchema>;

/** @throws DataError for a file of another form, without rows, with an instruction twice, or of several generators */
export async function readOutputs(file: string): Promise<AlpacaOutput[]> {
  const rows = await all(
    file,
    outputSchema,
    'an output in the form of AlpacaEval with instruction, output and generator',
  );
  checkUnique(file, rows);
  checkOne(file, rows, ({ generator }) => generator, 'generator');
  return rows;
}

/** @throws DataError for a file of another form, without rows, or of several pairs of models or annotators */
export async function readAnnotations(file: string): Promise<AlpacaAnnotation[]> {
  const rows = await all(
    file,
    annotationSchema,
    'an annotation of AlpacaEval with instruction, output_1, output_2, generator_1, generator_2 and preference',
  );
  checkOne(file, rows, ({ generator_1: name }) => name, 'generator_1');
  checkOne(file, rows, ({ generator_2: name }) => name, 'generator_2');
  checkOne(file, rows, ({ annotator }) => annotator ?? '', 'annotator');
  return rows;
}

/** Writes rows as the JSON list that alpaca_eval reads. */
export async function writeRows(file: string, rows: readonly object[]): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(rows, null, 2)}\n`);
}

/** Writes a leaderboard, or what else is text. */
export async function writeText(file: string, text: string): Promise<void> {
  await writeFileAtomic(file, text);
}

async function all<Row>(file: string, schema: z.ZodType<Row>, expected: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const { value } of checkedRows(file, schema, expected)) rows.push(value);
  if (rows.length === 0) throw new DataError(`it is empty: ${expected} is expected in each row`, { file });
  return rows;
}

function checkUnique(file: string, rows: readonly AlpacaOutput[]): void {
  const seen = new Map<string, number>();
  for (const [index, { instruction }] of rows.entries()) {
    const earlier = seen.get(instruction);
    if (earlier !== undefined) {
      throw new DataError(`the instruction of row ${earlier + 1} is there again in row ${index + 1}`, {
        file,
      });
    }
    seen.set(instruction, index);
  }
}

function checkOne<Row>(
  file: string,
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  field: string,
): void {
  const names = [...new Set(rows.map(nameOf))];
  if (names.length > 1) {
    throw new DataError(`expected one ${field} in all rows, got ${names.slice(0, 3).join(', ')}`, { file });
  }
}
