import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Source } from '../../../src/runtime/install/obtain-file.js';
import { isNeededForTensorflow } from '../../../src/runtime/install/pinned-files.js';
import { placeWheels } from '../../../src/runtime/install/place-wheels.js';
import { isWhole } from '../../../src/runtime/install/placed-folder.js';
import type { InstallProgress } from '../../../src/runtime/install/progress.js';
import { type FakeWheel, makeWheel, startIndex } from './fake-index.js';
import { temporaryFolder } from './temporary-folder.js';

const tensorflow = makeWheel('fake-tensorflow', {
  'tensorflow/libtensorflow_cc.so.2': 'C'.repeat(3000),
  'tensorflow/libtensorflow_framework.so.2': 'F'.repeat(2000),
  'tensorflow/python/big.so': 'not needed',
});
const nvidia = makeWheel('fake-nvidia-cu12', {
  'nvidia/cuda_nvcc/bin/ptxas': 'a program',
  'nvidia/cublas/lib/libcublas.so.12': 'a library',
  'nvidia/cublas/include/cublas.h': 'a header',
});
const required = ['tensorflow/libtensorflow_cc.so.2', 'nvidia/cuda_nvcc/bin/ptxas'];

function placeIn(
  home: string,
  source: Source,
  { wheels = [tensorflow, nvidia], unpackedBytes = 10_000 } = {},
) {
  const progress: InstallProgress[] = [];
  const content = {
    wheels: wheels.map(({ wheel }) => wheel),
    place: (path: string) => (isNeededForTensorflow(path) ? path : undefined),
    required,
    unpackedBytes,
  };
  const options = {
    source,
    downloads: join(home, 'downloads'),
    onProgress: (p: InstallProgress) => progress.push(p),
  };
  return { progress, placed: placeWheels(join(home, 'tensorflow', 'build'), content, options) };
}

async function serve(wheels: FakeWheel[] = [tensorflow, nvidia]) {
  const index = await startIndex(wheels);
  onTestFinished(() => index.close());
  return index;
}

describe('wheels from an index, without pip', () => {
  it('become a folder with the libraries, and the downloads go', async () => {
    const home = temporaryFolder();
    const { placed, progress } = placeIn(home, { indexUrl: (await serve()).url });
    expect(await placed).toBe(true);
    const folder = join(home, 'tensorflow', 'build');
    expect(isWhole(folder)).toBe(true);
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((e) => e.isFile());
    expect(files.map(({ name }) => name).sort()).toEqual([
      'installed.json',
      'libcublas.so.12',
      'libtensorflow_cc.so.2',
      'libtensorflow_framework.so.2',
      'ptxas',
    ]);
    expect(readFileSync(join(folder, 'tensorflow/libtensorflow_cc.so.2'), 'utf8')).toBe('C'.repeat(3000));
    expect(statSync(join(folder, 'nvidia/cuda_nvcc/bin/ptxas')).mode & 0o111).not.toBe(0);
    expect(readdirSync(join(home, 'downloads'))).toEqual([]);
    expect([...new Set(progress.map(({ phase }) => phase))]).toEqual(['download', 'verify', 'unpack']);
    expect(progress.at(-1)).toEqual({
      phase: 'unpack',
      label: expect.stringMatching(/\(2 of 2\)$/),
      done: 18,
      total: 18,
    });
  });

  it('are not fetched again when the second one fails and setup is run again', async () => {
    const home = temporaryFolder();
    const half = await serve([tensorflow]);
    await expect(placeIn(home, { indexUrl: half.url }).placed).rejects.toThrow(/answered 404.*fake-nvidia/);
    expect(existsSync(join(home, 'tensorflow', 'build'))).toBe(false);
    const whole = await serve();
    expect(await placeIn(home, { indexUrl: whole.url }).placed).toBe(true);
    expect([half.requests.length, whole.requests.length]).toEqual([1, 1]);
  });

  it('with another digest are refused, and fetched anew by the next try', async () => {
    const home = temporaryFolder();
    const { url, requests } = await serve();
    const wrong = { ...tensorflow, wheel: { ...tensorflow.wheel, sha256: 'ab'.repeat(32) } };
    for (const count of [1, 2]) {
      await expect(placeIn(home, { indexUrl: url }, { wheels: [wrong] }).placed).rejects.toThrow(
        new RegExp(`sha256 is ${tensorflow.wheel.sha256}, and abab.* was pinned for fake-tensorflow 1\\.0`),
      );
      expect(requests).toHaveLength(count);
    }
    expect(readdirSync(join(home, 'downloads'))).toEqual([]);
    expect(readdirSync(join(home, 'tensorflow'))).toEqual([]);
  });

  it('that lack what is needed are refused', async () => {
    const { placed } = placeIn(
      temporaryFolder(),
      { indexUrl: (await serve()).url },
      { wheels: [tensorflow] },
    );
    await expect(placed).rejects.toThrow(/no nvidia\/cuda_nvcc\/bin\/ptxas/);
  });

  it('that do not fit on the disk are refused before a byte is fetched', async () => {
    const { url, requests } = await serve();
    const { placed } = placeIn(temporaryFolder(), { indexUrl: url }, { unpackedBytes: 1e18 });
    await expect(placed).rejects.toThrow(/free, and about 1000000000\.0 GB are needed.*PERSONA_DPO_HOME/);
    expect(requests).toEqual([]);
  });

  it('need an index: the error says what can be done', async () => {
    await expect(placeIn(temporaryFolder(), {}).placed).rejects.toThrow(
      /Install pip, or set PIP_INDEX_URL.*--from/,
    );
  });

  it('that are no zip archives are refused', async () => {
    const data = Buffer.from('<html>a login page</html>');
    const { createHash } = await import('node:crypto');
    const sha256 = createHash('sha256').update(data).digest('hex');
    const page = { data, wheel: { ...tensorflow.wheel, bytes: data.length, sha256 } };
    const { placed } = placeIn(
      temporaryFolder(),
      { indexUrl: (await serve([page])).url },
      { wheels: [page] },
    );
    await expect(placed).rejects.toThrow(/could not be unpacked/);
  });
});

describe('wheels from a folder', () => {
  it('are used where they lie and stay there', async () => {
    const [home, from] = [temporaryFolder(), temporaryFolder()];
    mkdirSync(join(from, 'wheels'));
    for (const { wheel, data } of [tensorflow, nvidia]) writeFileSync(join(from, 'wheels', wheel.file), data);
    const { placed, progress } = placeIn(home, { from });
    expect(await placed).toBe(true);
    expect(progress.some(({ phase }) => phase === 'download')).toBe(false);
    expect(readdirSync(join(from, 'wheels'))).toHaveLength(2);
    expect(isWhole(join(home, 'tensorflow', 'build'))).toBe(true);
  });

  it('are checked, and their absence is told by name', async () => {
    const [home, from] = [temporaryFolder(), temporaryFolder()];
    await expect(placeIn(home, { from }).placed).rejects.toThrow(/does not hold fake_tensorflow-1\.0.*\.whl/);
    writeFileSync(join(from, tensorflow.wheel.file), Buffer.concat([tensorflow.data, Buffer.from('x')]));
    await expect(placeIn(home, { from }).placed).rejects.toThrow(/is not the file expected/);
    expect(existsSync(join(from, tensorflow.wheel.file))).toBe(true);
    await expect(placeIn(home, { from: join(from, 'nowhere') }).placed).rejects.toThrow(/cannot be read/);
  });
});

describe('wheels through pip', () => {
  /** A `python3` on the PATH that plays pip: it copies files of a folder and writes down how it was called. */
  function playPip(wheels: readonly FakeWheel[]): { log: string } {
    const bin = temporaryFolder();
    for (const { wheel, data } of wheels) writeFileSync(join(bin, wheel.file), data);
    const script = `#!/bin/sh
echo "$@" >> '${bin}/log'
[ "$3" = --version ] && exit 0
while [ $# -gt 1 ]; do [ "$1" = --dest ] && dest="$2"; shift; done
name=$(echo "\${1%%==*}" | tr - _)
cp '${bin}'/"$name"-*.whl "$dest"/ 2>/dev/null || { echo "ERROR: No matching distribution found for $1" >&2; exit 1; }
`;
    writeFileSync(join(bin, 'python3'), script, { mode: 0o755 });
    vi.stubEnv('PATH', `${bin}:/usr/bin:/bin`);
    onTestFinished(() => void vi.unstubAllEnvs());
    return { log: join(bin, 'log') };
  }

  it('are asked for by version and platform, whatever Python runs pip', async () => {
    const { findPip } = await import('../../../src/runtime/install/pip.js');
    const { log } = playPip([tensorflow, nvidia]);
    const pip = await findPip();
    expect(pip).toEqual(['python3', '-m', 'pip']);
    const home = temporaryFolder();
    expect(await placeIn(home, { pip, indexUrl: 'http://127.0.0.1:9/never-asked' }).placed).toBe(true);
    const calls = readFileSync(log, 'utf8').trim().split('\n');
    expect(calls[1]).toMatch(
      /^-m pip download .*--no-deps --only-binary=:all: --python-version 3\.11 .*fake-tensorflow==1\.0$/,
    );
    expect(readdirSync(join(home, 'downloads'))).toEqual([]);
  });

  it('that pip cannot get end in pip’s own words', async () => {
    const { findPip } = await import('../../../src/runtime/install/pip.js');
    playPip([]);
    const { placed } = placeIn(temporaryFolder(), { pip: await findPip() });
    await expect(placed).rejects.toThrow(
      /could not download fake-tensorflow==1\.0 .*\n.*No matching distribution/,
    );
  });

  it('is told from a machine without pip', async () => {
    const { findPip } = await import('../../../src/runtime/install/pip.js');
    vi.stubEnv('PATH', temporaryFolder());
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await findPip()).toBeUndefined();
  });
});
