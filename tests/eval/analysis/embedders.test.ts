/** Vectors from a model on this machine, and from a server. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError, ConfigError, LlmApiError } from '../../../src/errors.js';
import { openLocalEmbedder } from '../../../src/eval/analysis/local-embedder.js';
import { serverEmbedder } from '../../../src/eval/analysis/server-embedder.js';
import { sendError, sendJson, startFakeServer } from '../../llm/fake-server.js';
import { letterIds, writeTinyBert } from './tiny-bert.js';

let folder: string;
let model: string;
let expected: (ids: readonly number[]) => number[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'persona-dpo-embedder-'));
  model = join(folder, 'bert');
  expected = writeTinyBert(model);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a BERT in safetensors', () => {
  it('becomes an ONNX file that gives the numbers of its arithmetic, padded or not', async () => {
    const cacheDir = join(folder, 'cache');
    const embedder = await openLocalEmbedder({ folder: model, cacheDir });
    const texts = ['a b c', 'x', 'q r s t'];
    const progress: number[] = [];
    const vectors = await embedder.embed(texts, { onProgress: (done) => progress.push(done) });
    for (const [i, text] of texts.entries()) {
      const values = expected(letterIds(text));
      expect(vectors[i]).toHaveLength(8);
      for (const [k, value] of values.entries()) expect(vectors[i]![k]).toBeCloseTo(value, 5);
    }
    expect(progress).toEqual([3]);
    // Six tokens are read: four letters between the special ones.
    const [long, cut] = await embedder.embed(['a b c d e f g', 'a b c d']);
    for (const [k, value] of cut!.entries()) expect(long![k]).toBeCloseTo(value, 5);
    await embedder.dispose();
    const made = readdirSync(cacheDir);
    expect(made).toHaveLength(1);
    expect(readdirSync(join(cacheDir, made[0]!, 'onnx')).sort()).toEqual(['model.onnx', 'model.onnx_data']);

    const again = await openLocalEmbedder({ folder: model, cacheDir });
    expect((await again.embed(['x']))[0]).toEqual(vectors[1]);
    await again.dispose();
    expect(readdirSync(cacheDir)).toEqual(made);
    // A folder with its ONNX file is taken as it is.
    const ready = await openLocalEmbedder({
      folder: join(cacheDir, made[0]!),
      cacheDir: join(folder, 'none'),
    });
    expect((await ready.embed(['x']))[0]).toEqual(vectors[1]);
    await ready.dispose();
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  it('is refused where it is none, or weights and configuration do not belong together', async () => {
    const cacheDir = join(folder, 'cache-of-broken');
    const changed = async (change: object) => {
      const broken = mkdtempSync(join(folder, 'broken-'));
      writeTinyBert(broken);
      const config = JSON.parse(readFileSync(join(broken, 'config.json'), 'utf8'));
      writeFileSync(join(broken, 'config.json'), JSON.stringify({ ...config, ...change }));
      return openLocalEmbedder({ folder: broken, cacheDir });
    };
    await expect(openLocalEmbedder({ folder, cacheDir })).rejects.toThrow(/expected config\.json in it/);
    await expect(changed({ model_type: 'llama' })).rejects.toThrow(/expected a BERT/);
    await expect(changed({ intermediate_size: 13 })).rejects.toThrow(
      /expected the shape \[13, 8\] of config\.json, got \[12, 8\]/,
    );
    await expect(changed({ num_hidden_layers: 2 })).rejects.toThrow(CheckpointError);
    expect(existsSync(cacheDir) ? readdirSync(cacheDir) : []).toEqual([]);
  });
});

describe('a server', () => {
  it('is asked for many texts at a time, again where it is busy, and vectors get length 1', async () => {
    const server = await startFakeServer(({ nth, body }, response) => {
      if (nth === 0) return sendError(response, 503);
      const input = body.input as string[];
      const data = input.map((text, index) => ({ index, embedding: [3 * text.length, 4 * text.length] }));
      return sendJson(response, 200, { data: data.reverse() });
    });
    try {
      const embedder = serverEmbedder({
        baseUrl: server.url,
        model: 'm',
        apiKey: 'key-1234',
        maxCharacters: 5,
      });
      const texts = Array.from({ length: 70 }, (_, i) => 'x'.repeat(1 + (i % 9)));
      const vectors = await embedder.embed(texts);
      expect(vectors).toHaveLength(70);
      for (const [x, y] of vectors) expect([x, y]).toEqual([expect.closeTo(0.6), expect.closeTo(0.8)]);
      expect(server.asked.map(({ body }) => (body.input as string[]).length)).toEqual([64, 64, 6]);
      expect(server.asked[0]).toMatchObject({ path: '/v1/embeddings', body: { model: 'm' } });
      expect(server.asked[0]!.headers.authorization).toBe('Bearer key-1234');
      expect(Math.max(...(server.asked[1]!.body.input as string[]).map(({ length }) => length))).toBe(5);
    } finally {
      await server.close();
    }
  });

  it('that refuses, or leaves vectors out, is an error that does not show the key', async () => {
    const server = await startFakeServer(({ nth }, response) =>
      nth === 0 ? sendError(response, 401, 'key-1234 is wrong') : sendJson(response, 200, { data: [] }),
    );
    try {
      const embedder = serverEmbedder({ baseUrl: server.url, model: 'm', apiKey: 'key-1234' });
      const error = await embedder.embed(['a']).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(LlmApiError);
      expect((error as Error).message).not.toContain('key-1234');
      await expect(embedder.embed(['a'])).rejects.toThrow(/usable vector/);
    } finally {
      await server.close();
    }
    expect(() => serverEmbedder({ baseUrl: 'localhost:8000', model: 'm' })).toThrow(ConfigError);
  });
});
