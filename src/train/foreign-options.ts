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
    [true],
    'reference log-probabilities are always computed before training here, and kept on disk',
  ),
  padding_free: fixed([true, false], 'batches are always packed without padding'),
  pad_to_multiple_of: fixed([null], 'batches are packed without padding'),
  remove_unused_columns: fixed([true, false], 'columns that are not used are left alone'),
  optim: fixed(['adamw_torch', 'adamw_torch_fused', 'adamw_hf', 'adamw'], 'the optimizer is AdamW'),
  logging_strategy: fixed(['steps'], 'metrics are logged every logging_steps'),
  lora_task_type: fixed(['CAUSAL_LM'], 'only causal language models are trained here'),
  trust_remote_code: onlyOff('no code that comes with a model is ever run here'),
  attn_implementation: fixed([null, 'eager', 'sdpa'], 'there is one attention here, over packed rows'),
  dataset_num_proc: fixed([null, 1], 'pairs are tokenized in one process'),
  gradient_checkpointing_kwargs: fixed([null], 'recomputation has no settings here'),
  lr_scheduler_kwargs: fixed([null], 'the schedules have no settings beyond warmup_steps'),
  push_to_hub: onlyOff(
    'nothing is uploaded from here; the output folder is in the format that the Hub takes',
  ),
  use_liger_kernel: onlyOff('kernels for PyTorch have no meaning here'),
  torch_compile: onlyOff('use xla: true to compile'),
  tf32: onlyOff('use dtype'),
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
  deepspeed: refused('training runs in one process here'),
  fsdp: refused('training runs in one process here'),
  dataset_name: refused(
    'give a JSONL file as pairs: FILE; the Hub’s datasets can be exported with datasets.to_json',
  ),
  dataset_train_split: refused('give a JSONL file as pairs: FILE'),
  dataset_test_split: refused('give a JSONL file as eval_pairs: FILE'),
  max_completion_length: refused('gone from TRL 1.x, too: set max_length'),
  data_seed: refused('seed is used for the order of the pairs, too'),
  save_only_model: onlyOff('a checkpoint always holds what is needed to go on'),
  group_by_length: onlyOff('batches are packed without padding, so equal lengths gain nothing'),
};
