/**
 * The public API. Names are exported by hand: what is not here is not promised.
 *
 * Losses, data and the stages from logs to pairs need nothing but this package; `loadModel`, `train`, `generate` and
 * local chat models start TensorFlow, which `npx persona-dpo setup` installs.
 */

export { writeFileAtomic } from './data/atomic-write.js';
export type { Conversation, ConversationTurn, SplitConversation, SplitSide } from './data/conversation.js';
export {
  type ReadConversationsOptions,
  readConversations,
  writeConversations,
} from './data/conversations/conversation-file.js';
export { type IngestContext, type IngestResult, ingestConversations } from './data/conversations/ingest.js';
export { type IngestOptions, ingestOptionsSchema } from './data/conversations/options.js';
export { type SplitOptions, splitSide } from './data/conversations/split.js';
export { boxedAnswer, boxesIn } from './data/math-answer/boxed.js';
export { finalAnswer } from './data/math-answer/final-answer.js';
export { type SameAnswerOptions, sameAnswer } from './data/math-answer/same-answer.js';
export { sameForm } from './data/math-answer/written-form.js';
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
export { type PromptRow as PromptFileRow, type ReadPromptsResult, readPrompts } from './data/prompt-rows.js';
export { createRandom, type Random } from './data/random.js';
export { type BadRow, type ReadPairsResult, readPairs, streamPairs } from './data/read-pairs.js';
export { epochOrder, splitPairs } from './data/sampling.js';
export { type Counts, type Dropped, Tally } from './data/tally.js';
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
  LlmApiError,
  OpError,
  PersonaDpoError,
  RuntimeInstallError,
  ShapeError,
  TrainingError,
} from './errors.js';
export {
  type AlpacaAnnotation,
  type AlpacaOutput,
  readAnnotations,
  readOutputs,
} from './eval/alpaca-eval/annotations.js';
export { type GamedBaselines, readGamedBaselines } from './eval/alpaca-eval/gamed-baselines.js';
export {
  type JudgeOutputsOptions,
  judgeOutputs,
  type OutputPair,
  type OutputVerdict,
} from './eval/alpaca-eval/judge-outputs.js';
export { type LeaderboardRow, leaderboardCsv, leaderboardRow } from './eval/alpaca-eval/leaderboard.js';
export {
  type JudgedLengths,
  type LengthControlled,
  lengthControlledWinRate,
} from './eval/alpaca-eval/length-controlled.js';
export { type AlpacaTemplate, createAlpacaTemplate } from './eval/alpaca-eval/prompts.js';
export { type WinRate, winRateOf, winShare } from './eval/alpaca-eval/win-rate.js';
export {
  analyzeContexts,
  type ContextAnalysis,
  type DataAnalysis,
} from './eval/analysis/analyze.js';
export { contextOfConversation, contextOfPair, drawContexts } from './eval/analysis/contexts.js';
export { dimensionsByRules } from './eval/analysis/dimension-rules.js';
export { type DimensionShares, dimensionShares } from './eval/analysis/dimension-shares.js';
export { type Diversity, diversity } from './eval/analysis/diversity.js';
export type { Embedder } from './eval/analysis/embedder.js';
export { embeddingMap } from './eval/analysis/embedding-map.js';
export { judgeDimensions } from './eval/analysis/judge-dimensions.js';
export { type LocalEmbedderOptions, openLocalEmbedder } from './eval/analysis/local-embedder.js';
export { type AnalysisOptions, analysisOptionsSchema } from './eval/analysis/options.js';
export { type ServerEmbedderOptions, serverEmbedder } from './eval/analysis/server-embedder.js';
export {
  type ArenaJudgments,
  readArenaAnswers,
  readArenaJudgments,
  readArenaQuestions,
} from './eval/arena-hard/arena-files.js';
export {
  type ArenaGame,
  type ArenaPair,
  type JudgeGamesOptions,
  judgeGames,
} from './eval/arena-hard/judge-games.js';
export { type ArenaTemplate, createArenaTemplate } from './eval/arena-hard/prompts.js';
export {
  type ArenaGames,
  type ArenaScore,
  type ArenaScoreOptions,
  arenaScore,
} from './eval/arena-hard/score.js';
export { ARENA_VERDICTS, type ArenaVerdict, readArenaVerdict } from './eval/arena-hard/verdict.js';
export { BENCHMARKS, type BenchmarkName } from './eval/reasoning/benchmarks.js';
export { choiceAnswer } from './eval/reasoning/choice-answer.js';
export {
  evaluateReasoning,
  type ProblemRow,
  type ReasoningHooks,
  type ReasoningScores,
} from './eval/reasoning/evaluate-reasoning.js';
export { type Grade, type Grader, gradeResponse } from './eval/reasoning/grade.js';
export { majorityIsRight, passAtK } from './eval/reasoning/metrics.js';
export { type ReasoningOptions, reasoningOptionsSchema } from './eval/reasoning/options.js';
export type { ChoiceProblem, MathProblem, Problem } from './eval/reasoning/problem.js';
export { createProblemTemplate, type ProblemTemplate } from './eval/reasoning/prompts.js';
export { readProblems } from './eval/reasoning/read-problems.js';
export { type BootstrapOptions, bootstrapInterval } from './eval/statistics/bootstrap.js';
export type { Interval } from './eval/statistics/interval.js';
export { fitLogistic } from './eval/statistics/logistic-regression.js';
export { wilsonInterval } from './eval/statistics/wilson.js';
export * as oracle from './kernels/oracle/index.js';
export type {
  ChatModel,
  ChatReply,
  ChatRequest,
  ChatSampling,
  ChatUsage,
  LabelReply,
  LabelRequest,
  Outcome,
} from './llm/chat-model.js';
export { type ChatModelOptions, chatModelOptionsSchema } from './llm/chat-model-options.js';
export { createLocalChatModel, type LocalChatModelOptions } from './llm/local-chat-model.js';
export { type OpenChatModelOptions, openChatModel } from './llm/open-chat-model.js';
export { type CachedChatModel, withReplyCache } from './llm/reply-cache.js';
export { memoryReplyStore, openReplyStore, type ReplyStore } from './llm/reply-store.js';
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
export {
  type CandidateOptions,
  candidateOptionsSchema,
  type PromptOptions,
  promptOptionsSchema,
} from './pairs/candidates/options.js';
export { type CandidateSettings, sampleCandidates } from './pairs/candidates/sample-candidates.js';
export { type PromptInput, selectPrompts } from './pairs/candidates/select-prompts.js';
export { type ClassifySettings, classifyMessages } from './pairs/classify/classify-messages.js';
export { type ClassifyOptions, classifyOptionsSchema } from './pairs/classify/options.js';
export { type ClassificationStatistics, classificationStatistics } from './pairs/classify/statistics.js';
export { candidateOfRewrite, type PairCandidate } from './pairs/filter/candidate.js';
export { type FilterSettings, filterPairs } from './pairs/filter/filter-pairs.js';
export {
  makePairs,
  type PairContexts,
  type PairSettings,
  type PairSources,
} from './pairs/filter/make-pairs.js';
export {
  type FilterOptions,
  filterOptionsSchema,
  type PairOptions,
  pairOptionsSchema,
} from './pairs/filter/options.js';
export { pairsFromRewrites } from './pairs/filter/pairs-from-rewrites.js';
export { type PreviewSettings, previewThresholds, type ThresholdPreview } from './pairs/filter/preview.js';
export { type MathSettings, mathConversations, mathMessages } from './pairs/math/math-conversations.js';
export { type MathOptions, mathOptionsSchema } from './pairs/math/options.js';
export { type ReadPrm800kRow, readPrm800k } from './pairs/math/read-prm800k.js';
export {
  type FeedbackUserOptions,
  feedbackUserOptionsSchema,
} from './pairs/personas/feedback-user-options.js';
export { type FeedbackUserSettings, filterFeedbackUsers } from './pairs/personas/filter-feedback-users.js';
export { inferPersonas, type PersonaSettings } from './pairs/personas/infer-personas.js';
export { type PersonaOptions, personaOptionsSchema } from './pairs/personas/persona-options.js';
export { quotePersonas } from './pairs/personas/quote-personas.js';
export {
  type ClassificationTemplate,
  createClassificationTemplate,
  DEFAULT_CLASSIFICATION_TEMPLATE,
  loadClassificationTemplate,
} from './pairs/prompts/classification.js';
export {
  createFeedbackUserTemplate,
  DEFAULT_FEEDBACK_USER_TEMPLATE,
  type FeedbackUserTemplate,
  loadFeedbackUserTemplate,
} from './pairs/prompts/feedback-user.js';
export {
  createPersonaTemplate as createPersonaInferenceTemplate,
  DEFAULT_PERSONA_TEMPLATE as DEFAULT_PERSONA_INFERENCE_TEMPLATE,
  loadPersonaTemplate as loadPersonaInferenceTemplate,
  type PersonaTemplate as PersonaInferenceTemplate,
} from './pairs/prompts/persona.js';
export {
  createRewriteTemplate,
  DEFAULT_REWRITE_TEMPLATE,
  loadRewriteTemplate,
  type RewriteTemplate,
} from './pairs/prompts/rewrite.js';
export { candidateOfRanking, type RankingChoice } from './pairs/rank/candidate-of-ranking.js';
export { type RankOptions, rankOptionsSchema } from './pairs/rank/options.js';
export { pairsFromRankings } from './pairs/rank/pairs-from-rankings.js';
export { type RankSettings, rankCandidates } from './pairs/rank/rank-candidates.js';
export { type ReconstructOptions, reconstructOptionsSchema } from './pairs/reconstruct/options.js';
export {
  type ReconstructSettings,
  reconstructConversations,
} from './pairs/reconstruct/reconstruct-conversations.js';
export { type LoggedOptions, loggedAnswers } from './pairs/rewrite/logged-answers.js';
export { type RewriteOptions, rewriteOptionsSchema } from './pairs/rewrite/options.js';
export { type RewriteInput, type RewriteSettings, rewriteAnswers } from './pairs/rewrite/rewrite-answers.js';
export type {
  Candidate,
  CandidatesRow,
  ClassifiedMessage,
  FeedbackUserRow,
  FollowUpType,
  PersonaRow,
  PromptRow,
  RankedCandidate,
  RankingRow,
  RewardKind,
  RewriteRow,
  UserMessageType,
} from './pairs/rows.js';
export type { StageContext, StageProgress } from './pairs/stage.js';
export {
  type ExportRewardOptions,
  exportRewardOptionsSchema,
} from './rewards/export/export-options.js';
export {
  type ExportedRewardModel,
  type ExportRewardContext,
  exportRewardModel,
} from './rewards/export/export-reward-model.js';
export { type LoadRewardModelOptions, loadRewardModel } from './rewards/load-reward-model.js';
export { type OpenRewardModelOptions, openRewardModel } from './rewards/open-reward-model.js';
export { type RewardRecipe, readRecipe, rewardRecipeSchema } from './rewards/recipe.js';
export { withRewardCache } from './rewards/reward-cache.js';
export type {
  RewardModel,
  RewardScorer,
  RewardUsage,
  ScoreCallOptions,
  ScoreRequest,
} from './rewards/reward-model.js';
export { type RewardModelOptions, rewardModelOptionsSchema } from './rewards/reward-options.js';
export { memoryRewardStore, openRewardStore, type RewardStore } from './rewards/reward-store.js';
export { type ReadConfig, readRunConfig, runConfigToYaml } from './run/config/config-file.js';
export {
  type ResolvedRunConfig,
  type RunConfig,
  type RunTrainOptions,
  resolveRunConfig,
} from './run/config/run-config.js';
export type { RunEvent } from './run/events.js';
export { type ForgetResult, forgetUser } from './run/forget.js';
export {
  planPipeline,
  type RangeOptions,
  type RunHooks,
  type RunSummary,
  runPipeline,
  type StageSummary,
} from './run/pipeline.js';
export type { RunPlan, StageOutlook } from './run/plan.js';
export { type RankingReport, rankCorrelation, rankingReport } from './run/ranking-report.js';
export { inspectPair, listPairs, type PairOrigin } from './run/read-run.js';
export { type RunReportOptions, reportOptionsSchema, writeRunReport } from './run/report/write-run-report.js';
export type { OpenReward } from './run/rewards.js';
export { existingRun, RunFolder } from './run/run-folder.js';
export type { StageName } from './run/stage-names.js';
export { type RunStatus, runStatus } from './run/status.js';
export { fetchSmolLm2, type SetupOptions, setup } from './runtime/install/setup.js';
export { type DeviceInfo, type RuntimeOptions, runtime, startRuntime } from './runtime/runtime.js';
export { disposeAll, keep, memory, scope, Tensor, tensor } from './runtime/tensor.js';
export { useTensorflowBackend } from './runtime/tfjs/backend.js';
export { fromTf, toTf } from './runtime/tfjs/bridge.js';
export { tf } from './runtime/tfjs/tf.js';
export type { AccessEntry } from './serve/access-log.js';
export { chatModelOf, type ServedChatModelOptions, servedChatModel } from './serve/chat-model-adapters.js';
export {
  type LocalServedModels,
  type LocalServedOptions,
  localServedModels,
} from './serve/local-served-models.js';
export { UserPersonas, type UserPersonasOptions } from './serve/personas/user-personas.js';
export { type ServeOptions, serveOptionsSchema } from './serve/serve-options.js';
export type { AnswerEvent, AnswerRequest, ServedModel } from './serve/served-model.js';
export { type RunningServer, type StartServerOptions, startServer } from './serve/start-server.js';
export type { Metrics, TrainEvent, TrainOutcome, TrainSummary } from './train/events.js';
export { type MetricsRow, readMetrics } from './train/metrics-log.js';
export type { OnlineTrainEvent, OnlineTrainSummary } from './train/online/events.js';
export {
  type OnlineTrainOptions,
  type ResolvedOnlineTrainOptions,
  resolveOnlineTrainOptions,
} from './train/online/options.js';
export { type RolloutRow, readRollouts } from './train/online/rollout-log.js';
export { type OnlineTrainHooks, trainOnline } from './train/online/train-online.js';
export { type ResolvedTrainOptions, resolveTrainOptions, type TrainOptions } from './train/options.js';
export { type PairLogpsOptions, pairLogps } from './train/pair-logps.js';
export type { TrainRewardEvent, TrainRewardHooks, TrainRewardSummary } from './train/reward/events.js';
export {
  type ResolvedTrainRewardOptions,
  resolveTrainRewardOptions,
  type TrainRewardOptions,
} from './train/reward/reward-options.js';
export { trainReward } from './train/reward/train-reward.js';
export { type TrainHooks, train } from './train/train.js';
