import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import { CheckpointError } from '../errors.js';
import { downloadFromHub } from './hub.js';
import { parseHubId } from './hub-cache.js';
import type { HubOptions } from './hub-options.js';
import { looksLikeGguf } from './model-files.js';

export type ModelLocation =
  | { kind: 'hf-folder'; path: string; configPath: string; id: string; revision: string | null }
  | { kind: 'gguf'; path: string; id: string; revision: null };

export interface ResolveModelOptions {
  /** How to reach the Hub; see hubOptionsFromEnvironment. Default: no token, the public endpoint. */
  hub?: HubOptions;
}

/**
 * Finds the model that a user names: a Hugging Face folder, a .gguf file (or a folder with just one), or an id on the
 * Hub (`owner/name[@revision]`), which is downloaded. What exists on the disk wins over an id. `id` is what
 * to call the model elsewhere (an adapter's base_model_name_or_path): the Hub id, or the absolute path.
 * Throws CheckpointError for anything else, with the nearest name that exists where there is one.
 */
export async function resolveModel(
  argument: string,
  { hub = {} }: ResolveModelOptions = {},
): Promise<ModelLocation> {
  if (argument.trim() === '') throw new CheckpointError(`No model is named. ${WHAT_IS_TAKEN}`);
  if (existsSync(argument)) return localModel(resolve(argument));
  const id = looksLikePath(argument) ? undefined : parseHubId(argument);
  if (id === undefined)
    throw new CheckpointError(notFoundMessage(argument), { details: { model: argument } });
  const snapshot = await downloadFromHub(id, hub).catch((error: unknown) => {
    throw withLocalHint(error, argument);
  });
  return {
    kind: 'hf-folder',
    path: snapshot.path,
    configPath: join(snapshot.path, 'config.json'),
    id: snapshot.repository,
    revision: snapshot.commit,
  };
}

const WHAT_IS_TAKEN =
  'Name a Hugging Face folder, a .gguf file, or a model on the Hub as owner/name or owner/name@revision.';

function localModel(path: string): ModelLocation {
  if (!statSync(path).isDirectory()) return localFile(path);
  const configPath = join(path, 'config.json');
  if (existsSync(configPath)) return { kind: 'hf-folder', path, configPath, id: path, revision: null };
  if (existsSync(join(path, 'adapter_config.json'))) {
    throw new CheckpointError(
      `${path} is a LoRA adapter, not a model: name its base model here, and the adapter as the adapter.`,
      { details: { path } },
    );
  }
  const ggufs = readdirSync(path).filter((name) => extname(name) === '.gguf');
  if (ggufs.length === 1) return ggufLocation(join(path, ggufs[0]!));
  const found =
    ggufs.length > 1
      ? `It holds ${ggufs.length} .gguf files; name one: ${ggufs.sort().slice(0, 5).join(', ')}.`
      : WHAT_IS_TAKEN;
  throw new CheckpointError(`${path} is no model folder: it has no config.json. ${found}`, {
    details: { path },
  });
}

function localFile(path: string): ModelLocation {
  if (looksLikeGguf(path)) return ggufLocation(path);
  const folder = dirname(path);
  if (existsSync(join(folder, 'config.json')) && /\.(safetensors|json)$/.test(path)) {
    throw new CheckpointError(`${path} is one file of a model; name its folder, ${folder}.`, {
      details: { path },
    });
  }
  throw new CheckpointError(
    `${path} is not a model: it does not start as a GGUF file does. ${WHAT_IS_TAKEN}`,
    {
      details: { path },
    },
  );
}

function ggufLocation(path: string): ModelLocation {
  return { kind: 'gguf', path, id: path, revision: null };
}

/** Spellings that nobody uses for an id on the Hub. */
function looksLikePath(argument: string): boolean {
  return (
    /^[./~]|\\|^[A-Za-z]:|\.gguf$|\.safetensors$/.test(argument) ||
    argument.split('@')[0]!.split('/').length > 2
  );
}

function notFoundMessage(argument: string): string {
  const near = nearestSibling(argument);
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  const path = resolve(argument);
  if (looksLikePath(argument)) {
    const tilde = argument.startsWith('~') ? ' (a quoted ~ is not expanded)' : '';
    return `There is no file or folder ${path}${tilde}.${hint} ${WHAT_IS_TAKEN}`;
  }
  const owner = argument.includes('/') ? '' : ' On the Hub, a name has an owner before it: owner/name.';
  return `${JSON.stringify(argument)} is neither a file or folder here nor an id on the Hub.${hint}${owner} ${WHAT_IS_TAKEN}`;
}

/** `runs/modle` reads like an id on the Hub: where that fails, a folder of nearly that name may have been meant. */
function withLocalHint(error: unknown, argument: string): unknown {
  const near = nearestSibling(argument);
  if (!(error instanceof CheckpointError) || near === undefined) return error;
  return new CheckpointError(`${error.message} Or did you mean ${near}, here?`, {
    details: error.details,
    cause: error.cause,
  });
}

/** Typing errors to allow, by length of the name. */
const MAX_DISTANCE_SHARE = 0.4;

function nearestSibling(argument: string): string | undefined {
  const wanted = basename(argument);
  const folder = dirname(argument);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return undefined;
  }
  const ranked = names
    .map((name) => ({ name, distance: distance(name.toLowerCase(), wanted.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= wanted.length * MAX_DISTANCE_SHARE
    ? join(folder, best.name)
    : undefined;
}
