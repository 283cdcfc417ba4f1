/**
 * The public API. Names are exported by hand: what is not here is not promised.
 *
 * Losses and data need nothing but this package; `loadModel`, `train` and `generate` start TensorFlow, which
 * `npx persona-dpo setup` installs.
 */

export { writeFileAtomic } from './data/atomic-write.js';
export { type PackedBatch, packPairs, splitByTokenBudget } from './data/pack.js';
export {
  isPreferencePair,
  type Message,
  type PairRow,
  type PreferencePair,
  pairId,
  type TextPair,
  type TokenPair,
  writePairs,
} from './data/pairs.js';
export {
  createPersonaTemplate,
  DEFAULT_PERSONA_TEMPLATE,
  loadPersonaTemplate,
  type PersonaTemplate,
  withPersona,
} from './data/persona-prompt.js';
export { createRandom, type Random } from './data/random.js';
export { type BadRow, type ReadPairsResult, readPairs, streamPairs } from './data/read-pairs.js';
export { epochOrder, splitPairs } from './data/sampling.js';
export {
  encodePrompt,
  type TokenizedPair,
  type TokenizeOptions,
  tokenizePair,
  tokenizePairs,
} from './data/tokenize.js';
export { type LoadTokenizerOptions, loadTokenizer, type Tokenizer } from './data/tokenizer.js';
export {
  CheckpointError,
  ConfigError,
  DataError,
  OpError,
  PersonaDpoError,
  RuntimeInstallError,
  ShapeError,
  TrainingError,
} from './errors.js';
export * as oracle from './kernels/oracle/index.js';
export { type BradleyTerryOptions, bradleyTerryLoss } from './losses/bradley-terry-loss.js';
export { type DpoLossOptions, type DpoLossResult, dpoLoss } from './losses/dpo-loss.js';
export {
  type DpoTokenLoss,
  type DpoTokens,
  dpoLossAndGradient,
  dpoLossFromTokens,
} from './losses/dpo-loss-from-tokens.js';
export {
  DPO_LOSS_TYPES,
  type DpoLossType,
  type DpoOptions,
  F_DIVERGENCE_TYPES,
  type FDivergenceType,
} from './losses/dpo-options.js';
export { type PreferenceMetrics, preferenceMetrics } from './losses/preference-metrics.js';
export { type SftLossOptions, sftLoss } from './losses/sft-loss.js';
export { loadAdapter, type SaveAdapterOptions, saveAdapter } from './models/adapter-files.js';
export { type CreateAdapterOptions, createLoraAdapter } from './models/create-adapter.js';
export { generate, generateStream } from './models/generate.js';
export type {
  GenerateAllTextOptions,
  TextCompletion,
  TextEvent,
  TextPrompt,
} from './models/generation/generate-text.js';
export type { GenerateOptions } from './models/generation/options.js';
export { type LabelScore, scoreLabels } from './models/generation/score-labels.js';
export { type HubOptions, hubOptionsFromEnvironment } from './models/hub-options.js';
export type { LanguageModel } from './models/language-model.js';
export { type LoadedModel, type LoadModelOptions, loadModel } from './models/load-model.js';
export { hiddenStates, tokenLogits } from './models/logits.js';
export type { LoraAdapter, LoraConfig } from './models/lora-adapter.js';
export { mergeAdapter, mergeToFolder } from './models/merge.js';
export type { ModelConfig } from './models/model-config.js';
export { type SaveModelOptions, saveModel } from './models/save-model.js';
export { fetchSmolLm2, type SetupOptions, setup } from './runtime/install/setup.js';
export { type DeviceInfo, type RuntimeOptions, runtime, startRuntime } from './runtime/runtime.js';
export { disposeAll, keep, memory, scope, Tensor, tensor } from './runtime/tensor.js';
export { useTensorflowBackend } from './runtime/tfjs/backend.js';
export { fromTf, toTf } from './runtime/tfjs/bridge.js';
export { tf } from './runtime/tfjs/tf.js';
export type { Metrics, TrainEvent, TrainOutcome, TrainSummary } from './train/events.js';
export { type MetricsRow, readMetrics } from './train/metrics-log.js';
export { type ResolvedTrainOptions, resolveTrainOptions, type TrainOptions } from './train/options.js';
export { type PairLogpsOptions, pairLogps } from './train/pair-logps.js';
export { type TrainHooks, train } from './train/train.js';
