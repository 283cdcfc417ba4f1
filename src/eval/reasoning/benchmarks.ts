/** The benchmarks, and how a row of each becomes a problem. */
import { z } from 'zod';
import { boxedAnswer } from '../../data/math-answer/boxed.js';
import { createRandom } from '../../data/random.js';
import { letterOf, type Problem } from './problem.js';

export const BENCHMARKS = ['olympiad-bench', 'minerva', 'gpqa', 'mmlu-pro', 'math-500'] as const;
export type BenchmarkName = (typeof BENCHMARKS)[number];

export interface RowPlace {
  /** 1-based number of the row in the file. */
  number: number;
  /** Of the order of options, where the file has them in a fixed one. */
  seed: number;
}

/** A problem, or why a row gives none. A row that is not of the benchmark's form is the reader's to refuse. */
export type ParsedRow = Problem | { left: 'needs-image' | 'proof' | 'no-answer' };

export interface Benchmark {
  name: BenchmarkName;
  title: string;
  /** Where it is published, and a command that fetches it. */
  source: string;
  /** Fields that a row must have, for errors. */
  fields: string;
  schema: z.ZodType;
  parse(row: unknown, place: RowPlace): ParsedRow;
}

const text = z.string().trim().min(1);

const olympiadRow = z.object({
  id: z.union([z.number(), z.string()]).nullish(),
  subfield: z.string().nullish(),
  context: z.string().nullish(),
  question: text,
  final_answer: z.array(z.string()).nullish(),
  unit: z.string().nullish(),
  error: z.union([z.string(), z.number()]).nullish(),
  answer_type: z.string().nullish(),
  question_type: z.string().nullish(),
  modality: z.string().nullish(),
  image_1: z.unknown().optional(),
  images: z.array(z.unknown()).nullish(),
});

function parseOlympiad(value: unknown, { number }: RowPlace): ParsedRow {
  const row = value as z.output<typeof olympiadRow>;
  const hasImage = (row.image_1 ?? null) !== null || (row.images ?? []).length > 0;
  if (hasImage || row.modality === 'Multimodal') return { left: 'needs-image' };
  if (/proof|proving/i.test(row.question_type ?? '')) return { left: 'proof' };
  const answers = (row.final_answer ?? []).filter((answer) => answer.trim() !== '');
  if (answers.length === 0) return { left: 'no-answer' };
  const error = Number(row.error ?? Number.NaN);
  return {
    kind: 'math',
    id: String(row.id ?? number),
    question: [row.context, row.question, unitRequest(row.unit)].filter((part) => part).join('\n\n'),
    category: row.subfield ?? '',
    truth: answers.join(', '),
    ...(Number.isFinite(error) && error > 0 ? { tolerance: { absolute: error } } : {}),
  };
}

/** The published answers have no units; which one they are in is part of what is asked. */
function unitRequest(unit: string | null | undefined): string {
  return unit ? `(Give the answer in ${unit}.)` : '';
}

/** Answers were rounded, most of them to two or three significant digits. */
const MINERVA_TOLERANCE = 0.01;

const minervaRow = z.object({
  problem: text,
  solution: text,
  type: z.string().nullish(),
  idx: z.union([z.number(), z.string()]).nullish(),
});

function parseMinerva(value: unknown, { number }: RowPlace): ParsedRow {
  const row = value as z.output<typeof minervaRow>;
  const truth = boxedAnswer(row.solution);
  if (!truth) return { left: 'no-answer' };
  return {
    kind: 'math',
    id: String(row.idx ?? number - 1),
    question: row.problem,
    category: row.type ?? '',
    truth,
    tolerance: { relative: MINERVA_TOLERANCE },
  };
}

const math500Row = z
  .object({
    problem: z.string().nullish(),
    question: z.string().nullish(),
    answer: z.string().nullish(),
    solution: z.string().nullish(),
    subject: z.string().nullish(),
    unique_id: z.string().nullish(),
  })
  .refine(({ problem, question }) => (problem ?? question ?? '').trim() !== '', {
    error: 'expected problem, or question, as a text',
  });

/** Copies of the benchmark have the whole solution as the answer, with these words before the last line. */
const ANSWER_LINE = 'The answer is:';

function parseMath500(value: unknown, { number }: RowPlace): ParsedRow {
  const row = value as z.output<typeof math500Row>;
  const answer = row.answer ?? '';
  const line = answer.lastIndexOf(ANSWER_LINE);
  const written = line === -1 ? answer : answer.slice(line + ANSWER_LINE.length);
  const truth = written.trim() === '' ? boxedAnswer(row.solution ?? '') : written.trim();
  if (!truth) return { left: 'no-answer' };
  return {
    kind: 'math',
    id: row.unique_id ?? String(number),
    question: (row.problem ?? row.question ?? '').trim(),
    category: row.subject ?? '',
    truth,
  };
}

const gpqaRow = z.object({
  Question: text,
  'Correct Answer': text,
  'Incorrect Answer 1': text,
  'Incorrect Answer 2': text,
  'Incorrect Answer 3': text,
  'High-level domain': z.string().nullish(),
  'Record ID': z.string().nullish(),
});

/** The file has the right answer first: the options are shuffled, the same way for the same seed and row. */
function parseGpqa(value: unknown, { number, seed }: RowPlace): ParsedRow {
  const row = value as z.output<typeof gpqaRow>;
  const right = row['Correct Answer'];
  const wrong = [row['Incorrect Answer 1'], row['Incorrect Answer 2'], row['Incorrect Answer 3']];
  const order = createRandom(seed, number).shuffle([0, 1, 2, 3]);
  return {
    kind: 'choice',
    id: row['Record ID'] ?? String(number),
    question: row.Question,
    category: row['High-level domain'] ?? '',
    options: order.map((index) => [right, ...wrong][index] as string),
    letters: 4,
    truth: letterOf(order.indexOf(0)),
  };
}

const mmluProRow = z
  .object({
    question_id: z.union([z.number(), z.string()]).nullish(),
    question: text,
    options: z.array(z.string()).min(2).max(10),
    answer: z.string().regex(/^[A-J]$/, 'expected a letter from A to J'),
    category: z.string().nullish(),
  })
  .refine(({ options, answer }) => answer.charCodeAt(0) - 'A'.charCodeAt(0) < options.length, {
    error: 'the answer is none of the options',
    path: ['answer'],
  });

function parseMmluPro(value: unknown, { number }: RowPlace): ParsedRow {
  const row = value as z.output<typeof mmluProRow>;
  return {
    kind: 'choice',
    id: String(row.question_id ?? number),
    question: row.question,
    category: row.category ?? '',
    // The published file fills up to ten with N/A.
    options: row.options.filter((option) => option !== 'N/A'),
    letters: 10,
    truth: row.answer,
  };
}

const HUB = 'https://huggingface.co/datasets';

const ALL: Readonly<Record<BenchmarkName, Benchmark>> = {
  'olympiad-bench': {
    name: 'olympiad-bench',
    title: 'OlympiadBench',
    source: `${HUB}/Hothan/OlympiadBench (the text-only, open-ended parts: OE_TO_*.parquet)`,
    fields: 'question and final_answer',
    schema: olympiadRow,
    parse: parseOlympiad,
  },
  minerva: {
    name: 'minerva',
    title: 'Minerva (OCWCourses)',
    source: `${HUB}/math-ai/minervamath`,
    fields: 'problem and solution',
    schema: minervaRow,
    parse: parseMinerva,
  },
  gpqa: {
    name: 'gpqa',
    title: 'GPQA',
    source: `${HUB}/Idavidrein/gpqa (gpqa_main.csv, gpqa_diamond.csv)`,
    fields: 'Question, Correct Answer and Incorrect Answer 1 to 3',
    schema: gpqaRow,
    parse: parseGpqa,
  },
  'mmlu-pro': {
    name: 'mmlu-pro',
    title: 'MMLU-Pro',
    source: `${HUB}/TIGER-Lab/MMLU-Pro (data/test-00000-of-00001.parquet)`,
    fields: 'question, options and answer',
    schema: mmluProRow,
    parse: parseMmluPro,
  },
  'math-500': {
    name: 'math-500',
    title: 'MATH-500',
    source: `${HUB}/HuggingFaceH4/MATH-500 (test.jsonl)`,
    fields: 'problem and answer',
    schema: math500Row,
    parse: parseMath500,
  },
};

export function benchmarkNamed(name: BenchmarkName): Benchmark {
  return ALL[name];
}
