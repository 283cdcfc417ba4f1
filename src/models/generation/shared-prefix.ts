/** The tokens with which many prompts begin (a chat template's, a long instruction's): computed once for all of them. */

import { disposeAll, keep, scope, type Tensor } from '../../runtime/tensor.js';
import {
  type BlockLimits,
  emptyPast,
  type GenerationModel,
  gatherRows,
  longPrompt,
  type Past,
  type PromptCache,
} from './prompt-cache.js';

/** Tokens that have to be saved for a prefix to be worth a pass of its own. */
const WORTHWHILE = 256;

/**
 * Keys and values of a common beginning, held from one batch of prompts to the next. Whoever makes it disposes it, and
 * uses it with one model as it is: after a change of weights or adapter it holds the wrong values.
 */
export class SharedPrefix {
  #ids: readonly number[] = [];
  #caches: Pick<PromptCache, 'keys' | 'values'> = { keys: [], values: [] };

  /**
   * Makes ready what all `prompts` begin with, and says how many tokens that is; at least one token of each prompt is
   * left over. What is held already is cut to what these prompts have of it, and lengthened where that saves enough.
   */
  async cover(
    loaded: GenerationModel,
    prompts: readonly (readonly number[])[],
    signal: AbortSignal | undefined,
    limits: BlockLimits,
  ): Promise<number> {
    const common = commonBeginning(prompts);
    const held = beginningInCommon(this.#ids, common);
    const saves = (tokens: number) => tokens * (prompts.length - 1) >= WORTHWHILE;
    if (held < this.#ids.length) {
      // Prompts of another kind: a short rest of the old prefix would keep a long new one from being held.
      if (held * prompts.length < WORTHWHILE) this.dispose();
      else this.#cut(held);
    }
    if (saves(common.length - this.#ids.length)) await this.#lengthen(loaded, common, signal, limits);
    return this.#ids.length;
  }

  /** The prefix before each of `count` prompts. */
  past(count: number): Past {
    const { keys, values } = this.#caches;
    const repeated = (cache: Tensor) => scope(() => keep(gatherRows(cache, Array<number>(count).fill(0), 1)));
    return {
      length: this.#ids.length,
      take: (layer) => ({ keys: repeated(keys[layer]!), values: repeated(values[layer]!) }),
      dispose() {},
    };
  }

  dispose(): void {
    disposeAll(this.#caches);
    this.#caches = { keys: [], values: [] };
    this.#ids = [];
  }

  async #lengthen(
    loaded: GenerationModel,
    ids: readonly number[],
    signal: AbortSignal | undefined,
    limits: BlockLimits,
  ): Promise<void> {
    const start = this.#ids.length;
    const before = start === 0 ? emptyPast(loaded.model, 1) : this.past(1);
    const { keys, values, hidden } = await longPrompt(loaded, ids.slice(start), before, signal, limits);
    hidden.dispose();
    this.dispose();
    this.#caches = { keys, values };
    this.#ids = ids;
  }

  #cut(length: number): void {
    const rows = Array.from({ length }, (_, row) => row);
    for (const caches of [this.#caches.keys, this.#caches.values]) {
      caches.forEach((cache, layer) => {
        caches[layer] = scope(() => keep(gatherRows(cache, rows, 2)));
        cache.dispose();
      });
    }
    this.#ids = this.#ids.slice(0, length);
  }
}

/** What all prompts begin with, at most all but the last token of each. */
function commonBeginning(prompts: readonly (readonly number[])[]): readonly number[] {
  const [first = [], ...others] = prompts;
  const length = others.reduce(
    (least, prompt) => Math.min(least, beginningInCommon(first, prompt), prompt.length - 1),
    first.length - 1,
  );
  return first.slice(0, Math.max(0, length));
}

function beginningInCommon(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
