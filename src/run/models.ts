/** The language models of a run: opened when the first stage asks, shared by stages with the same options. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatModelOptions, ResolvedChatModelOptions } from '../llm/chat-model-options.js';
import { resolveChatModelOptions } from '../llm/chat-model-options.js';
import { openChatModel } from '../llm/open-chat-model.js';
import type { CachedChatModel } from '../llm/reply-cache.js';
import { openReplyStore, type ReplyStore } from '../llm/reply-store.js';
import { costOf } from '../llm/usage-meter.js';
import type { HubOptions } from '../models/hub-options.js';
import { installHome } from '../runtime/install/location.js';
import type { AskingStage } from './config/sections.js';
import type { AskedEstimate } from './estimate.js';
import type { StageWork } from './stage.js';
import { markedWeights } from './weights-mark.js';

const REPLIES_FILE = 'replies.lmdb';

export interface RunModelsOptions {
  /** The model of each stage that asks one. */
  models: Partial<Record<AskingStage, ChatModelOptions>>;
  /** Folder of the kept replies. */
  replies: string;
  /** The value of an environment variable that holds a key. */
  secret(variable: string): string | undefined;
  hub: HubOptions;
}

export class RunModels {
  readonly #options: RunModelsOptions;
  readonly #open = new Map<string, CachedChatModel>();
  #replies: ReplyStore | undefined;

  constructor(options: RunModelsOptions) {
    this.#options = options;
  }

  /** What is known of a stage's model without opening it, as one line: when it changes, the stage is done anew. */
  describe(stage: AskingStage): string | null {
    const options = this.#options.models[stage];
    return options === undefined ? null : describeModel(resolveChatModelOptions(options), this.#options.hub);
  }

  /** What so many tokens cost; null where the model has no prices. */
  costOf(stage: AskingStage, { promptTokens, completionTokens }: AskedEstimate): number | null {
    const options = this.#options.models[stage];
    const resolved = options === undefined ? undefined : resolveChatModelOptions(options);
    if (resolved?.kind !== 'server') return null;
    const [prompt, completion] = [
      resolved.pricePerMillionPromptTokens,
      resolved.pricePerMillionCompletionTokens,
    ];
    return prompt === null || completion === null
      ? null
      : costOf({ promptTokens, completionTokens }, { prompt, completion });
  }

  /** A stage's model. It stays open for later stages until `dispose`. */
  async open(stage: AskingStage, { signal, onProgress }: StageWork): Promise<CachedChatModel> {
    const options = resolveChatModelOptions(this.#options.models[stage] as ChatModelOptions);
    const key = JSON.stringify(options);
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const model = await openChatModel(options, {
      cache: this.#store(),
      apiKey: keyOf(options, this.#options),
      hashCacheDir: join(installHome(), 'reference-logps'),
      hub: this.#options.hub,
      signal,
      onProgress: (done, total) =>
        onProgress({ done: megabytes(done), total: megabytes(total), text: 'MB of the model read' }),
    });
    this.#open.set(key, model);
    return model;
  }

  /** Removes the kept replies to what a user said; says how many there were. */
  async forget(user: string): Promise<number> {
    return existsSync(join(this.#options.replies, REPLIES_FILE)) ? this.#store().forgetOwner(user) : 0;
  }

  /** Lets go of everything; a later `open` opens it anew. */
  async dispose(): Promise<void> {
    const models = [...this.#open.values()];
    this.#open.clear();
    for (const model of models) await model.dispose();
    const replies = this.#replies;
    this.#replies = undefined;
    await replies?.close();
  }

  #store(): ReplyStore {
    this.#replies ??= openReplyStore(join(this.#options.replies, REPLIES_FILE));
    return this.#replies;
  }
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6);

function keyOf(options: ResolvedChatModelOptions, { secret }: RunModelsOptions): string | undefined {
  return options.kind === 'server' && options.apiKeyVariable !== null
    ? secret(options.apiKeyVariable)
    : undefined;
}

/** Everything of the options that replies depend on; not where and how fast they are computed. */
function describeModel(options: ResolvedChatModelOptions, hub: HubOptions): string {
  if (options.kind === 'local') {
    const { model, adapter, dtype, chatTemplatePath } = options;
    return [
      `local ${markedWeights(model, hub)}`,
      ...(adapter === null ? [] : [`adapter ${markedWeights(adapter, hub)}`]),
      dtype,
      ...(chatTemplatePath === null ? [] : [`template ${chatTemplatePath}`]),
    ].join(', ');
  }
  const { model, name, baseUrl, contextTokens, extraBody } = options;
  return [
    `server ${model} at ${name ?? baseUrl}`,
    ...(contextTokens === null ? [] : [`context ${contextTokens}`]),
    ...(Object.keys(extraBody).length === 0 ? [] : [JSON.stringify(extraBody)]),
  ].join(', ');
}
