/** What lies compressed in the page: base64 of gzipped JSON, unpacked when it is asked for and then kept. */

import { gunzip } from './inflate.js';

const unpacked = new Map<string, Promise<unknown>>();

/** The JSON in the element of this id. */
export function unpack<Value>(id: string): Promise<Value> {
  const known = unpacked.get(id);
  if (known !== undefined) return known as Promise<Value>;
  const value = readElement(id);
  unpacked.set(id, value);
  return value as Promise<Value>;
}

async function readElement(id: string): Promise<unknown> {
  const text = document.getElementById(id)?.textContent ?? '';
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await decompress(packed)));
}

async function decompress(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array | ArrayBuffer> {
  if (typeof DecompressionStream === 'undefined') return gunzip(packed);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return await new Response(stream).arrayBuffer();
}

/** The JSON in an element that is not compressed. */
export function readJson<Value>(id: string): Value {
  return JSON.parse(document.getElementById(id)?.textContent ?? 'null') as Value;
}
