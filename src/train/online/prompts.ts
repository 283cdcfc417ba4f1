/** From files of prompts to prompts as the policy is given them, with what could not be used kept and counted. */

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { writeFileAtomic } from '../../data/atomic-write.js';
import type { Message } from '../../data/pairs.js';
import {
  createPersonaTemplate,
  loadPersonaTemplate,
  type PersonaTemplate,
  withPersona,
} from '../../data/persona-prompt.js';
import { chatPrompt, renderPrompt, requireTemplate } from '../../data/prompt.js';
import { type PromptRow, readPrompts } from '../../data/prompt-rows.js';
import { splitKeys } from '../../data/sampling.js';
import type { Tokenizer } from '../../data/tokenizer.js';
import { cutPrompt } from '../../data/truncate.js';
import { ConfigError, DataError } from '../../errors.js';
import { outputFiles } from '../output-folder.js';
import type { OnlineTrainEvent } from './events.js';
import type { ResolvedOnlineTrainOptions } from './options.js';

/** A prompt that the policy answers. */
export interface OnlinePrompt {
  id: string;
  /** The conversation as it is: what the reward model sees, beside the persona. */
  messages: readonly Message[];
  persona?: string;
  user?: string;
  /** The conversation with the persona's system message: what a server is asked. */
  shown: readonly Message[];
  /** The same in the policy's tokens, cut where it was too long. */
  promptIds: number[];
}

export interface OnlinePrompts {
  train: OnlinePrompt[];
  evaluation: OnlinePrompt[];
  /** Rows that could not be read; they are in the quarantine files. */
  bad: number;
  /** Prompts that the policy cannot be given; they are in dropped.jsonl. */
  dropped: number;
  /** SHA-256 over ids, personas and tokens of the prompts that are trained on, in their order. */
  fingerprint: string;
}

export interface PromptLimits {
  /** Positions that prompt and answer have together. */
  positions: number;
  /** Whether a prompt that is too long may be cut; a server is sent the messages, and sees them whole. */
  mayCut: boolean;
}

/**
 * Reads, splits and tokenizes the prompts of a run.
 *
 * @throws ConfigError when the model has no room for prompt and answer, or no chat template; DataError when too many
 * rows are bad, or no prompt is left to train on
 */
export async function loadOnlinePrompts(
  options: ResolvedOnlineTrainOptions,
  tokenizer: Tokenizer,
  limits: PromptLimits,
  onEvent: (event: OnlineTrainEvent) => void,
): Promise<OnlinePrompts> {
  const room = promptRoom(options, limits.positions);
  const reader = new PromptReader(options);
  const rows = await reader.read(options.prompts);
  const { train, eval: heldOut } = splitKeys(rows, {
    evalShare: options.evalSplit,
    seed: options.seed,
    keyOf: ({ user, id }) => (user === undefined ? `prompt ${id}` : `user ${user}`),
  });
  const evaluationRows = options.evalPrompts === null ? heldOut : await reader.read(options.evalPrompts);
  if (reader.bad > 0) {
    const message = `${reader.bad} of ${reader.total} rows could not be read; they are in ${join(options.outputDir, outputFiles.quarantine)}`;
    onEvent({ type: 'notice', message });
  }
  const encoder = new PromptEncoder(options, tokenizer, { room, mayCut: limits.mayCut });
  const prompts = {
    train: await encoder.all('train', train),
    evaluation: await encoder.all('evaluation', evaluationRows),
  };
  await encoder.report(onEvent);
  if (prompts.train.length === 0) {
    const first = encoder.dropped.find(({ set }) => set === 'train');
    const why = first === undefined ? '' : `; the first was dropped because: ${first.reason}`;
    throw new DataError(`no prompt is left to train on${why}`, { file: options.prompts[0] as string });
  }
  return {
    ...prompts,
    bad: reader.bad,
    dropped: encoder.dropped.length,
    fingerprint: fingerprintOf(prompts.train),
  };
}

/** Most tokens of a prompt. */
function promptRoom(
  { maxNewTokens, maxPromptLength }: ResolvedOnlineTrainOptions,
  positions: number,
): number {
  const left = positions - maxNewTokens;
  if (left < 1) {
    throw new ConfigError(
      `max_new_tokens ${maxNewTokens} leaves no room for a prompt: the model has ${positions} positions`,
    );
  }
  return Math.min(left, maxPromptLength ?? left);
}

/** Reads files of prompts; bad rows of the n-th file with some go to the n-th quarantine file. */
class PromptReader {
  readonly #options: ResolvedOnlineTrainOptions;
  #files = 0;
  bad = 0;
  total = 0;

  constructor(options: ResolvedOnlineTrainOptions) {
    this.#options = options;
  }

  async read(files: readonly string[]): Promise<PromptRow[]> {
    const { outputDir, maxBadRowShare } = this.#options;
    const all: PromptRow[] = [];
    for (const file of files) {
      const name = this.#files === 0 ? outputFiles.quarantine : `quarantine-${this.#files + 1}.jsonl`;
      const quarantinePath = join(outputDir, name);
      const { prompts, bad, total } = await readPrompts(file, { quarantinePath, maxBadRowShare });
      for (const { row } of prompts) all.push(row);
      if (bad.length > 0) this.#files++;
      this.bad += bad.length;
      this.total += total;
    }
    return all;
  }
}

/** How many prompts are tokenized before the event loop gets its turn. */
const PROMPTS_AT_ONCE = 50;

class PromptEncoder {
  readonly #options: ResolvedOnlineTrainOptions;
  readonly #tokenizer: Tokenizer;
  readonly #template: PersonaTemplate;
  readonly #limits: { room: number; mayCut: boolean };
  readonly dropped: { set: string; id: string; user?: string; reason: string }[] = [];
  #cut = 0;

  constructor(
    options: ResolvedOnlineTrainOptions,
    tokenizer: Tokenizer,
    limits: { room: number; mayCut: boolean },
  ) {
    const { personaTemplate } = options;
    this.#options = options;
    this.#tokenizer = tokenizer;
    this.#template =
      personaTemplate === null ? createPersonaTemplate() : loadPersonaTemplate(personaTemplate);
    this.#limits = limits;
  }

  async all(set: string, rows: readonly PromptRow[]): Promise<OnlinePrompt[]> {
    const encoded: OnlinePrompt[] = [];
    for (const [index, row] of rows.entries()) {
      if (index % PROMPTS_AT_ONCE === 0) await new Promise(setImmediate);
      try {
        encoded.push(this.#encode(row));
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        const { id, user } = row;
        this.dropped.push({ set, id, ...(user !== undefined && { user }), reason: error.message });
      }
    }
    return encoded;
  }

  /** Writes the list of dropped prompts, and tells what happened to the others. */
  async report(onEvent: (event: OnlineTrainEvent) => void): Promise<void> {
    if (this.dropped.length > 0) {
      const path = join(this.#options.outputDir, outputFiles.dropped);
      const lines = this.dropped.map((row) => `${JSON.stringify(row)}\n`);
      await writeFileAtomic(path, lines);
      onEvent({
        type: 'notice',
        message: `${this.dropped.length} prompts were dropped; ${path} says why`,
      });
    }
    if (this.#cut > 0) {
      const message = `${this.#cut} prompts were longer than ${this.#limits.room} tokens and have been cut`;
      onEvent({ type: 'notice', message });
    }
  }

  /** @throws DataError where the policy cannot be given the prompt */
  #encode({ id, prompt, persona, user }: PromptRow): OnlinePrompt {
    const template = requireTemplate(this.#tokenizer);
    const shown = withPersona(prompt, this.#options.persona ? persona : undefined, this.#template);
    const whole = chatPrompt(shown, renderPrompt(shown, template), this.#tokenizer, template);
    const { room, mayCut } = this.#limits;
    const fits = whole.ids.length <= room;
    const promptIds = fits || !mayCut ? whole.ids : cutPrompt(whole, room, this.#options.truncationMode);
    if (promptIds.length > room) {
      throw new DataError(
        `what must stay of the prompt takes ${promptIds.length} tokens, and there is room for ${room}`,
      );
    }
    if (!fits) this.#cut++;
    const known = { ...(persona !== undefined && { persona }), ...(user !== undefined && { user }) };
    return { id, messages: prompt, ...known, shown, promptIds };
  }
}

function fingerprintOf(prompts: readonly OnlinePrompt[]): string {
  const hash = createHash('sha256');
  for (const { id, messages, persona, promptIds } of prompts) {
    hash.update(`${JSON.stringify([id, messages, persona ?? null])}${promptIds}\n`);
  }
  return hash.digest('hex');
}
