/** The prompts whose answers are ranked (section 2.4): user messages of training users, with what came before them. */
import { createHash } from 'node:crypto';
import type { ConversationTurn, SplitConversation } from '../../data/conversation.js';
import type { Message } from '../../data/pairs.js';
import type { Dropped } from '../../data/tally.js';
import { byUser } from '../by-user.js';
import { checkOptions } from '../check-options.js';
import type { ClassifiedMessage, PromptRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { drawPrompts } from './draw-prompts.js';
import { promptId } from './ids.js';
import { createNearDuplicates, type NearDuplicates } from './near-duplicates.js';
import {
  type PromptOptions,
  promptOptionsSchema,
  promptTypes,
  type ResolvedPromptOptions,
} from './options.js';

export interface PromptInput {
  /** All conversations of a user one after another. */
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>;
  /** The kinds of their user messages, in the order of the conversations. */
  messages: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>;
  /** The persona of each user who has one. Default: nobody has. */
  personas?: ReadonlyMap<string, string>;
}

/**
 * The user messages that the policy is to answer anew, user by user, each with the conversation up to it and the user's
 * persona.
 *
 * The paper samples "from a curated pool of high-quality prompts" (section 3.1). What of that can be told from texts is
 * told here: the length of the message and of its context, duplicates and near duplicates. The rest is RIP's (Yu et al.
 * 2025, appendix C.2): it judges a prompt by its candidates, which the quality filter of the pairs does.
 *
 * Books: user messages. Those of types that are not asked for are dropped under their type; others as `test-user`,
 * `held-out`, `no-answer-before`, `no-persona`, `message-too-short`, `prompt-too-long`, `duplicate`, `near-duplicate`,
 * `beyond-user-limit`, `not-drawn`.
 *
 * @throws ConfigError for options that cannot be used, DataError where conversations and messages do not belong together
 */
export async function* selectPrompts(
  { conversations, messages, personas = new Map() }: PromptInput,
  input: PromptOptions,
  context: StageContext,
): AsyncGenerator<PromptRow> {
  const options = checkOptions(promptOptionsSchema, input, 'prompts');
  const { size, seed } = options;
  const chosen = choose({ conversations, messages, personas }, options, context);
  const { tally, onProgress } = context;
  let done = 0;
  for await (const row of size === null ? chosen : drawPrompts(chosen, { size, seed }, tally)) {
    if (row.persona === undefined) tally.note('no-persona');
    tally.leave();
    onProgress?.({ done: ++done, total: 0 });
    yield row;
  }
}

async function* choose(
  { conversations, messages, personas }: Required<PromptInput>,
  options: ResolvedPromptOptions,
  { tally, signal }: StageContext,
): AsyncGenerator<PromptRow> {
  const types = new Set(promptTypes(options));
  let seen = createSeen(options);
  for await (const { user, conversations: all } of byUser(conversations, messages)) {
    signal?.throwIfAborted();
    if (options.duplicates === 'user') seen = createSeen(options);
    const persona = personas.get(user)?.trim();
    const rows: PromptRow[] = [];
    for (const { conversation, messages: own } of all) {
      for (const message of own) {
        tally.enter();
        if (!types.has(message.type)) {
          tally.addDropped(message.type, 1);
          continue;
        }
        const row = promptRow(conversation, message, persona);
        const objection = 'reason' in row ? row : objectionTo(row, options, seen);
        if (objection !== undefined) tally.drop({ ...objection, user });
        else rows.push(row as PromptRow);
      }
    }
    yield* ofUser(rows, options, tally);
  }
}

function promptRow(
  { id: name, user, side, heldOut, time, turns }: SplitConversation,
  { turn, type }: ClassifiedMessage,
  persona: string | undefined,
): PromptRow | Dropped {
  const id = promptId(name, turn);
  if (side === 'test') return { id, reason: 'test-user' };
  if (heldOut) return { id, reason: 'held-out' };
  const before = turns[turn - 1];
  const isAnswered = before?.role === 'assistant' && before.content.trim() !== '';
  if (type !== 'initial-request' && !isAnswered) return { id, reason: 'no-answer-before' };
  return {
    ...{ id, user, conversation: name, turn },
    ...(time === undefined ? {} : { time }),
    type,
    prompt: turns.slice(0, turn + 1).map(asMessage),
    ...(persona ? { persona } : {}),
  };
}

function asMessage({ role, content }: ConversationTurn): Message {
  return { role, content };
}

/** What of the prompts so far a further one is compared with. */
interface Seen {
  exact: Map<string, string>;
  near: NearDuplicates | undefined;
}

function createSeen({ duplicates, nearDuplicateSimilarity }: ResolvedPromptOptions): Seen {
  const near = duplicates === 'none' || nearDuplicateSimilarity === null ? null : nearDuplicateSimilarity;
  return { exact: new Map(), near: near === null ? undefined : createNearDuplicates(near) };
}

/** What speaks against a prompt; duplicates are looked for last, so that only what is taken can be repeated. */
function objectionTo(
  { id, conversation, prompt, persona }: PromptRow,
  { requirePersona, minCharacters, maxPromptCharacters, duplicates }: ResolvedPromptOptions,
  { exact, near }: Seen,
): Dropped | undefined {
  if (requirePersona && persona === undefined) return { id, reason: 'no-persona' };
  const length = prompt.at(-1)?.content.trim().length ?? 0;
  if (minCharacters !== null && length < minCharacters) {
    return { id, reason: 'message-too-short', detail: `${length} characters, fewer than ${minCharacters}` };
  }
  const all = prompt.reduce((sum, { content }) => sum + content.length, 0);
  if (maxPromptCharacters !== null && all > maxPromptCharacters) {
    return { id, reason: 'prompt-too-long', detail: `${all} characters, more than ${maxPromptCharacters}` };
  }
  if (duplicates === 'none') return undefined;
  const text = prompt.map(({ role, content }) => `${role}: ${plain(content)}`).join('\n');
  const key = createHash('sha256').update(text).digest('base64');
  const same = exact.get(key);
  if (same !== undefined) return { id, reason: 'duplicate', detail: `${same} is the same` };
  const like = near?.find(text, id, conversation);
  if (like !== undefined) return { id, reason: 'near-duplicate', detail: `${like} is nearly the same` };
  exact.set(key, id);
  return undefined;
}

/** Without what people do not see: case and white space. */
function plain(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}

async function* ofUser(
  rows: readonly PromptRow[],
  { perUser, seed }: ResolvedPromptOptions,
  tally: StageContext['tally'],
): AsyncGenerator<PromptRow> {
  if (perUser === null) yield* rows;
  else yield* drawPrompts(rows, { size: perUser, seed }, tally, 'beyond-user-limit');
}
