/** The options of the way from log files to conversations that are filtered, grouped by user and split. */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import { CONVERSATION_FORMATS } from './formats.js';

const text = () => z.string().min(1);
const count = () => z.number().int().min(1);
const share = () => z.number().min(0).max(1);
const flag = () => z.boolean().default(false);

/** With less, sorting and writing conversations of common lengths does not go through. */
const MIN_MEMORY = 400e6;

function bytesOf(written: string): number {
  const [, unit = '', binary = ''] = /([KMGT])(i?)B/i.exec(written) ?? [];
  const base = binary === '' ? 1000 : 1024;
  return Number.parseFloat(written) * base ** ('KMGT'.indexOf(unit.toUpperCase()) + 1);
}

/** Names of columns in somebody else's export; a dot leads into a nested object (`meta.user`). */
export const columnsSchema = z
  .strictObject({
    id: text().optional().describe('Id of the conversation.'),
    model: text().optional().describe('Model that answered.'),
    language: text().optional().describe('Language of the conversation.'),
    time: text().optional().describe('When it began.'),
    toxic: text().optional().describe('Whether it was flagged as toxic.'),
    redacted: text().optional().describe('Whether personal data was taken out.'),
    system: text().optional().describe('System prompt that stands beside the messages.'),
    turns: text().optional().describe('List of the messages.'),
    role: text().optional().describe("A message's author, within the list."),
    content: text().optional().describe("A message's text, within the list."),
    turnLanguage: text().optional().describe("A message's language."),
    turnTime: text().optional().describe("A message's time."),
    turnToxic: text().optional().describe('Whether the message was flagged as toxic.'),
    turnRedacted: text().optional().describe('Whether personal data was taken out of the message.'),
  })
  .describe(
    'Columns of an export of another shape, by what they hold; the others are found by their usual names.',
  );

/** Options of `ingestConversations`. Defaults are those of the paper's appendix C.1 and section 3. */
export const ingestOptionsSchema = z.strictObject({
  input: z
    .union([text(), z.array(text()).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .describe(
      'Logs to read: a file, a folder (searched for .parquet, .jsonl, .ndjson and .json, gzipped or zstd), a glob, or a list of these.',
    ),
  output: text().describe(
    'Folder for conversations.parquet, evaluation.parquet, quarantine.jsonl and dropped.jsonl.',
  ),
  format: z
    .enum(['auto', ...CONVERSATION_FORMATS])
    .default('auto')
    .describe(
      `Form of the rows: ${CONVERSATION_FORMATS.join(', ')}; auto tells it from the columns, for each file.`,
    ),
  columns: columnsSchema.prefault({}),
  roles: z
    .record(z.string(), z.enum(['system', 'user', 'assistant']))
    .default({})
    .describe(
      'What further names of authors stand for, such as {"agent": "assistant"}. Case does not count.',
    ),
  userFields: z
    .array(text())
    .min(1)
    .nullable()
    .default(null)
    .describe(
      'Fields that tell users apart, together; a dot leads into a nested object. Several fields, and addresses of any ' +
        'kind, are hashed to a short id. A row without the first of them has no user. Default for WildChat: hashed_ip, ' +
        'header.accept-language and header.user-agent, because many people share an address (offices, mobile ' +
        'networks, proxies) and the browser and its language set most of them apart; one person with two browsers ' +
        'counts as two, which loses history but never mixes wishes. For others: user, else user_id.',
    ),
  missingUser: z
    .enum(['drop', 'separate'])
    .default('drop')
    .describe(
      'Conversations whose user is unknown: drop them, or count each as a user of its own (with min_conversations 1).',
    ),
  maxMessageBytes: count()
    .default(1024 * 1024)
    .describe(
      'A conversation with a longer message is quarantined: no person writes so much. Bytes of UTF-8.',
    ),
  languages: z
    .array(text())
    .min(1)
    .nullable()
    .default(['English', 'en'])
    .describe(
      'Languages to keep, by the annotation of the source; "en" stands for en-US too. Conversations without an annotation are kept. null keeps all.',
    ),
  dropMidjourney: z
    .boolean()
    .default(true)
    .describe('Drop conversations in which the user names Midjourney: prompts for making image prompts.'),
  minConversations: count()
    .nullable()
    .default(3)
    .describe(
      'Drop users with fewer conversations: too little to infer a persona from. null switches it off.',
    ),
  maxConversations: count()
    .nullable()
    .default(100)
    .describe('Drop users with more conversations: mostly programs. null switches it off.'),
  maxTurns: count()
    .nullable()
    .default(10)
    .describe('Drop longer conversations; a turn is a user message with its answer. null switches it off.'),
  dropToxic: flag().describe('Drop conversations flagged as toxic, or with a message that is.'),
  dropRedacted: flag().describe('Drop conversations from which personal data was taken out.'),
  dropDuplicates: flag().describe(
    'Drop conversations whose messages are all the same as those of an earlier one.',
  ),
  dropNearDuplicates: flag().describe(
    'Drop conversations whose user messages are nearly the same as those of an earlier one (MinHash over word triples).',
  ),
  nearDuplicateSimilarity: share()
    .default(0.8)
    .describe('From which Jaccard similarity of word triples on two conversations are near duplicates.'),
  trainShare: share()
    .default(0.8)
    .describe('Share of the users on the training side; a user never changes side when data are added.'),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0).describe('Seed of the split.'),
  evaluationMinConversations: count()
    .default(10)
    .describe('Users of the test side with so many conversations form the evaluation pool.'),
  evaluationHeldOut: count()
    .default(5)
    .describe('Last conversations of each user of the pool that are held out; the others are the history.'),
  memoryLimit: z
    .string()
    .regex(/^\s*\d+(\.\d+)?\s*[KMGT]i?B\s*$/i, 'bytes with a unit, such as 900MB')
    .refine((written) => bytesOf(written) >= MIN_MEMORY, 'at least 400MB')
    .default('1GB')
    .describe(
      "Memory of the engine's data, at least 400MB; beyond it, it writes to the temporary folder. The process takes some hundred MB more.",
    ),
  temporaryFolder: text()
    .nullable()
    .default(null)
    .describe(
      "Where the engine's data go that memory has no room for. Default: the system's folder for such.",
    ),
  threads: count().nullable().default(null).describe('Threads of the engine. Default: all processors.'),
});

export type IngestOptions = z.input<typeof ingestOptionsSchema>;
export type ResolvedIngestOptions = z.output<typeof ingestOptionsSchema>;

/**
 * The options with every default filled in.
 *
 * @throws ConfigError that names each option that cannot be used
 */
export function resolveIngestOptions(options: IngestOptions): ResolvedIngestOptions {
  const parsed = ingestOptionsSchema.safeParse(options);
  if (!parsed.success) throw new ConfigError(z.prettifyError(parsed.error), { cause: parsed.error });
  const { minConversations, maxConversations, evaluationMinConversations, evaluationHeldOut } = parsed.data;
  if (minConversations !== null && maxConversations !== null && minConversations > maxConversations) {
    throw new ConfigError(
      `minConversations must not be above maxConversations, got ${minConversations} and ${maxConversations}.`,
    );
  }
  if (evaluationHeldOut >= evaluationMinConversations) {
    throw new ConfigError(
      `evaluationHeldOut must leave a history: expected fewer than evaluationMinConversations (${evaluationMinConversations}), got ${evaluationHeldOut}.`,
    );
  }
  return parsed.data;
}

/** Threads that the engine gets. */
export function engineThreads({ threads }: Pick<ResolvedIngestOptions, 'threads'>): number {
  return threads ?? availableParallelism();
}
