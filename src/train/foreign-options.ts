/**
 * Options of TRL, transformers and PEFT that are not ours by that name: other spellings of ours, options that
 * ask for what is done here anyway, and options that cannot be had. A TRL user's file then either works or says
 * line by line why not; it is never read halfway.
 */
export type ForeignOption =
  /** Means something here under other names: gives what to set, or a text that says why that value can't be. */
  | { kind: 'translated'; translate(value: unknown): Record<string, unknown> | string }
  /** These values ask for what is done here anyway and are passed over; any other is refused, with the reason. */
  | { kind: 'fixed'; accepted: readonly unknown[]; reason: string }
  /** Changes nothing about what is learnt, and is passed over with a notice. */
  | { kind: 'ignored'; reason: string }
  /** Can't be meant here. */
  | { kind: 'refused'; reason: string };

const rename = (name: string): ForeignOption => ({
  kind: 'translated',
  translate: (value) => ({ [name]: value }),
});
const fixed = (accepted: readonly unknown[], reason: string): ForeignOption => ({
  kind: 'fixed',
  accepted,
  reason,
});
const refused = (reason: string): ForeignOption => ({ kind: 'refused', reason });
const ignored = (names: readonly string[], reason: string): [string, ForeignOption][] =>
  names.map((name) => [name, { kind: 'ignored', reason }]);
const onlyOff = (reason: string): ForeignOption => fixed([false, null, 'no', 'none', 0], reason);

export const foreignOptions: Readonly<Record<string, ForeignOption>> = {
  model_name_or_path: rename('model'),
  model_revision: {
    kind: 'translated',
    translate: (value) =>
      value === 'main' || value === null
        ? {}
        : `write the revision behind the model's id, as in model: owner/name@${value}`,
  },
  ref_model: rename('reference_model'),
  ref_model_name_or_path: rename('reference_model'),
  output: rename('output_dir'),
  torch_dtype: rename('dtype'),
  train_batch_size: rename('per_device_train_batch_size'),
  eval_batch_size: rename('per_device_eval_batch_size'),
  evaluation_strategy: rename('eval_strategy'),
  warmup_ratio: {
    kind: 'translated',
    translate: (value) =>
      typeof value === 'number' && value >= 0 && value < 1
        ? { warmup_steps: value }
        : `expected a share in [0, 1), got ${JSON.stringify(value)}`,
  },
  bf16: {
    kind: 'translated',
    translate: (value) => ({ dtype: value === false ? 'float32' : 'bfloat16' }),
  },
  use_cpu: { kind: 'translated', translate: (value) => (value === true ? { device: 'cpu' } : {}) },
  disable_dropout: {
    kind: 'translated',
    translate: (value): Record<string, unknown> => (value === true ? { lora_dropout: 0 } : {}),
  },

  precompute_ref_log_probs: fixed(
    [true, false],
    'reference log-probabilities are always computed before training here, and kept on disk',
  ),
  padding_free: fixed([true, false], 'batches are always packed without padding'),
  pad_to_multiple_of: fixed([null], 'batches are packed without padding'),
  remove_unused_columns: fixed([true, false], 'columns that are not used are left alone'),
  logging_strategy: fixed(['steps'], 'metrics are logged every logging_steps'),
  lora_task_type: fixed(['CAUSAL_LM'], 'only causal language models are trained here'),
  lr_scheduler_kwargs: fixed([null], 'the schedules have no settings beyond warmup_steps'),
  push_to_hub: onlyOff(
    'nothing is uploaded from here; the output folder is in the format that the Hub takes',
  ),
  disable_tqdm: fixed([true, false, null], 'progress is drawn on terminals only'),

  fp16: onlyOff('float16 needs loss scaling, which is not done here; use dtype: bfloat16'),
  load_in_8bit: onlyOff(
    'the base model is trained at full precision; a quantized GGUF file is unpacked on loading',
  ),
  load_in_4bit: onlyOff(
    'the base model is trained at full precision; a quantized GGUF file is unpacked on loading',
  ),
  use_dora: onlyOff('DoRA is not implemented; use LoRA or rsLoRA (use_rslora)'),
  lora_modules_to_save: fixed([null], 'an adapter holds LoRA weights only'),
  lora_target_parameters: fixed([null], 'name layers in lora_target_modules'),
  sync_ref_model: onlyOff('the reference stays as it was, because its log-probabilities are computed once'),
  activation_offloading: onlyOff('use gradient_checkpointing and memory_budget'),
  packing: refused('pairs are always packed, without one seeing another'),
  deepspeed: fixed([null, ''], 'training runs in one process here'),
  fsdp: fixed([null, ''], 'training runs in one process here'),
  dataset_name: refused(
    'give a JSONL file as pairs: FILE; the Hub’s datasets can be exported with datasets.to_json',
  ),
  dataset_train_split: refused('give a JSONL file as pairs: FILE'),
  dataset_test_split: refused('give a JSONL file as eval_pairs: FILE'),
  max_completion_length: refused('gone from TRL 1.x, too: set max_length'),
  data_seed: refused('seed is used for the order of the pairs, too'),
  save_only_model: onlyOff('a checkpoint always holds what is needed to go on'),
  group_by_length: onlyOff('batches are packed without padding, so equal lengths gain nothing'),
  eval_delay: onlyOff('evaluation begins with the first epoch or eval_steps'),
  ignore_data_skip: onlyOff('a resumed run always goes on where it was'),
  dataloader_drop_last: onlyOff('the last batch of an epoch is used, too'),
  label_smoothing_factor: onlyOff('for preference losses use label_smoothing'),
  neftune_noise_alpha: onlyOff('no noise is added to embeddings'),
  auto_find_batch_size: onlyOff('use memory_budget: batches are split to fit it, with the same result'),
  optim_args: fixed([null], 'use adam_beta1, adam_beta2 and adam_epsilon'),
  optim_target_modules: fixed([null], 'the optimizer is AdamW for all trained weights'),
  model_init_kwargs: fixed([null], 'use dtype, and model: owner/name@revision'),
  pad_token: fixed([null], 'batches are packed without padding'),
  accelerator_config: fixed([null], 'training runs in one process here'),
  parallelism_config: fixed([null], 'training runs in one process here'),
  fsdp_config: fixed([null], 'training runs in one process here'),
  dataset_config: fixed([null], 'give a JSONL file as pairs: FILE'),
  dataset_streaming: onlyOff('files are read row by row anyway'),

  ...Object.fromEntries([
    ...ignored(
      [
        'dataloader_num_workers',
        'dataloader_pin_memory',
        'dataloader_persistent_workers',
        'dataloader_prefetch_factor',
        'dataloader_in_order',
        'dataloader_multiprocessing_context',
      ],
      'data is tokenized once, before training; there are no loader processes',
    ),
    ...ignored(
      [
        'average_tokens_across_devices',
        'ddp_backend',
        'ddp_broadcast_buffers',
        'ddp_bucket_cap_mb',
        'ddp_find_unused_parameters',
        'ddp_static_graph',
        'ddp_timeout',
        'ignore_bias_buffers',
        'local_rank',
        'log_on_each_node',
        'save_on_each_node',
      ],
      'training runs in one process here',
    ),
    ...ignored(
      [
        'hub_always_push',
        'hub_model_id',
        'hub_private_repo',
        'hub_revision',
        'hub_strategy',
        'hub_token',
        'project',
        'run_name',
        'trackio_bucket_id',
        'trackio_space_id',
        'trackio_static_space_id',
      ],
      'nothing is uploaded from here',
    ),
    ...ignored(
      [
        'debug',
        'include_num_input_tokens_seen',
        'log_level',
        'log_level_replica',
        'logging_first_step',
        'logging_nan_inf_filter',
        'skip_memory_metrics',
      ],
      'what is logged is fixed, but for logging_steps and report_to',
    ),
    ...ignored(
      [
        'batch_eval_metrics',
        'bf16_full_eval',
        'do_eval',
        'do_predict',
        'do_train',
        'eval_accumulation_steps',
        'eval_do_concat_batches',
        'eval_use_gather_object',
        'fp16_full_eval',
        'include_for_metrics',
        'label_names',
        'length_column_name',
        'prediction_loss_only',
      ],
      'evaluation gives the metrics of training, at the precision of training',
    ),
    ...ignored(
      ['bnb_4bit_quant_storage', 'bnb_4bit_quant_type', 'use_bnb_nested_quant'],
      'the base model is not quantized',
    ),
    ...ignored(['ref_model_mixup_alpha', 'ref_model_sync_steps'], 'the reference stays as it was'),
    ...ignored(
      ['enable_jit_checkpoint', 'restore_callback_states_from_checkpoint'],
      'a checkpoint is written on Ctrl-C and SIGTERM, and holds all that is needed to go on',
    ),
    ...ignored(
      [
        'liger_kernel_config',
        'torch_compile_backend',
        'torch_compile_mode',
        'torch_empty_cache_steps',
        'use_cache',
      ],
      'there is no PyTorch here',
    ),
    // How fast PyTorch does it, not what it does.
    ...ignored(['attn_implementation'], 'there is one attention here, over packed rows'),
    ...ignored(['dataset_num_proc'], 'pairs are tokenized in one process'),
    ...ignored(['gradient_checkpointing_kwargs'], 'recomputation has no settings here'),
    ...ignored(['tf32'], 'dtype says what matrix products are computed in'),
    ...ignored(['torch_compile'], 'xla: true compiles here'),
    ...ignored(['use_liger_kernel'], 'there is no PyTorch here'),
    ...ignored(['trust_remote_code'], 'no code that comes with a model is ever run here'),
    ...ignored(['full_determinism'], 'a run with the same seed and threads always repeats itself'),
    ...ignored(['precompute_ref_batch_size'], 'reference passes are packed up to token_budget'),
    ...ignored(['router_aux_loss_coef'], 'there are no mixtures of experts here'),
  ]),
};
