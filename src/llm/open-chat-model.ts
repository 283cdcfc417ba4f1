/** A ready chat model from options, local or behind a server. */
import type { HubOptions } from '../models/hub-options.js';
import { loadModel } from '../models/load-model.js';
import type { ChatModel } from './chat-model.js';
import { type ChatModelOptions, type LocalOptions, resolveChatModelOptions } from './chat-model-options.js';
import { createLocalChatModel } from './local-chat-model.js';
import { type CachedChatModel, withReplyCache } from './reply-cache.js';
import type { ReplyStore } from './reply-store.js';
import { createServerChatModel } from './server/server-chat-model.js';

export interface OpenChatModelOptions {
  /** The key that `apiKeyVariable` names, read by the caller; it goes to the server and nowhere else. */
  apiKey?: string | undefined;
  /** File of the reply cache (made where it is missing), or a store; null for none. Default null. */
  cache?: string | ReplyStore | null;
  /** Folder where hashes of large weight files are remembered. Default: nowhere. */
  hashCacheDir?: string | null;
  /** How to reach the Hugging Face Hub, for a local model. */
  hub?: HubOptions;
  /** Called as a local model's weights are read, with bytes so far and in all. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Ends the opening: a download, or the first question to a server. */
  signal?: AbortSignal;
}

/**
 * Opens a chat model. `dispose()` ends everything that was opened for it.
 *
 * @throws ConfigError for options that cannot be used, LlmApiError for a server that cannot be reached, CheckpointError
 * for a model that cannot be loaded
 */
export async function openChatModel(
  options: ChatModelOptions,
  opening: OpenChatModelOptions & { cache: string | ReplyStore },
): Promise<CachedChatModel>;
export async function openChatModel(
  options: ChatModelOptions,
  opening?: OpenChatModelOptions,
): Promise<ChatModel>;
export async function openChatModel(
  options: ChatModelOptions,
  opening: OpenChatModelOptions = {},
): Promise<ChatModel> {
  const resolved = resolveChatModelOptions(options);
  const { cache = null, apiKey, signal } = opening;
  const model =
    resolved.kind === 'server'
      ? await createServerChatModel(resolved, { apiKey, signal })
      : await openLocal(resolved, opening);
  if (cache === null) return model;
  try {
    return withReplyCache(model, cache);
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

async function openLocal(
  { model, adapter, dtype, device, threads, chatTemplatePath, batchSize }: LocalOptions,
  { hub, hashCacheDir = null, onProgress, signal }: OpenChatModelOptions,
): Promise<ChatModel> {
  const loaded = await loadModel(model, {
    ...{ dtype, device },
    ...(adapter === null ? {} : { adapter }),
    ...(threads === null ? {} : { threads }),
    ...(chatTemplatePath === null ? {} : { tokenizer: { chatTemplateFile: chatTemplatePath } }),
    ...(hub === undefined && signal === undefined ? {} : { hub: { ...hub, ...(signal && { signal }) } }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  try {
    const local = await createLocalChatModel(loaded, { batchSize, cacheDir: hashCacheDir });
    return { ...local, dispose: async () => loaded.dispose() };
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}
