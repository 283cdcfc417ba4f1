/** Which pairs (or prompts) each optimizer step takes: a function of the step alone, so that a resumed run needs no other state. */

import { epochOrder } from '../data/sampling.js';
import type { TokenizedPair } from '../data/tokenize.js';
import type { ResolvedTrainOptions } from './options.js';
import { countSteps } from './schedule.js';

type Options = Pick<
  ResolvedTrainOptions,
  | 'perDeviceTrainBatchSize'
  | 'gradientAccumulationSteps'
  | 'numTrainEpochs'
  | 'maxSteps'
  | 'trainSamplingStrategy'
  | 'seed'
>;

export class TrainingBatches<Item = TokenizedPair> {
  readonly #items: readonly Item[];
  readonly #options: Options;
  readonly stepsPerEpoch: number;
  readonly maxSteps: number;
  #order: { epoch: number; indices: readonly number[] } | undefined;

  constructor(items: readonly Item[], options: Options) {
    this.#items = items;
    this.#options = options;
    const { stepsPerEpoch, maxSteps } = countSteps(items.length, options);
    this.stepsPerEpoch = stepsPerEpoch;
    this.maxSteps = maxSteps;
  }

  /**
   * The micro-batches of the step that follows `step` finished ones. The last step of an epoch may have fewer, and
   * its last micro-batch fewer pairs.
   */
  at(step: number): Item[][] {
    const { perDeviceTrainBatchSize: size, gradientAccumulationSteps: accumulation } = this.#options;
    const order = this.#orderOf(Math.floor(step / this.stepsPerEpoch));
    const first = (step % this.stepsPerEpoch) * accumulation;
    const batches: Item[][] = [];
    for (let batch = first; batch < first + accumulation && batch * size < order.length; batch++) {
      const indices = order.slice(batch * size, (batch + 1) * size);
      batches.push(indices.map((index) => this.#items[index] as Item));
    }
    return batches;
  }

  #orderOf(epoch: number): readonly number[] {
    if (this.#order?.epoch !== epoch) {
      const { trainSamplingStrategy: strategy, seed } = this.#options;
      this.#order = { epoch, indices: epochOrder(this.#items.length, { strategy, seed, epoch }) };
    }
    return this.#order.indices;
  }
}
