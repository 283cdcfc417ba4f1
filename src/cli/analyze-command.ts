import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { writeFileAtomic } from '../data/atomic-write.js';
import { Tally } from '../data/tally.js';
import { ConfigError } from '../errors.js';
import type { DataAnalysis } from '../eval/analysis/analyze.js';
import type { ContextSet } from '../eval/analysis/contexts.js';
import type { Embedder } from '../eval/analysis/embedder.js';
import { analysisOptionsSchema, type ResolvedAnalysisOptions } from '../eval/analysis/options.js';
import type { UserPersona } from '../eval/analysis/preference-dimensions.js';
import { EVALUATIONS_FOLDER } from '../eval/results.js';
import { checkOptions } from '../pairs/check-options.js';
import { readRows } from '../run/row-files.js';
import { stageFiles } from '../run/stages/setup.js';
import { installHome } from '../runtime/install/location.js';
import { newCommand, print, printJson, readTextFlag } from './command.js';
import { describeResult } from './evaluation-display.js';
import { addChatModelFlags, chatModelFlags, modelName, openEvaluationModel } from './evaluation-model.js';
import { withInterrupt } from './interrupt.js';
import { createProgress, type Progress } from './progress.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

interface AnalyzeFlags {
  output: string;
  classified?: string;
  conversations?: string;
  personas?: string;
  pairs?: string;
  contexts?: string[];
  embeddingModel?: string;
  embeddingBaseUrl?: string;
  embeddingServerModel?: string;
  embeddingApiKeyVariable: string;
  dimensionTemplate?: string;
  json?: boolean;
}

/** Of the result, and of the folder of its figures. */
const NAME = 'data-analysis';

export function analyzeCommand(): Command {
  const command = newCommand(
    'analyze',
    {
      summary: 'what users say, how diverse it is, and how they want to be answered',
      description:
        'Looks at the data of a run, or at files: shares of message types, lengths, turns and activity of users (section ' +
        '2.2), the diversity of contexts as their mean cosine distance with a map (Figure 5), and preferences that ' +
        'personas speak of (Table 1). What there are no data for is left out. Contexts need an embedding model ' +
        '(--embedding-model, a folder) or a server; preferences are judged by a model (--judge-model) or, without one, ' +
        'told by words. The result lies in OUTPUT/evaluations, where `persona-dpo report` finds it, with figures as SVG ' +
        'and PNG.',
      examples: [
        ['persona-dpo analyze --output runs/mine', "a run's messages and personas"],
        [
          'persona-dpo analyze --output runs/mine --embedding-model models/all-MiniLM-L6-v2 --contexts hh=hh-rlhf.jsonl --judge-base-url http://127.0.0.1:8000/v1 --judge-model judge',
          'with the map of its contexts beside those of another preference set, and a judge',
        ],
        [
          'persona-dpo analyze --output out --conversations WildChat-1M/data --embedding-base-url https://api.openai.com/v1 --embedding-server-model text-embedding-3-small',
          'a log as it was published, with the embeddings of the paper',
        ],
      ],
    },
    { json: 'print what was found as JSON' },
  )
    .requiredOption('--output <DIR>', "a run's folder, or one of its own for the analysis")
    .optionsGroup('Data (default: what the run in OUTPUT has):')
    .option('--classified <FILE>', 'classified.jsonl of a run')
    .option('--conversations <FILE|DIR>', 'conversations.parquet of a run, or logs of any form')
    .option('--personas <FILE>', 'JSONL rows with user and persona')
    .option('--pairs <FILE>', 'preference pairs, whose prompts are contexts')
    .option('--contexts <NAME=FILE...>', 'further sets of contexts to compare: preference pairs or logs')
    .optionsGroup('Embeddings:')
    .option('--embedding-model <DIR>', 'sentence-embedding model: onnx/model.onnx, or a BERT in safetensors')
    .option('--embedding-base-url <URL>', 'address of a server with POST /embeddings, with the version')
    .option('--embedding-server-model <NAME>', "the model's name on that server")
    .option(
      '--embedding-api-key-variable <NAME>',
      'environment variable that holds its key',
      'OPENAI_API_KEY',
    )
    .option('--dimension-template <FILE>', 'Jinja template that asks the judge what a persona wants');
  addSchemaFlags(command.optionsGroup('Analysis:'), analysisOptionsSchema);
  addChatModelFlags(command, 'The judge of preferences (default: none, words decide):', { prefix: 'judge' });
  return command.action(async (flags: AnalyzeFlags) => {
    const progress = createProgress();
    const scratch = mkdtempSync(join(tmpdir(), 'persona-dpo-analyze-'));
    await withInterrupt(
      (signal) => analyze(command, flags, { progress, scratch, signal }),
      () => progress.line('Stopping.'),
    ).finally(() => {
      progress.end();
      rmSync(scratch, { recursive: true, force: true });
    });
  });
}

interface Work {
  progress: Progress;
  scratch: string;
  signal: AbortSignal;
}

async function analyze(command: Command, flags: AnalyzeFlags, work: Work): Promise<void> {
  const given = readSchemaFlags(command, analysisOptionsSchema);
  const options = checkOptions(analysisOptionsSchema, given, 'analyze');
  const began = performance.now();
  const sources = sourcesOf(flags);
  const analysis: DataAnalysis = {
    messages: await messagesOf(sources, work),
    contexts: await contextsOf(flags, sources, options, work),
    dimensions: await dimensionsOf(command, flags, sources, options, work),
  };
  if (Object.values(analysis).every((part) => part === null)) {
    throw new ConfigError(
      'there is nothing to analyze: expected the folder of a run as --output, or --classified, --conversations, ' +
        '--personas, --pairs or --contexts',
    );
  }
  await writeAnalysis(analysis, { flags, options, work, seconds: (performance.now() - began) / 1000 });
}

/** Files to look at. */
interface Sources {
  classified: string | undefined;
  conversations: string | undefined;
  personas: string | undefined;
  pairs: string | undefined;
}

function sourcesOf({ output, classified, conversations, personas, pairs }: AnalyzeFlags): Sources {
  const ofRun = (stage: 'classify' | 'conversations' | 'personas' | 'pairs') => {
    const file = join(output, stage, stageFiles[stage]);
    return existsSync(file) ? file : undefined;
  };
  return {
    // A classification of other conversations would say nothing of these.
    classified: classified ?? (conversations === undefined ? ofRun('classify') : undefined),
    conversations: conversations ?? ofRun('conversations'),
    personas: personas ?? ofRun('personas'),
    pairs: pairs ?? ofRun('pairs'),
  };
}

async function messagesOf(
  { classified, conversations }: Sources,
  work: Work,
): Promise<DataAnalysis['messages']> {
  if (classified === undefined && conversations === undefined) return null;
  const [{ classificationStatistics }, { classifiedSchema }, { unclassifiedMessages }] = await Promise.all([
    import('../pairs/classify/statistics.js'),
    import('../run/row-schemas.js'),
    import('../pairs/classify/unclassified-messages.js'),
  ]);
  if (classified !== undefined) {
    const { byUser: _, ...statistics } = await classificationStatistics(
      readRows(classified, classifiedSchema),
    );
    return { ...statistics, classified: true };
  }
  async function* rows(file: string) {
    for await (const conversation of await conversationsOf(file, work))
      yield* unclassifiedMessages(conversation);
  }
  const { byUser: _, ...statistics } = await classificationStatistics(rows(conversations as string));
  return { ...statistics, classified: false };
}

async function conversationsOf(file: string, { progress, scratch, signal }: Work) {
  const { conversationsIn } = await import('../eval/analysis/read-conversations.js');
  const onNotice = (message: string) => progress.line(message);
  return conversationsIn(file, mkdtempSync(join(scratch, 'log-')), { signal, onNotice });
}

async function contextsOf(
  flags: AnalyzeFlags,
  sources: Sources,
  options: ResolvedAnalysisOptions,
  work: Work,
): Promise<DataAnalysis['contexts']> {
  const files = contextFiles(flags, sources);
  if (files.length === 0) return null;
  const embedder = await openEmbedder(flags);
  if (embedder === null) {
    work.progress.line(
      'Without --embedding-model or --embedding-base-url nothing is said of how diverse contexts are.',
    );
    return null;
  }
  try {
    const { analyzeContexts } = await import('../eval/analysis/analyze.js');
    const sets: ContextSet[] = [];
    for (const { name, file } of files) sets.push(await drawnContexts(name, file, options, work));
    return await analyzeContexts(sets, embedder, options, {
      signal: work.signal,
      onProgress: (what, done, total) => work.progress.update(what, done, total, `${done}/${total}`),
    });
  } finally {
    work.progress.end();
    await embedder.dispose();
  }
}

interface NamedFile {
  name: string;
  file: string;
}

function contextFiles({ contexts = [] }: AnalyzeFlags, { pairs, conversations }: Sources): NamedFile[] {
  const further = contexts.map((word) => {
    const [, name, file] = /^([^=]+)=(.+)$/.exec(word) ?? [];
    if (name === undefined || file === undefined)
      throw new ConfigError(`--contexts: expected NAME=FILE, got ${word}`);
    return { name, file };
  });
  // The pairs are made from the conversations: beside them these would be on the map twice.
  const own = pairs ?? conversations;
  const files = [...(own === undefined ? [] : [{ name: 'own', file: own }]), ...further];
  const twice = files.find(({ name }, i) => files.findIndex((other) => other.name === name) < i);
  if (twice !== undefined) throw new ConfigError(`--contexts: the name ${twice.name} is there twice`);
  return files;
}

async function drawnContexts(
  name: string,
  file: string,
  { samples, seed }: ResolvedAnalysisOptions,
  work: Work,
): Promise<ContextSet> {
  const [{ contextOfConversation, contextOfPair, drawContexts }, { isPairsFile }, { streamPairs }] =
    await Promise.all([
      import('../eval/analysis/contexts.js'),
      import('../eval/analysis/pair-files.js'),
      import('../data/read-pairs.js'),
    ]);
  let bad = 0;
  async function* contexts() {
    if (await isPairsFile(file)) {
      for await (const row of streamPairs(file)) {
        if (row.ok) yield contextOfPair(row.pair);
        else bad++;
      }
    } else {
      for await (const each of await conversationsOf(file, work)) yield contextOfConversation(each);
    }
  }
  const set = await drawContexts(name, contexts(), samples, seed);
  if (bad > 0) work.progress.line(`${file}: ${bad} rows are no preference pairs and were left out.`);
  return set;
}

async function openEmbedder(flags: AnalyzeFlags): Promise<Embedder | null> {
  const { embeddingModel: folder, embeddingBaseUrl: baseUrl, embeddingServerModel: model } = flags;
  if (folder !== undefined && baseUrl !== undefined) {
    throw new ConfigError('give --embedding-model or --embedding-base-url, not both');
  }
  if (folder !== undefined) {
    const { openLocalEmbedder } = await import('../eval/analysis/local-embedder.js');
    return openLocalEmbedder({ folder, cacheDir: join(installHome(), 'embedding-models') });
  }
  if (baseUrl === undefined) return null;
  if (model === undefined) throw new ConfigError('--embedding-base-url needs --embedding-server-model NAME');
  const { serverEmbedder } = await import('../eval/analysis/server-embedder.js');
  return serverEmbedder({ baseUrl, model, apiKey: process.env[flags.embeddingApiKeyVariable] });
}

const personaSchema = z.object({ user: z.string().min(1), persona: z.string() });

async function dimensionsOf(
  command: Command,
  flags: AnalyzeFlags,
  { personas: file }: Sources,
  { maxPersonas, seed }: ResolvedAnalysisOptions,
  work: Work,
): Promise<DataAnalysis['dimensions']> {
  if (file === undefined) return null;
  const [{ drawItems }, { dimensionShares }] = await Promise.all([
    import('../eval/analysis/reservoir.js'),
    import('../eval/analysis/dimension-shares.js'),
  ]);
  const { drawn } = await drawItems(readRows(file, personaSchema), maxPersonas, seed);
  const judge = chatModelFlags(command, { prefix: 'judge' });
  if (judge === undefined) {
    const { dimensionsByRules } = await import('../eval/analysis/dimension-rules.js');
    const shares = dimensionShares(dimensionsByRules(drawn));
    return {
      method: 'told by words in them, which is coarse',
      personas: drawn.length,
      shares,
      verdicts: null,
    };
  }
  const tally = new Tally('verdicts');
  const found = await judged(command, flags, drawn, tally, work);
  return {
    method: `judged by ${modelName(judge)}`,
    ...{ personas: drawn.length, shares: dimensionShares(found), verdicts: tally.counts() },
  };
}

async function judged(
  command: Command,
  { output, dimensionTemplate }: AnalyzeFlags,
  personas: readonly UserPersona[],
  tally: Tally,
  { progress, signal }: Work,
) {
  const [{ judgeDimensions }, { createDimensionTemplate }] = await Promise.all([
    import('../eval/analysis/judge-dimensions.js'),
    import('../eval/analysis/dimension-template.js'),
  ]);
  const template = createDimensionTemplate(
    dimensionTemplate === undefined ? undefined : readTextFlag(dimensionTemplate, '--dimension-template'),
  );
  const options = chatModelFlags(command, { prefix: 'judge' });
  if (options === undefined) throw new ConfigError('give --judge-model');
  const model = await openEvaluationModel(options, {
    folder: join(output, EVALUATIONS_FOLDER),
    progress,
    signal,
  });
  try {
    return await judgeDimensions(personas, {
      ...{ model, template, tally, signal },
      onProgress: (done, total) => progress.update('judging', done, total, `${done}/${total} verdicts`),
    });
  } finally {
    progress.end();
    await model.dispose();
  }
}

interface Written {
  flags: AnalyzeFlags;
  options: ResolvedAnalysisOptions;
  work: Work;
  seconds: number;
}

async function writeAnalysis(
  analysis: DataAnalysis,
  { flags: { output, json }, options, work, seconds }: Written,
): Promise<void> {
  const [{ analysisResult }, { writeEvaluation }, { writeAnalysisPlots }] = await Promise.all([
    import('../eval/analysis/analysis-result.js'),
    import('../eval/results.js'),
    import('../report/analysis-plots.js'),
  ]);
  const finishedAt = new Date().toISOString();
  const result = { ...analysisResult(analysis, { ...options }), finishedAt, seconds };
  const folder = join(output, EVALUATIONS_FOLDER, NAME);
  const file = await writeEvaluation(output, result);
  await writeFileAtomic(join(folder, 'analysis.json'), `${JSON.stringify(analysis)}\n`);
  const figures = await writeAnalysisPlots(analysis, folder);
  work.progress.end();
  if (json) printJson({ ...analysis, files: [file, ...figures] });
  else print(`${describeResult(result)}\n\nWritten: ${[file, ...figures].join(', ')}`);
}
