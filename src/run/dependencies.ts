/** What has changed since a stage was done: its options, templates, model, code or inputs, in words. */

import { isDeepStrictEqual } from 'node:util';
import { toFileName } from '../train/option-names.js';
import type { Dependencies } from './manifest.js';
import { isSameModel } from './weights-mark.js';

/** One thing that differs. `input` names the input where it is one. */
export interface Change {
  text: string;
  input?: string;
}

/** Longest value that is shown in full. */
const MAX_SHOWN = 40;

/** Whether nothing has changed that is known to be another. */
export function isSameWork(before: Dependencies, now: Dependencies): boolean {
  return isSameModel(before.model, now.model) && isDeepStrictEqual({ ...before, model: now.model }, now);
}

/** The differences between what a stage was done with and what it would be done with now. */
export function changesBetween(before: Dependencies, now: Dependencies): Change[] {
  const changes: Change[] = [];
  if (before.version !== now.version) {
    changes.push({ text: 'this version of the package does it otherwise' });
  }
  const [options, newOptions] = [flatten(before.options), flatten(now.options)];
  for (const name of keysOf(options, newOptions)) {
    const [from, to] = [options.get(name), newOptions.get(name)];
    if (from !== to) changes.push({ text: `${name} ${shown(from)} -> ${shown(to)}` });
  }
  for (const name of keysOf(entries(before.templates), entries(now.templates))) {
    if (before.templates[name] !== now.templates[name]) {
      changes.push({ text: `the ${name} template has changed` });
    }
  }
  if (!isSameModel(before.model, now.model)) {
    changes.push({ text: `the model has changed: ${shown(before.model)} -> ${shown(now.model)}` });
  }
  for (const name of keysOf(entries(before.inputs), entries(now.inputs))) {
    const [from, to] = [before.inputs[name], now.inputs[name]];
    if (from === to) continue;
    const text = from === undefined ? 'is new' : to === undefined ? 'is no longer used' : 'has changed';
    changes.push({ text: `${name} ${text}`, input: name });
  }
  return changes;
}

function keysOf(...maps: ReadonlyMap<string, unknown>[]): string[] {
  return [...new Set(maps.flatMap((map) => [...map.keys()]))];
}

const entries = (record: Readonly<Record<string, string>>) => new Map(Object.entries(record));

/** Options by their names in files, those in sections as `section.name`, with their values as JSON. */
function flatten(value: unknown, prefix = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Map([[prefix, JSON.stringify(value)]]);
  }
  const flat = new Map<string, string>();
  for (const [key, item] of Object.entries(value)) {
    const name = prefix === '' ? toFileName(key) : `${prefix}.${toFileName(key)}`;
    for (const [inner, text] of flatten(item, name)) flat.set(inner, text);
  }
  return flat;
}

function shown(value: string | null | undefined): string {
  if (value === undefined || value === null) return 'none';
  return value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}...` : value;
}
