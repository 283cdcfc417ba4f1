import { readFileSync, statSync } from 'node:fs';
import { CheckpointError } from '../errors.js';
import { reasonOf } from './file-reading.js';

/** A configuration of a model is a few kilobytes; a tokenizer's file is not read here. */
const DEFAULT_MAX_BYTES = 10_000_000;

export interface ReadJsonOptions {
  /** Larger files are refused unread. Default: 10 MB. */
  maxBytes?: number;
}

/** A JSON file that holds an object, or a CheckpointError that names file and problem. */
export function readJsonFile(
  path: string,
  { maxBytes = DEFAULT_MAX_BYTES }: ReadJsonOptions = {},
): Record<string, unknown> {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > maxBytes) {
      throw new CheckpointError(
        `${path} has ${size} bytes; at most ${maxBytes} were expected of such a file.`,
      );
    }
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(`${path} cannot be read: ${reasonOf(cause)}.`, { details: { path }, cause });
  }
  let value: unknown;
  try {
    // some editors and exporters put a byte order mark first
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new CheckpointError(`${path} is not JSON: ${reasonOf(cause)}.`, { details: { path }, cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${path} holds no JSON object.`, { details: { path } });
  }
  return value as Record<string, unknown>;
}
