import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { expect, it } from 'vitest';
import { engineFolder } from '../../../src/data/conversations/engine-folder.js';
import { temporaryFolder } from './support.js';

const folder = temporaryFolder();

it('goes with its process: the next engine removes those of processes that are gone, and no others', async () => {
  const gone = spawnSync(process.execPath, ['-e', '']).pid;
  const names = {
    gone: `persona-dpo.${hostname()}.${gone}.AbC123`,
    alive: `persona-dpo.${hostname()}.${process.ppid}.AbC123`,
    elsewhere: `persona-dpo.another.example.${gone}.AbC123`,
    foreign: 'persona-dpo-notes',
  };
  for (const name of Object.values(names)) mkdirSync(folder.path(`${name}/slices`), { recursive: true });
  const made = await engineFolder(folder.path(''));
  const left = readdirSync(folder.path('')).map((name) => folder.path(name));
  expect(left.sort()).toEqual(
    [made, ...[names.alive, names.elsewhere, names.foreign].map((name) => folder.path(name))].sort(),
  );
});
