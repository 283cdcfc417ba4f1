/** Personas while their users talk (the paper's Figure 9): looked up, inferred, brought up to date, forgotten. */

import type { SplitConversation } from '../../data/conversation.js';
import { readConversations } from '../../data/conversations/conversation-file.js';
import { checkOptions } from '../../pairs/check-options.js';
import { type ServePersonaOptions, servePersonaOptionsSchema } from '../serve-options.js';
import { readGivenPersonas } from './given-personas.js';
import { type InferenceSettings, inferFromHistory, updatePersona } from './infer-persona.js';
import { KeyedQueue } from './keyed-queue.js';
import { UserFiles } from './user-files.js';
import { isForgotten, type KnownUser, newUser, type PendingMessage, type UserRecord } from './user-record.js';

export interface UserPersonasOptions extends ServePersonaOptions {
  /** Folder in which what is known of users is kept. */
  state: string;
  /** File of personas that are known beforehand: a run's `personas.jsonl`. Default: none. */
  personas?: string;
  /** File of conversations of earlier times: a run's `conversations.parquet`. Default: none. */
  history?: string;
  inference: InferenceSettings;
  /** What a person who keeps the server should know; names no user. */
  onNotice?: (message: string) => void;
}

/** What is known of a user, for the user's own eyes. */
export interface PersonaView {
  user: string;
  persona: string | null;
  updated: string | null;
  /** Messages that are kept until the persona is next brought up to date. */
  pendingMessages: number;
}

/** One request of a user, from its beginning to its end. */
export interface PersonaSession {
  /** Undefined where nothing is known. */
  readonly persona: string | undefined;
  /** Remembers what the user said, once it has been answered. */
  said(message: PendingMessage): Promise<void>;
  /** Called when the request has ended. */
  close(): void;
}

/** Longer messages are not kept whole: less than this is shown when a persona is made. */
const MAX_KEPT_CHARACTERS = 4000;

/** Messages that are kept while no persona can be made of them, as a multiple of `updateEvery`. */
const MAX_PENDING = 4;

/** Keeps personas of users in a state folder. One server at a time may use a folder. */
export class UserPersonas {
  readonly #options: UserPersonasOptions & { updateEvery: number };
  readonly #files: UserFiles;
  readonly #given: ReadonlyMap<string, string>;
  readonly #queue = new KeyedQueue();
  readonly #closing = new AbortController();
  /** Requests under way and inferences by user: forgetting a user reaches them all. */
  readonly #open = new Map<string, Set<AbortController>>();
  readonly #updating = new Set<string>();
  readonly #background = new Set<Promise<void>>();

  private constructor(
    options: UserPersonasOptions & { updateEvery: number },
    files: UserFiles,
    given: ReadonlyMap<string, string>,
  ) {
    this.#options = options;
    this.#files = files;
    this.#given = given;
  }

  /** @throws ConfigError, DataError for a state folder or files that cannot be used */
  static async open(options: UserPersonasOptions): Promise<UserPersonas> {
    const { state, personas, history } = options;
    const given = personas === undefined ? new Map<string, string>() : await readGivenPersonas(personas);
    if (history !== undefined) for await (const _ of readConversations(history, { users: [] })) break;
    const { updateEvery } = checkOptions(
      servePersonaOptionsSchema,
      { updateEvery: options.updateEvery },
      'personas',
    );
    return new UserPersonas({ ...options, updateEvery }, await UserFiles.open(state), given);
  }

  /**
   * The persona for a user's request: what the state folder knows, else what was given, else what the model infers
   * from the user's history, for which the user's first request waits.
   *
   * @throws the signal's reason when aborted
   */
  async begin(user: string, signal: AbortSignal): Promise<PersonaSession> {
    const { controller, close } = this.#register(user);
    try {
      const looked = this.#queue.run(user, () => this.#lookUp(user));
      const persona = await untilAborted(looked, signal);
      return {
        persona: controller.signal.aborted ? undefined : persona,
        said: (message) => this.#remember(user, message, controller.signal),
        close,
      };
    } catch (error) {
      close();
      throw error;
    }
  }

  /** What is known of a user; undefined for nothing. */
  async view(user: string): Promise<PersonaView | undefined> {
    return this.#queue.run(user, async () => {
      const record = await this.#files.read(user);
      if (isForgotten(record)) return undefined;
      const persona = this.#personaIn(record, user) ?? null;
      if (record === undefined && persona === null) return undefined;
      const { updated = null, pending = [] } = record ?? {};
      return { user, persona, updated, pendingMessages: pending.length };
    });
  }

  /**
   * Removes all that is kept of a user, and keeps that what was given of the user is not used again. What the user
   * says later is a stranger's. Requests under way are answered, and not remembered.
   *
   * @returns whether there was anything to forget
   */
  async forget(user: string): Promise<boolean> {
    for (const controller of this.#open.get(user) ?? [])
      controller.abort(new Error('the user was forgotten'));
    return this.#queue.run(user, async () => {
      const record = await this.#files.read(user);
      if (isForgotten(record)) return false;
      if (record === undefined && !this.#given.has(user) && this.#options.history === undefined) return false;
      await this.#files.write(user, { version: 1, forgotten: true });
      return true;
    });
  }

  /** Waits for updates under way; only meant for tests and the end. */
  async settle(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  /** Ends inferences under way; what was said is kept, and they are made up for later. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the server is stopping'));
    await this.settle();
    await this.#queue.empty();
    await this.#files.close();
  }

  #register(user: string): { controller: AbortController; close: () => void } {
    const controller = new AbortController();
    const all = this.#open.get(user) ?? new Set();
    this.#open.set(user, all.add(controller));
    return {
      controller,
      close: () => {
        all.delete(controller);
        if (all.size === 0 && this.#open.get(user) === all) this.#open.delete(user);
      },
    };
  }

  async #lookUp(user: string): Promise<string | undefined> {
    const record = await this.#files.read(user);
    if (isForgotten(record)) return undefined;
    const persona = this.#personaIn(record, user);
    if (persona !== undefined || record?.historyRead || record?.ignoreGiven) return persona;
    return this.#fromHistory(record ?? newUser(user, this.#options.updateEvery));
  }

  #personaIn(record: KnownUser | undefined, user: string): string | undefined {
    return record?.persona ?? (record?.ignoreGiven ? undefined : this.#given.get(user));
  }

  async #fromHistory(record: KnownUser): Promise<string | undefined> {
    const { history, inference } = this.#options;
    if (history === undefined) return undefined;
    const { user } = record;
    const conversations: SplitConversation[] = [];
    for await (const each of readConversations(history, { users: [user], heldOut: false })) {
      conversations.push(each);
    }
    if (conversations.length === 0) return undefined;
    const { controller, close } = this.#register(user);
    const signal = AbortSignal.any([controller.signal, this.#closing.signal]);
    try {
      const inferred = await inferFromHistory(user, conversations, inference, signal);
      const persona = 'persona' in inferred ? inferred.persona : null;
      if ('problem' in inferred) this.#notice(`No persona from a user's history: ${inferred.problem}.`);
      const updated = persona === null ? null : new Date().toISOString();
      await this.#files.write(user, { ...record, persona, updated, historyRead: true });
      return persona ?? undefined;
    } catch (error) {
      // Who is forgotten or waits in vain is answered all the same.
      if (!signal.aborted) this.#notice(`No persona from a user's history: ${messageOf(error)}.`);
      return undefined;
    } finally {
      close();
    }
  }

  async #remember(user: string, message: PendingMessage, forgotten: AbortSignal): Promise<void> {
    await this.#queue.run(user, async () => {
      if (forgotten.aborted) return;
      const { updateEvery } = this.#options;
      const record = this.#goOnWith(await this.#files.read(user), user);
      const text = message.text.slice(0, MAX_KEPT_CHARACTERS);
      // The same words again are a request made anew.
      if (record.pending.at(-1)?.text === text) return;
      const pending = [...record.pending, { ...message, text }].slice(-MAX_PENDING * updateEvery);
      await this.#files.write(user, { ...record, pending });
      if (pending.length >= record.updateAt) this.#startUpdate(user);
    });
  }

  /** The record that a message is added to; for one who was forgotten it begins anew, without what was given. */
  #goOnWith(record: UserRecord | undefined, user: string): KnownUser {
    const { updateEvery, history } = this.#options;
    if (isForgotten(record)) return { ...newUser(user, updateEvery), ignoreGiven: true };
    // The request that the message is from has had the history looked through.
    const historyRead = history !== undefined;
    return record ?? { ...newUser(user, updateEvery), persona: this.#given.get(user) ?? null, historyRead };
  }

  #startUpdate(user: string): void {
    if (this.#updating.has(user) || this.#closing.signal.aborted) return;
    this.#updating.add(user);
    const work = this.#update(user).finally(() => {
      this.#updating.delete(user);
      this.#background.delete(work);
    });
    this.#background.add(work);
  }

  async #update(user: string): Promise<void> {
    const { controller, close } = this.#register(user);
    const signal = AbortSignal.any([controller.signal, this.#closing.signal]);
    try {
      const before = await this.#queue.run(user, () => this.#files.read(user));
      if (before === undefined || isForgotten(before)) return;
      const { inference, updateEvery } = this.#options;
      const inferred = await updatePersona(user, before.persona, before.pending, inference, signal);
      await this.#queue.run(user, async () => {
        const now = await this.#files.read(user);
        if (signal.aborted || now === undefined || isForgotten(now)) return;
        if ('persona' in inferred) {
          const pending = now.pending.filter(({ text }) => !before.pending.some((old) => old.text === text));
          const changed = { persona: inferred.persona, updated: new Date().toISOString(), pending };
          await this.#files.write(user, { ...now, ...changed, updateAt: updateEvery });
        } else {
          this.#notice(`A persona could not be brought up to date: ${inferred.problem}.`);
          // Not before as many messages have come again: the model would be asked the same at each of them.
          const updateAt = Math.min(now.pending.length + updateEvery, MAX_PENDING * updateEvery);
          await this.#files.write(user, { ...now, updateAt });
        }
      });
    } catch (error) {
      if (!signal.aborted) this.#notice(`A persona could not be brought up to date: ${messageOf(error)}.`);
    } finally {
      close();
    }
  }

  #notice(message: string): void {
    this.#options.onNotice?.(message);
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
}

/** Waits for `work` as long as `signal` lets; the work goes on. */
async function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => undefined);
  }
}
