import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { downloadBlob, type RemoteFile, remoteFile } from './hub-blob.js';
import { COMMIT, type HubId, type RepositoryCache, repositoryCache } from './hub-cache.js';
import {
  type HubConnection,
  hubError,
  hubFetch,
  isHubUnreachable,
  PassingFailure,
  refuseFailedAnswer,
  withRetries,
} from './hub-http.js';
import { withFileLock } from './hub-lock.js';
import { DEFAULT_HUB_ENDPOINT, defaultHubCacheDir, type HubOptions } from './hub-options.js';
import { readWeightMap, SINGLE_WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from './safetensors.js';

export interface HubSnapshot {
  /** Folder with the model's files: `models--owner--name/snapshots/COMMIT` in the cache. */
  path: string;
  repository: string;
  /** The commit that the revision stands for. */
  commit: string;
  /** Whether the Hub could not be reached and an earlier download is used. */
  fromCacheOnly: boolean;
}

/** Everything beside the weights that a model needs to be loaded, chatted with and saved. */
const SMALL_FILES =
  /^(config|generation_config|special_tokens_map|added_tokens|tokenizer[\w.-]*|chat_template[\w.-]*|vocab)\.(json|jinja|model|txt)$|^merges\.txt$|^tokenizer\.model[\w.]*$/;

/**
 * Gets a model from the Hugging Face Hub into the cache folder that Python's huggingface_hub uses, in its layout
 * (`blobs`, `snapshots` with links, `refs`), so that each finds what the other has downloaded. Takes configuration,
 * tokenizer, chat template and safetensors weights, nothing else. Interrupted downloads go on where they
 * were; files are checked by size and hash. Where the Hub can't be reached, or `offline` is set, a complete
 * earlier download is used.
 * Throws CheckpointError with `details.hub` (see HubFailure) saying what to do.
 */
export async function downloadFromHub(id: HubId, options: HubOptions = {}): Promise<HubSnapshot> {
  const cache = repositoryCache(options.cacheDir ?? defaultHubCacheDir(), id);
  if (options.offline) return fromCache(cache, `the network is not to be used (offline, HF_HUB_OFFLINE)`);
  const connection = connectionOf(options);
  try {
    return await downloadOnline(connection, cache, id);
  } catch (error) {
    if (!isHubUnreachable(error) || cache.completeSnapshot() === undefined) throw error;
    return fromCache(cache, 'the Hub cannot be reached');
  }
}

function connectionOf(options: HubOptions): HubConnection {
  const endpoint = (options.endpoint ?? DEFAULT_HUB_ENDPOINT).replace(/\/+$/, '');
  if (!/^https?:\/\/[^\s/@]+/.test(endpoint) || !URL.canParse(endpoint)) {
    throw hubError(
      'refused',
      `The Hub's endpoint (HF_ENDPOINT) must be an http(s) address; ${JSON.stringify(endpoint)} is not.`,
    );
  }
  return {
    endpoint,
    token: options.token,
    onProgress: options.onProgress ?? (() => {}),
    signal: options.signal,
    maxAttempts: options.maxAttempts ?? 5,
    retryDelayMs: options.retryDelayMs ?? 500,
    stallTimeoutMs: options.stallTimeoutMs ?? 30_000,
  };
}

function fromCache(cache: RepositoryCache, reason: string): HubSnapshot {
  const snapshot = cache.completeSnapshot();
  if (snapshot === undefined) {
    const label = `${cache.id.repository}@${cache.id.revision}`;
    throw hubError(
      'offline',
      `${label} is not in the cache ${cache.root}, or not all of it, and ${reason}. Download it once with the network, or name a local folder or .gguf file.`,
    );
  }
  return { ...snapshot, repository: cache.id.repository, fromCacheOnly: true };
}

async function downloadOnline(
  connection: HubConnection,
  cache: RepositoryCache,
  id: HubId,
): Promise<HubSnapshot> {
  const { commit, files } = await repositoryFiles(connection, id);
  const label = `${id.repository}@${id.revision}`;
  if (!files.includes('config.json'))
    throw hubError('not-found', `${label} holds no config.json: it is no model that can be loaded.`);
  const small = files.filter((file) => SMALL_FILES.test(file));
  const index = files.includes(WEIGHTS_INDEX_FILE) && !files.includes(SINGLE_WEIGHTS_FILE);
  if (!index && !files.includes(SINGLE_WEIGHTS_FILE)) {
    const others = files.filter((file) => /\.(bin|gguf|pth|safetensors)$/.test(file)).slice(0, 3);
    throw hubError(
      'not-found',
      `${label} holds no model.safetensors${others.length > 0 ? ` (but ${others.join(', ')})` : ''}; only safetensors weights are taken from the Hub. A .gguf file can be downloaded and named by its path.`,
    );
  }
  const snapshot = cache.snapshotPath(commit);
  const get = (names: readonly string[]) => getFiles(connection, cache, id, commit, names);
  if (index) {
    await get([...small, WEIGHTS_INDEX_FILE]);
    await get([...new Set(readWeightMap(join(snapshot, WEIGHTS_INDEX_FILE)).values())].sort());
  } else {
    await get([...small, SINGLE_WEIGHTS_FILE]);
  }
  if (id.revision !== commit) await cache.writeRef(commit);
  return { path: snapshot, repository: id.repository, commit, fromCacheOnly: false };
}

/** The commit that a revision stands for, and the names of the files in the repository's root. */
async function repositoryFiles(
  connection: HubConnection,
  { repository, revision }: HubId,
): Promise<{ commit: string; files: string[] }> {
  const url = `${connection.endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}`;
  const what = `${repository}@${revision}`;
  const info = await withRetries(connection, what, async () => {
    const response = await hubFetch(connection, url);
    await refuseFailedAnswer(response, what, connection.token !== undefined);
    const text = await response.text().catch((cause: unknown) => {
      throw new PassingFailure('the connection was cut', { cause });
    });
    try {
      return JSON.parse(text) as { sha?: unknown; siblings?: unknown };
    } catch {
      throw hubError(
        'refused',
        `${connection.endpoint} does not answer like a Hub: no JSON came for ${what}.`,
      );
    }
  });
  const { sha, siblings } = info ?? {};
  if (typeof sha !== 'string' || !COMMIT.test(sha) || !Array.isArray(siblings)) {
    throw hubError(
      'refused',
      `${connection.endpoint} does not answer like a Hub: no commit and list of files came for ${what}.`,
    );
  }
  const names = siblings.map((sibling: { rfilename?: unknown } | null) => sibling?.rfilename);
  // only plain names of the root: nothing that a server says can lead out of the snapshot folder
  const files = names.filter(
    (name): name is string => typeof name === 'string' && /^[\w-][\w.-]*$/.test(name),
  );
  return { commit: sha, files };
}

async function getFiles(
  connection: HubConnection,
  cache: RepositoryCache,
  { repository }: HubId,
  commit: string,
  names: readonly string[],
): Promise<void> {
  const missing = names.filter((name) => !existsSync(join(cache.snapshotPath(commit), name)));
  // nothing is written then: a cache may be read-only
  if (missing.length === 0) return;
  const remote: RemoteFile[] = [];
  for (const name of missing) {
    const url = `${connection.endpoint}/${repository}/resolve/${commit}/${name}`;
    remote.push(await remoteFile(connection, url, name, `${repository}/${name}`));
  }
  await cache.requireSpace(remote.reduce((sum, file) => sum + file.size, 0));
  for (const file of remote) {
    const blob = cache.blobPath(file.etag);
    await withFileLock(cache.lockPath(file.etag), connection.signal, async () => {
      if (!existsSync(blob)) await downloadBlob(connection, file, blob);
      await cache.link(blob, commit, file.name);
    });
  }
}
