import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parsePromptRow, readPrompts } from '../../src/data/prompt-rows.js';

const folder = mkdtempSync(join(tmpdir(), 'prompts-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, ...rows: unknown[]): string {
  const path = join(folder, name);
  writeFileSync(path, rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join(''));
  return path;
}

const hello = [{ role: 'user', content: 'hello' }];

describe('rows of prompts', () => {
  it('have messages or a text, and what is known of the user', () => {
    expect(parsePromptRow({ prompt: hello, persona: 'brief', user: 7, id: 'a', chosen: [] })).toEqual({
      ...{ id: 'a', prompt: hello, persona: 'brief', user: '7' },
    });
    expect(parsePromptRow({ prompt: 'hello' })).toEqual({
      ...{ id: expect.stringMatching(/^[0-9a-f]{16}$/), prompt: hello },
    });
  });

  it('without an id are named by all of their content', () => {
    const ids = [{ prompt: hello }, { prompt: hello, persona: 'brief' }, { prompt: hello, user: 'u' }].map(
      (row) => parsePromptRow(row).id,
    );
    expect(new Set(ids).size).toBe(3);
    expect(parsePromptRow({ prompt: 'hello' }).id).toBe(ids[0]);
  });

  it.each([
    [7, /expected a JSON object, got number 7/],
    [{}, /expected the key "prompt"/],
    [{ prompt: [] }, /at least one message/],
    [{ prompt: 5 }, /prompt: expected a list of messages, got number 5/],
    [{ prompt: [...hello, { role: 'assistant', content: 'hi' }] }, /last message to be to the assistant/],
    [{ prompt: [{ role: 'system', content: 'be kind' }] }, /a message of the user/],
    [{ prompt: '  ' }, /with words in it/],
    [{ prompt: hello, persona: ['x'] }, /persona: expected a string/],
  ])('%j is a bad row', (row, message) => {
    expect(() => parsePromptRow(row)).toThrow(message);
  });

  it('are read with their lines; bad ones are set aside', async () => {
    const quarantinePath = join(folder, 'quarantine.jsonl');
    const file = fileOf('mixed.jsonl', { prompt: 'a' }, 'no json', { prompt: 'b' });
    const { prompts, bad, total } = await readPrompts(file, { quarantinePath, maxBadRowShare: 0.5 });
    expect(prompts.map(({ line, row }) => [line, row.prompt[0]?.content])).toEqual([
      [1, 'a'],
      [3, 'b'],
    ]);
    expect(bad).toEqual([{ file, line: 2, reason: expect.stringContaining('not valid JSON') }]);
    expect(total).toBe(3);
    expect(JSON.parse(readFileSync(quarantinePath, 'utf8'))).toMatchObject({ line: 2, raw: 'no json' });
    await expect(readPrompts(file)).rejects.toThrow(/1 of 3 rows/);
    await expect(readPrompts(fileOf('empty.jsonl'))).rejects.toThrow(/at least one row/);
  });
});
