import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  configuredIndexUrl,
  installHome,
  locateSmolLm2,
  locateTensorflow,
  modelFolder,
  tensorflowFolder,
  tensorflowLibraryNames,
} from '../../../src/runtime/install/location.js';
import { hasNvidiaDriver } from '../../../src/runtime/install/nvidia-driver.js';
import { placeFolder } from '../../../src/runtime/install/placed-folder.js';
import { locateTfjsNodeGpu } from '../../../src/runtime/install/tfjs-node-gpu.js';
import { temporaryFolder } from './temporary-folder.js';

function environment(variables: Record<string, string>): void {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

async function placeLibraries(folder: string): Promise<void> {
  await placeFolder(folder, async (empty) => {
    mkdirSync(join(empty, 'tensorflow'));
    for (const name of tensorflowLibraryNames()) writeFileSync(join(empty, 'tensorflow', name), name);
  });
}

describe('the home of what setup fetches', () => {
  it('is PERSONA_DPO_HOME, else the cache folder', () => {
    environment({ PERSONA_DPO_HOME: '/some/where', XDG_CACHE_HOME: '/cache', PIP_INDEX_URL: '' });
    expect(installHome()).toBe('/some/where');
    environment({ PERSONA_DPO_HOME: '' });
    const isMac = process.platform === 'darwin';
    expect(installHome()).toBe(isMac ? join(homedir(), 'Library/Caches/persona-dpo') : '/cache/persona-dpo');
    expect(configuredIndexUrl()).toBeUndefined();
  });
});

describe('TensorFlow', () => {
  it('is found only where a whole build lies', async () => {
    environment({ PERSONA_DPO_TENSORFLOW_DIR: '' });
    const home = temporaryFolder();
    expect(locateTensorflow({ home })).toBeUndefined();
    const folder = tensorflowFolder(home, 'cpu');
    mkdirSync(join(folder, 'tensorflow'), { recursive: true });
    for (const name of tensorflowLibraryNames()) writeFileSync(join(folder, 'tensorflow', name), 'half');
    expect(locateTensorflow({ home })).toBeUndefined();
    await placeLibraries(folder);
    expect(locateTensorflow({ home })).toBe(join(folder, 'tensorflow'));
    rmSync(join(folder, 'tensorflow', tensorflowLibraryNames()[1]));
    expect(locateTensorflow({ home })).toBeUndefined();
  });

  it('is taken for the device asked for, or whichever is there', async () => {
    environment({ PERSONA_DPO_TENSORFLOW_DIR: '' });
    const home = temporaryFolder();
    await placeLibraries(tensorflowFolder(home, 'cuda'));
    expect(locateTensorflow({ home, device: 'cpu' })).toBeUndefined();
    expect(locateTensorflow({ home, device: 'cuda' })).toBe(
      join(tensorflowFolder(home, 'cuda'), 'tensorflow'),
    );
    expect(locateTensorflow({ home })).toBe(join(tensorflowFolder(home, 'cuda'), 'tensorflow'));
    await placeLibraries(tensorflowFolder(home, 'cpu'));
    const preferred = hasNvidiaDriver() ? 'cuda' : 'cpu';
    expect(locateTensorflow({ home })).toBe(join(tensorflowFolder(home, preferred), 'tensorflow'));
  });

  it('is taken from the folder that the user names, or the error names that folder', () => {
    const folder = temporaryFolder();
    environment({ PERSONA_DPO_TENSORFLOW_DIR: folder });
    expect(() => locateTensorflow()).toThrow(
      new RegExp(`PERSONA_DPO_TENSORFLOW_DIR names ${folder}, which does not`),
    );
    for (const name of tensorflowLibraryNames()) writeFileSync(join(folder, name), '');
    expect(locateTensorflow()).toBe(folder);
    const parent = temporaryFolder();
    mkdirSync(join(parent, 'tensorflow'));
    for (const name of tensorflowLibraryNames()) writeFileSync(join(parent, 'tensorflow', name), '');
    expect(locateTensorflow({ override: parent })).toBe(join(parent, 'tensorflow'));
  });
});

describe('the rest', () => {
  it('the small model is found only whole', async () => {
    const home = temporaryFolder();
    expect(locateSmolLm2({ home })).toBeUndefined();
    await placeFolder(modelFolder(home), async (empty) =>
      writeFileSync(join(empty, 'SmolLM2-135M-Instruct.Q4_1.gguf'), 'GGUF'),
    );
    expect(locateSmolLm2({ home })).toBe(join(modelFolder(home), 'SmolLM2-135M-Instruct.Q4_1.gguf'));
  });

  it('a driver is told by its files', () => {
    const folder = temporaryFolder();
    expect(hasNvidiaDriver([join(folder, 'a'), folder])).toBe(true);
    expect(hasNvidiaDriver([join(folder, 'a')])).toBe(false);
  });

  it('the kernels are found in this repository’s own packages, which use the same tfjs', () => {
    expect(locateTfjsNodeGpu({ home: temporaryFolder() })).toMatch(
      /node_modules\/@tensorflow\/tfjs-node-gpu$/,
    );
  });
});
