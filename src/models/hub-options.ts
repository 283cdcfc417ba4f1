import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const DEFAULT_HUB_ENDPOINT = 'https://huggingface.co';

/** How to reach the Hugging Face Hub, and where to keep what comes from it. */
export interface HubOptions {
  /** Address of the Hub or of a mirror. Default: DEFAULT_HUB_ENDPOINT. */
  endpoint?: string;
  /** Access token; sent to the endpoint only, never to where it redirects. Default: none. */
  token?: string;
  /** Use the cache only, never the network. Default: false. */
  offline?: boolean;
  /** Cache folder, laid out as Python's huggingface_hub does, and shared with it. Default: ~/.cache/huggingface/hub. */
  cacheDir?: string;
  /** Called as bytes arrive, at most some ten times a second, and once at a file's end. */
  onProgress?: (progress: HubProgress) => void;
  /** Ends the download; what has come is kept and used by the next try. */
  signal?: AbortSignal;
  /** Tries of one request before giving up (each goes on where the last was cut). Default: 5. */
  maxAttempts?: number;
  /** Wait before the second try, doubled for each further one, in milliseconds. Default: 500. */
  retryDelayMs?: number;
  /** A connection that gives nothing for this long is cut and tried again, in milliseconds. Default: 30 000. */
  stallTimeoutMs?: number;
}

export interface HubProgress {
  file: string;
  /** Bytes of this file that are there, those of an earlier try included. */
  receivedBytes: number;
  totalBytes: number;
}

export function defaultHubCacheDir(): string {
  return join(homedir(), '.cache', 'huggingface', 'hub');
}

/**
 * The options that huggingface_hub's environment variables stand for: HF_ENDPOINT; HF_HUB_OFFLINE and
 * TRANSFORMERS_OFFLINE; HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME and XDG_CACHE_HOME; the token from HF_TOKEN,
 * HUGGING_FACE_HUB_TOKEN, or the file that `hf auth login` writes (HF_TOKEN_PATH, else `token` in HF_HOME).
 */
export function hubOptionsFromEnvironment(env: Readonly<Record<string, string | undefined>>): HubOptions {
  const home = nonEmpty(env.HOME) ?? homedir();
  const expand = (path: string) => path.replace(/^~(?=\/|$)/, home);
  const cacheHome = nonEmpty(env.XDG_CACHE_HOME) ?? join(home, '.cache');
  const hfHome = expand(nonEmpty(env.HF_HOME) ?? join(cacheHome, 'huggingface'));
  const cacheDir = nonEmpty(env.HF_HUB_CACHE) ?? nonEmpty(env.HUGGINGFACE_HUB_CACHE) ?? join(hfHome, 'hub');
  const endpoint = nonEmpty(env.HF_ENDPOINT);
  const token =
    nonEmpty(env.HF_TOKEN) ??
    nonEmpty(env.HUGGING_FACE_HUB_TOKEN) ??
    tokenFromFile(expand(nonEmpty(env.HF_TOKEN_PATH) ?? join(hfHome, 'token')));
  return {
    cacheDir: expand(cacheDir),
    offline: isTrue(env.HF_HUB_OFFLINE) || isTrue(env.TRANSFORMERS_OFFLINE),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(token === undefined || isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? {} : { token }),
  };
}

function tokenFromFile(path: string): string | undefined {
  try {
    return nonEmpty(readFileSync(path, 'utf8'));
  } catch {
    // most people have none, and public models need none
    return undefined;
  }
}

function nonEmpty(value: string | undefined): string | undefined {
  const trimmed = value?.trim();
  return trimmed ? trimmed : undefined;
}

function isTrue(value: string | undefined): boolean {
  return ['1', 'on', 'yes', 'true'].includes(value?.trim().toLowerCase() ?? '');
}
