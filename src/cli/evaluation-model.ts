import { join } from 'node:path';
import type { Command } from 'commander';
import {
  type ChatModelOptions,
  chatModelOptionsSchema,
  type ResolvedChatModelOptions,
  resolveChatModelOptions,
} from '../llm/chat-model-options.js';
import type { CachedChatModel } from '../llm/reply-cache.js';
import { installHome } from '../runtime/install/location.js';
import { formatBytes } from './format.js';
import { hubOptions } from './open-model.js';
import type { Progress } from './progress.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

/** In the output folder of an evaluation. */
const REPLIES_FILE = 'replies.lmdb';

/** What goes before the names of the flags: `judge` makes `--judge-model`, nothing `--model`. */
export interface ModelPrefix {
  prefix?: string;
}

/** Flags for a chat model, on this machine or behind a server, in a group of their own in the help. */
export function addChatModelFlags(command: Command, title: string, prefix: ModelPrefix = {}): Command {
  return addSchemaFlags(command.optionsGroup(title), chatModelOptionsSchema, prefix);
}

/**
 * The options of the chat model that the flags describe; an address makes it a server, where no kind is given. Undefined
 * where no flag was given.
 *
 * @throws ConfigError for options that cannot be used
 */
export function chatModelFlags(
  command: Command,
  prefix: ModelPrefix = {},
): ResolvedChatModelOptions | undefined {
  const given = readSchemaFlags(command, chatModelOptionsSchema, prefix);
  if (Object.keys(given).length === 0) return undefined;
  const kind = given.kind ?? (given.baseUrl === undefined ? 'local' : 'server');
  return resolveChatModelOptions({ ...given, kind } as ChatModelOptions);
}

/** What people call it. */
export function modelName(options: ResolvedChatModelOptions): string {
  if (options.kind === 'server') return options.model;
  return options.adapter === null ? options.model : `${options.model} with ${options.adapter}`;
}

/** Opens a chat model whose replies are kept in `folder`. Whoever opens it disposes it. */
export async function openEvaluationModel(
  options: ResolvedChatModelOptions,
  { folder, progress, signal }: { folder: string; progress: Progress; signal: AbortSignal },
): Promise<CachedChatModel> {
  const { openChatModel } = await import('../llm/open-chat-model.js');
  const variable = options.kind === 'server' ? options.apiKeyVariable : null;
  return openChatModel(options, {
    cache: join(folder, REPLIES_FILE),
    apiKey: variable === null ? undefined : process.env[variable],
    hashCacheDir: join(installHome(), 'reference-logps'),
    hub: hubOptions(progress),
    signal,
    onProgress: (done, total) =>
      progress.update('loading', done, total, `${formatBytes(done)} of ${formatBytes(total)}`),
  }).finally(() => progress.end());
}
