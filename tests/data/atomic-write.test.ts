import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAtomic, writeFileAtomic } from '../../src/data/atomic-write.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atomic-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('atomic files', () => {
  it('appear whole, at commit, in folders made for them', async () => {
    const path = join(folder, 'a/b/file');
    const file = await openAtomic(path);
    await file.write('one ');
    await file.write(Buffer.from('two'));
    expect(readdirSync(join(folder, 'a/b'))).not.toContain('file');
    await file.commit();
    expect(readFileSync(path, 'utf8')).toBe('one two');
    expect(readdirSync(join(folder, 'a/b'))).toEqual(['file']);
    await expect(file.write('more')).rejects.toThrow(/already closed/);
    await file.abort();
    expect(readFileSync(path, 'utf8')).toBe('one two');
  });

  it('leave the old file and nothing else when writing fails', async () => {
    const path = join(folder, 'file');
    await writeFileAtomic(path, 'old');
    function* failing() {
      yield 'half of the new';
      throw new Error('the source broke');
    }
    await expect(writeFileAtomic(path, failing())).rejects.toThrow('the source broke');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('can be written by two at once: one of them is there in the end, whole', async () => {
    const path = join(folder, 'file');
    const contents = ['a', 'b', 'c'].map((letter) => letter.repeat(100_000));
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
    expect(contents).toContain(readFileSync(path, 'utf8'));
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('fail where a folder is in their place, without leaving anything', async () => {
    await writeFileAtomic(join(folder, 'taken/x'), '');
    await expect(writeFileAtomic(join(folder, 'taken'), 'text')).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['taken']);
  });
});
