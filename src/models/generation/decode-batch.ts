/** Sequences that are decoded together: where each stands, and the keys and values of all layers. */

import { callNamedAsync } from '../../runtime/named-function.js';
import { disposeAll, keep, scope, type Tensor, tensor } from '../../runtime/tensor.js';
import { zeros } from '../../runtime/tensor-ops.js';
import { layerInput } from './functions.js';
import {
  concatPrompts,
  type GenerationModel,
  gatherRows,
  type PromptCache,
  padAxis,
} from './prompt-cache.js';
import { type Scores, scoresOf } from './scores.js';

interface Sequence {
  /** Index among the batch's prompts. */
  prompt: number;
  /** Own tokens in the cache. */
  steps: number;
}

/** Room for own tokens that a batch begins with, and the least it grows by. */
const ROOM = 32;

/** Room grows by a quarter, in whole vectors of keys. */
const nextRoom = (room: number) => Math.max(room + ROOM, 8 * Math.ceil((room * 1.25) / 8));

/**
 * A batch of sequences, each of which goes on from one of P prompts. The prompts' caches are shared; each sequence
 * has a place for its own tokens, `[KV, B, room, hd]` a layer, which grows as they come. Sequences leave when they
 * have ended, and others take their places.
 */
export class DecodeBatch {
  readonly #loaded: GenerationModel;
  #prompts: Omit<PromptCache, 'hidden'> = { keys: [], values: [], lengths: [] };
  #sequences: Sequence[] = [];
  #own: { keys: Tensor[]; values: Tensor[] } | null = null;
  #room = 0;

  constructor(loaded: GenerationModel) {
    this.#loaded = loaded;
  }

  get size(): number {
    return this.#sequences.length;
  }

  /** Room for own tokens in the caches, and the bytes of all caches; for tests and reports. */
  get memory(): { room: number; bytes: number } {
    const own = this.#own === null ? [] : [...this.#own.keys, ...this.#own.values];
    const tensors = [...this.#prompts.keys, ...this.#prompts.values, ...own];
    return { room: this.#room, bytes: tensors.reduce((bytes, { byteLength }) => bytes + byteLength, 0) };
  }

  /**
   * Lets sequences in, behind those that are there. Takes over `prompts`.
   *
   * @param promptOfSequence The prompt of each, among `prompts`; sequences of one prompt stand side by side.
   * @returns the scores of the token after each of the prompts, one row a prompt; the caller disposes them.
   */
  async add(prompts: PromptCache, promptOfSequence: readonly number[]): Promise<Scores> {
    const { hidden, ...caches } = prompts;
    const scores = await this.#promptScores(hidden).catch((error) => {
      disposeAll(caches);
      throw error;
    });
    const before = this.#prompts.lengths.length;
    this.#joinPrompts(caches);
    if (this.#own !== null) {
      for (const own of [this.#own.keys, this.#own.values]) {
        replaceEach(own, (cache) => padAxis(cache, 1, this.size + promptOfSequence.length));
      }
    }
    this.#sequences.push(...promptOfSequence.map((prompt) => ({ prompt: before + prompt, steps: 0 })));
    return scores;
  }

  /**
   * Puts one token after each sequence, and scores the next; one row a sequence. The caller disposes the scores.
   *
   * @param ids The tokens, in the order of the sequences
   */
  async step(ids: Int32Array): Promise<Scores> {
    const { model, functions, head32 } = this.#loaded;
    const longest = this.#sequences.reduce((most, { steps }) => Math.max(most, steps), 0);
    if (longest >= this.#room) this.#grow();
    const places = this.#places();
    const { frequencies } = model;
    const { embedding, finalNorm } = model.weights;
    const scores = await scope(async () => {
      const int32s = (values: readonly number[] | Int32Array) => tensor('int32', [values.length], values);
      const sequences = this.#sequences;
      const inputs: Record<string, Tensor> = {
        ids: int32s(ids),
        positions: int32s(sequences.map(({ prompt, steps }) => this.#prompts.lengths[prompt]! + steps)),
        steps: int32s(sequences.map(({ steps }) => steps)),
        slots: int32s(this.#slots()),
        promptOfSequence: int32s(sequences.map(({ prompt }) => prompt)),
        promptLengths: int32s(this.#prompts.lengths),
        ...(places !== null && {
          sequenceAtPlace: int32s(places.sequenceAtPlace),
          placeOfSequence: int32s(places.placeOfSequence),
        }),
        ...{ frequencies, embedding, finalNorm, head32 },
        ...this.#layerInputs(),
      };
      const run = places === null ? functions.step : functions.stepByPlace;
      return scoresOf(await callNamedAsync(run, inputs), functions.weights);
    });
    for (const sequence of this.#sequences) sequence.steps++;
    return scores;
  }

  /** Keeps the sequences `indices` (ascending), and the prompts that any of them needs. */
  keepSequences(indices: readonly number[]): void {
    if (indices.length === 0) {
      this.dispose();
      return;
    }
    const kept = indices.map((index) => this.#sequences[index]!);
    if (this.#own !== null) {
      for (const caches of [this.#own.keys, this.#own.values]) {
        replaceEach(caches, (cache) => gatherRows(cache, indices, 1));
      }
    }
    const prompts = [...new Set(kept.map(({ prompt }) => prompt))];
    if (prompts.length < this.#prompts.lengths.length) {
      this.#keepPrompts(prompts);
      for (const sequence of kept) sequence.prompt = prompts.indexOf(sequence.prompt);
    }
    this.#sequences = kept;
  }

  /** Frees all caches; the batch is empty then, and can be used again. */
  dispose(): void {
    disposeAll([this.#prompts, this.#own?.keys, this.#own?.values]);
    this.#prompts = { keys: [], values: [], lengths: [] };
    this.#sequences = [];
    this.#own = null;
    this.#room = 0;
  }

  /** Scores from the last hidden state of each prompt, which is freed. */
  async #promptScores(hidden: Tensor): Promise<Scores> {
    const { model, functions, head32 } = this.#loaded;
    try {
      return await scope(async () => {
        const count = hidden.shape[0] as number;
        const rows = tensor(
          'int32',
          [count],
          Int32Array.from({ length: count }, (_, i) => i),
        );
        const inputs = { hidden, rows, finalNorm: model.weights.finalNorm, head32 };
        return scoresOf(await callNamedAsync(functions.scores, inputs), functions.weights);
      });
    } finally {
      hidden.dispose();
    }
  }

  #joinPrompts(added: Omit<PromptCache, 'hidden'>): void {
    if (this.#prompts.lengths.length === 0) {
      this.#prompts = { ...added, lengths: [...added.lengths] };
      return;
    }
    const { keys, values, lengths } = this.#prompts;
    for (const [caches, others] of [
      [keys, added.keys],
      [values, added.values],
    ] as const) {
      let layer = 0;
      replaceEach(caches, (cache) => concatPrompts([cache, others[layer++]!]));
      disposeAll(others);
    }
    lengths.push(...added.lengths);
  }

  #keepPrompts(prompts: readonly number[]): void {
    const { keys, values, lengths } = this.#prompts;
    for (const caches of [keys, values]) replaceEach(caches, (cache) => gatherRows(cache, prompts, 1));
    lengths.splice(0, lengths.length, ...prompts.map((prompt) => lengths[prompt]!));
  }

  #grow(): void {
    const { numLayers, numKeyValueHeads, headDim } = this.#loaded.model.config;
    const room = nextRoom(this.#room);
    if (this.#own === null) {
      const shape = [numKeyValueHeads, this.#sequences.length, room, headDim];
      // Not just unwritten memory: a masked key of NaN would still make its sequence NaN.
      const caches = () =>
        Array.from({ length: numLayers }, () => scope(() => keep(zeros(this.#loaded.model.dtype, shape))));
      this.#own = { keys: caches(), values: caches() };
    } else {
      for (const caches of [this.#own.keys, this.#own.values]) {
        replaceEach(caches, (cache) => padAxis(cache, 2, room));
      }
    }
    this.#room = room;
  }

  /** Where the new tokens' keys go, for each key/value head and sequence. */
  #slots(): Int32Array {
    const { numKeyValueHeads } = this.#loaded.model.config;
    const slots = new Int32Array(numKeyValueHeads * this.#sequences.length);
    for (let i = 0; i < slots.length; i++) {
      slots[i] = i * this.#room + this.#sequences[i % this.#sequences.length]!.steps;
    }
    return slots;
  }

  /** Null where each prompt has equally many sequences: then the places of all prompts are the sequences in order. */
  #places(): { sequenceAtPlace: Int32Array; placeOfSequence: Int32Array } | null {
    const counts = new Int32Array(this.#prompts.lengths.length);
    for (const { prompt } of this.#sequences) counts[prompt] = counts[prompt]! + 1;
    const most = Math.max(...counts);
    if (counts.every((count) => count === most)) return null;
    const sequenceAtPlace = new Int32Array(counts.length * most);
    const taken = new Int32Array(counts.length);
    const placeOfSequence = Int32Array.from(this.#sequences, ({ prompt }, index) => {
      const place = prompt * most + taken[prompt]!;
      taken[prompt] = taken[prompt]! + 1;
      sequenceAtPlace[place] = index;
      return place;
    });
    return { sequenceAtPlace, placeOfSequence };
  }

  #layerInputs(): Record<string, Tensor> {
    const { model, factors, copies } = this.#loaded;
    const inputs: Record<string, Tensor> = {};
    for (let i = 0; i < model.config.numLayers; i++) {
      const ofLayer = {
        ...model.layerInputs(i, null),
        ...copies[i],
        ...factors[i],
        promptKeys: this.#prompts.keys[i]!,
        promptValues: this.#prompts.values[i]!,
        ownKeys: this.#own!.keys[i]!,
        ownValues: this.#own!.values[i]!,
      };
      for (const [name, value] of Object.entries(ofLayer)) inputs[layerInput(i, name)] = value;
    }
    return inputs;
  }
}

/** One after the other, so that only one tensor exists twice at a time. */
function replaceEach(tensors: Tensor[], make: (old: Tensor) => Tensor): void {
  tensors.forEach((old, i) => {
    const made = scope(() => keep(make(old)));
    old.dispose();
    tensors[i] = made;
  });
}
