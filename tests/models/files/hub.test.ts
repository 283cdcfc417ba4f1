import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { CheckpointError } from '../../../src/errors.js';
import { downloadFromHub } from '../../../src/models/hub.js';
import { parseHubId } from '../../../src/models/hub-cache.js';
import { isHubUnreachable } from '../../../src/models/hub-http.js';
import {
  DEFAULT_HUB_ENDPOINT,
  type HubOptions,
  hubOptionsFromEnvironment,
} from '../../../src/models/hub-options.js';
import { resolveModel } from '../../../src/models/model-location.js';
import { COMMIT, type FakeHub, fakeHubs } from './fake-hub.js';
import { temporaryFolders } from './support.js';

const temporaryFolder = temporaryFolders();
const fakeHub = fakeHubs();

const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) & 255);
const FILES = {
  'config.json': '{"model_type":"llama"}',
  'tokenizer.json': '{}',
  'tokenizer_config.json': '{"a":1}',
  'chat_template.jinja': 'hello',
  'generation_config.json': '{}',
  'model.safetensors': WEIGHTS,
  'pytorch_model.bin': 'not wanted',
  'README.md': 'not wanted',
  'onnx/model.onnx': 'not wanted',
};
const ID = { repository: 'owner/name', revision: 'main' };
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** Options for quick tests, in a new cache. */
function optionsFor(hub: FakeHub, more: HubOptions = {}): HubOptions & { cacheDir: string } {
  return {
    endpoint: hub.endpoint,
    cacheDir: temporaryFolder(),
    retryDelayMs: 1,
    maxAttempts: 3,
    ...more,
  } as HubOptions & {
    cacheDir: string;
  };
}

async function failure(run: Promise<unknown>): Promise<CheckpointError> {
  const error = await run.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  return error as CheckpointError;
}

/** A port that was just given back: nobody listens there. */
async function nobodysAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

const bodies = (hub: FakeHub) =>
  hub.requests.filter(({ method, path }) => method === 'GET' && !path.startsWith('/api'));

describe('downloadFromHub', () => {
  it("lays files out as Python's huggingface_hub does, and takes no others", async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub, { endpoint: `${hub.endpoint}/` });
    const snapshot = await downloadFromHub(ID, options);
    const folder = join(options.cacheDir, 'models--owner--name');
    expect(snapshot).toEqual({
      path: join(folder, 'snapshots', COMMIT),
      repository: 'owner/name',
      commit: COMMIT,
      fromCacheOnly: false,
    });
    expect(readFileSync(join(folder, 'refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(readdirSync(snapshot.path).sort()).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const weights = join(snapshot.path, 'model.safetensors');
    expect(lstatSync(weights).isSymbolicLink()).toBe(true);
    expect(readlinkSync(weights)).toBe(`../../blobs/${sha256(WEIGHTS)}`);
    expect(sha256(readFileSync(weights))).toBe(sha256(WEIGHTS));
    // one blob for each content: two of the files are "{}"
    expect(readdirSync(join(folder, 'blobs'))).toHaveLength(5);
    expect(readdirSync(join(options.cacheDir, '.locks', 'models--owner--name'))).toEqual([]);
  });

  it('asks only which commit it is when all is there', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    await downloadFromHub(ID, options);
    hub.requests.length = 0;
    await downloadFromHub(ID, options);
    expect(hub.requests.map(({ path }) => path)).toEqual(['/api/models/owner/name/revision/main']);
  });

  it('writes nothing when all is there, so that a cache may be read-only', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    await downloadFromHub(ID, options);
    const times = () =>
      readdirSync(options.cacheDir, { recursive: true, encoding: 'utf8' })
        .concat('.')
        .map((name) => [name, lstatSync(join(options.cacheDir, name)).mtimeMs]);
    const before = times();
    await downloadFromHub(ID, options);
    expect(times()).toEqual(before);
  });

  it('sends the token to the Hub and never to where it redirects', async () => {
    const hub = await fakeHub(FILES);
    await downloadFromHub(ID, optionsFor(hub, { token: 'hf_secret' }));
    const seen = (server: string) =>
      new Set(hub.requests.filter((r) => r.server === server).map((r) => r.authorization));
    expect(seen('hub')).toEqual(new Set(['Bearer hf_secret']));
    expect(seen('files')).toEqual(new Set([undefined]));
  });

  it('goes on where a connection was cut, in one call and across calls', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub, { maxAttempts: 1 });
    const large = (from: string | undefined) => ({ server: 'files', range: from });
    hub.cuts = [100_000];
    const error = await failure(downloadFromHub(ID, options));
    expect(error.message).toMatch(/model.safetensors could not be had .* in 1 tries: the connection/);
    const [partial] = readdirSync(join(options.cacheDir, 'models--owner--name', 'blobs')).filter((name) =>
      name.endsWith('.incomplete'),
    );
    expect(partial).toBe(`${sha256(WEIGHTS)}.incomplete`);
    hub.cuts = [50_000];
    const progress: number[] = [];
    const snapshot = await downloadFromHub(ID, {
      ...options,
      maxAttempts: 2,
      onProgress: ({ receivedBytes, totalBytes }) => progress.push(receivedBytes / totalBytes),
    });
    const requests = hub.requests.filter(({ server }) => server === 'files');
    expect(requests).toHaveLength(3);
    expect(requests[0]).toMatchObject(large(undefined));
    expect(requests[1]).toMatchObject(large('bytes=100000-'));
    expect(requests[2]).toMatchObject(large('bytes=150000-'));
    expect(sha256(readFileSync(join(snapshot.path, 'model.safetensors')))).toBe(sha256(WEIGHTS));
    expect(progress.at(-1)).toBe(1);
    expect(progress.every((share, i) => i === 0 || share >= progress[i - 1]!)).toBe(true);
  });

  it('starts over where the server sends the whole file instead of the rest', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    const blobs = join(options.cacheDir, 'models--owner--name', 'blobs');
    mkdirSync(blobs, { recursive: true });
    writeFileSync(join(blobs, `${sha256(WEIGHTS)}.incomplete`), WEIGHTS.subarray(0, 1000));
    hub.intercept = ({ server }, response) => {
      if (server === 'files') response.writeHead(200, { 'content-length': WEIGHTS.length }).end(WEIGHTS);
      return server === 'files';
    };
    const { path } = await downloadFromHub(ID, options);
    expect(sha256(readFileSync(join(path, 'model.safetensors')))).toBe(sha256(WEIGHTS));
  });

  it('starts over where an earlier part is longer than the file, or another part comes', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    const blobs = join(options.cacheDir, 'models--owner--name', 'blobs');
    mkdirSync(blobs, { recursive: true });
    writeFileSync(join(blobs, `${sha256(WEIGHTS)}.incomplete`), new Uint8Array(WEIGHTS.length + 1));
    await downloadFromHub(ID, options);
    const other = optionsFor(hub);
    const otherBlobs = join(other.cacheDir, 'models--owner--name', 'blobs');
    mkdirSync(otherBlobs, { recursive: true });
    writeFileSync(join(otherBlobs, `${sha256(WEIGHTS)}.incomplete`), WEIGHTS.subarray(0, 1000));
    hub.intercept = ({ server, range }, response) => {
      if (server !== 'files' || range === undefined) return false;
      response
        .writeHead(206, { 'content-range': `bytes 0-99/${WEIGHTS.length}` })
        .end(WEIGHTS.subarray(0, 100));
      return true;
    };
    const { path } = await downloadFromHub(ID, other);
    expect(sha256(readFileSync(join(path, 'model.safetensors')))).toBe(sha256(WEIGHTS));
  });

  it('removes what arrives damaged and says so', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    hub.intercept = ({ server }, response) => {
      if (server === 'files') response.end(WEIGHTS.with(5, 1));
      return server === 'files';
    };
    const error = await failure(downloadFromHub(ID, options));
    expect(error.details.hub).toBe('corrupt');
    expect(error.message).toMatch(/model.safetensors arrived damaged: its hash is/);
    expect(existsSync(join(options.cacheDir, 'models--owner--name', 'refs', 'main'))).toBe(false);
    hub.intercept = () => false;
    await downloadFromHub(ID, options);
  });

  it("checks small files by git's hash", async () => {
    const hub = await fakeHub(FILES);
    hub.intercept = ({ method, path }, response) => {
      const hit = method === 'GET' && path.endsWith('/tokenizer_config.json');
      if (hit) response.end('{"a":2}');
      return hit;
    };
    expect((await failure(downloadFromHub(ID, optionsFor(hub)))).message).toMatch(
      /tokenizer_config.json arrived damaged/,
    );
  });

  it('tries again after a busy or broken server, and gives up after maxAttempts', async () => {
    const hub = await fakeHub(FILES);
    let failures = 2;
    hub.intercept = (_, response) => {
      if (failures-- > 0) response.writeHead(failures === 0 ? 500 : 429, { 'retry-after': '0' }).end();
      return failures >= 0;
    };
    await downloadFromHub(ID, optionsFor(hub));
    hub.intercept = (_, response) => {
      response.writeHead(503).end();
      return true;
    };
    hub.requests.length = 0;
    const error = await failure(downloadFromHub(ID, optionsFor(hub)));
    expect(error.message).toMatch(/owner\/name@main could not be had .* in 3 tries: the server answered 503/);
    expect(hub.requests).toHaveLength(3);
    expect(isHubUnreachable(error)).toBe(true);
  });

  it('cuts a connection that gives nothing any more, and goes on with a new one', async () => {
    const hub = await fakeHub(FILES);
    let stalls = 1;
    hub.intercept = ({ server }, response) => {
      if (server !== 'files' || stalls-- <= 0) return false;
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, 1000));
      return true;
    };
    await downloadFromHub(ID, optionsFor(hub, { stallTimeoutMs: 200 }));
    expect(hub.requests.filter(({ server }) => server === 'files').map(({ range }) => range)).toEqual([
      undefined,
      'bytes=1000-',
    ]);
  });

  it('stops when asked to, and keeps what has come', async () => {
    const hub = await fakeHub(FILES);
    const stop = new AbortController();
    hub.intercept = ({ server }, response) => {
      if (server !== 'files') return false;
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, 1000));
      return true;
    };
    const options = optionsFor(hub, { signal: stop.signal });
    const partial = join(options.cacheDir, 'models--owner--name', 'blobs', `${sha256(WEIGHTS)}.incomplete`);
    const download = failure(downloadFromHub(ID, options));
    await vi.waitFor(() => expect(readFileSync(partial)).toHaveLength(1000), { timeout: 20_000 });
    stop.abort();
    const error = await download;
    expect(error.details.hub).toBe('aborted');
    expect(readFileSync(partial)).toHaveLength(1000);
  });

  it.each<[string, number, Record<string, string>, string | undefined, string, RegExp]>([
    [
      'a private model without a token',
      401,
      {},
      undefined,
      'unauthorized',
      /no such repository, or it is private or gated \(401\); for those, set HF_TOKEN/,
    ],
    [
      'a private model with a token',
      403,
      {},
      'hf_secret',
      'unauthorized',
      /the token does not give access \(403\)/,
    ],
    [
      'a gated model',
      403,
      { 'x-error-code': 'GatedRepo' },
      'hf_secret',
      'gated',
      /owner\/name@main is gated: accept its conditions/,
    ],
    [
      'a repository that is not there',
      404,
      { 'x-error-code': 'RepoNotFound' },
      undefined,
      'not-found',
      /no such repository or revision on the Hub \(404\)/,
    ],
    [
      'a revision that is not there',
      404,
      { 'x-error-code': 'RevisionNotFound' },
      undefined,
      'not-found',
      /no such revision on the Hub/,
    ],
    ['an odd answer', 418, {}, undefined, 'refused', /the Hub answered 418/],
  ])('names %s, at once and without the token', async (_, status, headers, token, kind, message) => {
    const hub = await fakeHub(FILES);
    hub.intercept = (__, response) => {
      response.writeHead(status, headers).end('{"error":"..."}');
      return true;
    };
    const error = await failure(downloadFromHub(ID, optionsFor(hub, token === undefined ? {} : { token })));
    expect(error.message).toMatch(message);
    expect(error.details.hub).toBe(kind);
    expect(isHubUnreachable(error)).toBe(false);
    expect(hub.requests).toHaveLength(1);
    expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toContain('hf_secret');
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['no config.json', { 'model.safetensors': 'x' }, /holds no config.json/],
    [
      'no safetensors',
      { 'config.json': '{}', 'pytorch_model.bin': 'x' },
      /holds no model.safetensors \(but pytorch_model.bin\)/,
    ],
    [
      'a name that leads elsewhere instead of config.json',
      { '../config.json': '{}', '/config.json': '{}' },
      /holds no config.json/,
    ],
  ])('refuses a repository with %s', async (_, files, message) => {
    const hub = await fakeHub(files);
    expect((await failure(downloadFromHub(ID, optionsFor(hub)))).message).toMatch(message);
    expect(bodies(hub)).toEqual([]);
  });

  it.each<[string, string, RegExp]>([
    ['no JSON', '<html>', /does not answer like a Hub: no JSON/],
    ['no commit', '{"siblings":[]}', /does not answer like a Hub: no commit/],
    [
      'a commit that is a path',
      '{"sha":"../../../../../../../../../../../../..x","siblings":[]}',
      /no commit/,
    ],
    ['nothing', 'null', /no commit/],
  ])('refuses a server that answers with %s', async (_, body, message) => {
    const hub = await fakeHub(FILES);
    hub.intercept = (__, response) => {
      response.end(body);
      return true;
    };
    expect((await failure(downloadFromHub(ID, optionsFor(hub)))).message).toMatch(message);
  });

  it('refuses an etag that is a path', async () => {
    const hub = await fakeHub(FILES);
    hub.intercept = ({ method }, response) => {
      if (method === 'HEAD')
        response.writeHead(200, { etag: '"../../../escape"', 'content-length': 2 }).end();
      return method === 'HEAD';
    };
    expect((await failure(downloadFromHub(ID, optionsFor(hub)))).message).toMatch(/no usable etag/);
  });

  it('finds a disk without room before the download', async () => {
    const hub = await fakeHub(FILES);
    hub.intercept = ({ method, path }, response) => {
      const hit = method === 'HEAD' && path.endsWith('model.safetensors');
      if (hit)
        response.writeHead(200, { 'x-linked-etag': `"${'a'.repeat(64)}"`, 'x-linked-size': 2 ** 52 }).end();
      return hit;
    };
    const error = await failure(downloadFromHub(ID, optionsFor(hub)));
    expect(error.message).toMatch(/takes 4503599627\d+ bytes, the disk of the cache .* free/);
    expect(bodies(hub)).toEqual([]);
  });

  it('follows the Hub to a renamed repository', async () => {
    const hub = await fakeHub(FILES);
    hub.intercept = ({ path }, response) => {
      if (!path.includes('old/old')) return false;
      response.writeHead(307, { location: path.replace('old/old', 'owner/name') }).end();
      return true;
    };
    const options = optionsFor(hub);
    const { path } = await downloadFromHub({ repository: 'old/old', revision: 'v1' }, options);
    expect(path).toBe(join(options.cacheDir, 'models--old--old', 'snapshots', COMMIT));
    expect(readFileSync(join(options.cacheDir, 'models--old--old', 'refs', 'v1'), 'utf8')).toBe(COMMIT);
  });

  it('gets shards by their index', async () => {
    const index = {
      weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
    };
    const { 'model.safetensors': _, ...small } = FILES;
    const shards = { 'model-00001-of-00002.safetensors': 'one', 'model-00002-of-00002.safetensors': 'two' };
    const hub = await fakeHub(
      {
        ...small,
        ...shards,
        'consolidated.safetensors': 'no',
        'model.safetensors.index.json': JSON.stringify(index),
      },
      Object.keys(shards),
    );
    const options = optionsFor(hub);
    const { path } = await downloadFromHub(ID, options);
    expect(readdirSync(path).filter((name) => name.endsWith('safetensors'))).toEqual(Object.keys(shards));
    await downloadFromHub(ID, { ...options, offline: true });
    rmSync(join(path, 'model-00002-of-00002.safetensors'));
    await expect(downloadFromHub(ID, { ...options, offline: true })).rejects.toThrow(/or not all of it/);
  });

  it('downloads once for two at a time, and takes over the lock of a process that is gone', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    const locks = join(options.cacheDir, '.locks', 'models--owner--name');
    mkdirSync(locks, { recursive: true });
    // no system gives out process ids as large as this
    writeFileSync(join(locks, `${sha256(WEIGHTS)}.persona-dpo.lock`), `2147483646 ${hostname()}`);
    await Promise.all([downloadFromHub(ID, options), downloadFromHub(ID, options)]);
    expect(hub.requests.filter(({ server }) => server === 'files')).toHaveLength(1);
  });
});

describe('without the network', () => {
  it('offline uses a complete download, and says what is missing otherwise', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    const error = await failure(downloadFromHub(ID, { ...options, offline: true }));
    expect(error.message).toMatch(/owner\/name@main is not in the cache .* HF_HUB_OFFLINE.*Download it once/);
    expect(isHubUnreachable(error)).toBe(true);
    expect(hub.requests).toEqual([]);
    const { path } = await downloadFromHub(ID, options);
    hub.requests.length = 0;
    expect(await downloadFromHub(ID, { ...options, offline: true })).toMatchObject({
      path,
      fromCacheOnly: true,
    });
    expect(await downloadFromHub({ ...ID, revision: COMMIT }, { ...options, offline: true })).toMatchObject({
      path,
    });
    expect(hub.requests).toEqual([]);
  });

  it('a Hub that cannot be reached is the same, after some tries', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    const { path } = await downloadFromHub(ID, options);
    const nobody = { ...options, endpoint: await nobodysAddress(), maxAttempts: 2 };
    expect(await downloadFromHub(ID, nobody)).toMatchObject({ path, fromCacheOnly: true });
    const error = await failure(downloadFromHub(ID, { ...nobody, cacheDir: temporaryFolder() }));
    expect(error.message).toMatch(/could not be had from http:\/\/127.0.0.1:\d+ in 2 tries: .*ECONNREFUSED/);
    expect(isHubUnreachable(error)).toBe(true);
  });
});

describe('resolveModel', () => {
  it('gets an id from the Hub', async () => {
    const hub = await fakeHub(FILES);
    const options = optionsFor(hub);
    const location = await resolveModel('owner/name@main', { hub: options });
    expect(location).toMatchObject({ kind: 'hf-folder', id: 'owner/name', revision: COMMIT });
    hub.intercept = (_, response) => {
      response.writeHead(404).end();
      return true;
    };
    // tests run in the package's folder
    await expect(resolveModel('tests/modles', { hub: options })).rejects.toThrow(
      /no such repository or revision on the Hub.*did you mean tests\/models, here\?/,
    );
    await expect(resolveModel('owner/name', { hub: { ...options, endpoint: 'ftp://x' } })).rejects.toThrow(
      /HF_ENDPOINT\) must be/,
    );
  });
});

describe('parseHubId', () => {
  it('takes owner/name and a revision, and nothing that could lead out of a folder', () => {
    expect(parseHubId('a/b.c-1')).toEqual({ repository: 'a/b.c-1', revision: 'main' });
    expect(parseHubId('a/b@refs/pr/1')).toEqual({ repository: 'a/b', revision: 'refs/pr/1' });
    for (const text of ['b', 'a/b/c', '../b', 'a/..', 'a/b@../x', 'a/b@', 'a b/c', '/a/b', 'a/b@/x']) {
      expect(parseHubId(text), text).toBeUndefined();
    }
  });
});

describe('hubOptionsFromEnvironment', () => {
  it("reads huggingface_hub's variables", () => {
    expect(hubOptionsFromEnvironment({ HOME: '/nowhere' })).toEqual({
      cacheDir: '/nowhere/.cache/huggingface/hub',
      offline: false,
    });
    expect(
      hubOptionsFromEnvironment({
        HOME: '/nowhere',
        HF_HOME: '~/hf',
        HF_ENDPOINT: 'http://mirror',
        HF_TOKEN: ' hf_x\n',
        HF_HUB_OFFLINE: 'YES',
      }),
    ).toEqual({ cacheDir: '/nowhere/hf/hub', endpoint: 'http://mirror', token: 'hf_x', offline: true });
    expect(hubOptionsFromEnvironment({ HF_HOME: '/a', HF_HUB_CACHE: '/b' }).cacheDir).toBe('/b');
    expect(hubOptionsFromEnvironment({ HOME: '/nowhere', XDG_CACHE_HOME: '/c' }).cacheDir).toBe(
      '/c/huggingface/hub',
    );
    expect(
      hubOptionsFromEnvironment({ HF_TOKEN: 'x', HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }).token,
    ).toBeUndefined();
    expect(DEFAULT_HUB_ENDPOINT).toMatch(/^https:/);
  });

  it('reads the token that a login left', () => {
    const home = temporaryFolder();
    writeFileSync(join(home, 'token'), 'hf_file\n');
    expect(hubOptionsFromEnvironment({ HF_HOME: home }).token).toBe('hf_file');
    expect(hubOptionsFromEnvironment({ HF_HOME: home, HF_TOKEN: 'hf_env' }).token).toBe('hf_env');
    expect(hubOptionsFromEnvironment({ HF_HOME: '/nowhere', HF_TOKEN_PATH: join(home, 'token') }).token).toBe(
      'hf_file',
    );
  });
});
