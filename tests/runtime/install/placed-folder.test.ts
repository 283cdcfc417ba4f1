import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isWhole, placeFolder } from '../../../src/runtime/install/placed-folder.js';
import { temporaryFolder } from './temporary-folder.js';

const fill = async (folder: string) => {
  mkdirSync(join(folder, 'deep'));
  writeFileSync(join(folder, 'deep', 'library.so'), 'some bytes');
  writeFileSync(join(folder, 'other'), 'more');
};

describe('a placed folder', () => {
  it('is there after, and not filled again', async () => {
    const folder = join(temporaryFolder(), 'a', 'tensorflow');
    expect(isWhole(folder)).toBe(false);
    expect(await placeFolder(folder, fill)).toBe(true);
    expect(isWhole(folder)).toBe(true);
    expect(await placeFolder(folder, () => Promise.reject(new Error('again')))).toBe(false);
    expect(readdirSync(join(folder, '..'))).toEqual(['tensorflow']);
  });

  it('is absent and clean after a failure', async () => {
    const parent = temporaryFolder();
    const broken = async (folder: string) => {
      await fill(folder);
      throw new Error('the wheel is damaged');
    };
    await expect(placeFolder(join(parent, 'x'), broken)).rejects.toThrow('the wheel is damaged');
    expect(readdirSync(parent)).toEqual([]);
  });

  it.each([
    ['an unpacked folder without its list', (f: string) => rmSync(join(f, 'installed.json'))],
    ['a missing file', (f: string) => rmSync(join(f, 'deep', 'library.so'))],
    ['a cut file', (f: string) => truncateSync(join(f, 'deep', 'library.so'), 3)],
    ['a list that is no list', (f: string) => writeFileSync(join(f, 'installed.json'), '{')],
  ])('with %s is not whole, and is replaced', async (_name, damage) => {
    const folder = join(temporaryFolder(), 'x');
    await placeFolder(folder, fill);
    damage(folder);
    expect(isWhole(folder)).toBe(false);
    expect(await placeFolder(folder, fill)).toBe(true);
    expect(isWhole(folder)).toBe(true);
    expect(readFileSync(join(folder, 'deep', 'library.so'), 'utf8')).toBe('some bytes');
  });

  it('removes what a killed process left', async () => {
    const parent = temporaryFolder();
    mkdirSync(join(parent, 'x.building-abc', 'deep'), { recursive: true });
    await placeFolder(join(parent, 'x'), fill);
    expect(readdirSync(parent)).toEqual(['x']);
  });

  it('is replaced by force, and old files do not stay', async () => {
    const folder = join(temporaryFolder(), 'x');
    await placeFolder(folder, fill);
    const other = async (empty: string) => writeFileSync(join(empty, 'new'), '1');
    expect(await placeFolder(folder, other, { force: true })).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['installed.json', 'new']);
    expect(existsSync(join(folder, 'other'))).toBe(false);
  });
});
