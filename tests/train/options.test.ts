import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { toCodeName, toFileName, toFlagName } from '../../src/train/option-names.js';
import {
  describeTrainOptions,
  optionsFromRecord,
  optionsFromYaml,
  optionsToYaml,
  parseFlagValue,
  resolveFileOptions,
  resolveTrainOptions,
  type TrainOptions,
} from '../../src/train/options.js';

const required = { model: 'owner/name', pairs: 'pairs.jsonl', outputDir: 'out' };

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('expected a ConfigError, but nothing was thrown');
}

describe('defaults', () => {
  test("are TRL's where TRL has the option", () => {
    expect(resolveTrainOptions(required)).toMatchObject({
      lossType: ['sigmoid'],
      beta: 0.1,
      labelSmoothing: 0,
      learningRate: 1e-6,
      lrSchedulerType: 'linear',
      warmupSteps: 0,
      numTrainEpochs: 3,
      maxSteps: -1,
      perDeviceTrainBatchSize: 8,
      gradientAccumulationSteps: 1,
      weightDecay: 0,
      adamBeta1: 0.9,
      adamBeta2: 0.999,
      adamEpsilon: 1e-8,
      maxGradNorm: 1,
      seed: 42,
      maxLength: 1024,
      trainSamplingStrategy: 'random',
      evalStrategy: 'no',
      loggingSteps: 10,
      saveSteps: 500,
      loraR: 16,
      loraAlpha: 32,
      loraTargetModules: null,
      useRslora: false,
      fDivergenceType: 'reverse_kl',
      fAlphaDivergenceCoef: 0.5,
      discopopTau: 0.05,
      ldAlpha: null,
      useWeighting: false,
    });
  });

  test('that depend on other options follow them', () => {
    const lora = resolveTrainOptions({ ...required, usePeft: true });
    expect(lora.learningRate).toBe(1e-5);
    const adapter = resolveTrainOptions({ ...required, adapter: 'dir' });
    expect(adapter).toMatchObject({ usePeft: true, learningRate: 1e-5 });
    expect(resolveTrainOptions({ ...required, loggingSteps: 7 }).evalSteps).toBe(7);
    expect(resolveTrainOptions(required)).toMatchObject({
      metricForBestModel: 'loss',
      greaterIsBetter: false,
    });
    const margin = resolveTrainOptions({ ...required, metricForBestModel: 'rewards/margins' });
    expect(margin.greaterIsBetter).toBe(true);
  });

  test('undefined counts as not given', () => {
    expect(resolveTrainOptions({ ...required, beta: undefined } as TrainOptions).beta).toBe(0.1);
  });

  test('one value stands for a list of one', () => {
    const options = resolveTrainOptions({ ...required, lossType: 'ipo', loraTargetModules: 'all-linear' });
    expect(options).toMatchObject({
      lossType: ['ipo'],
      loraTargetModules: ['all-linear'],
      pairs: ['pairs.jsonl'],
    });
  });

  test('resolving twice changes nothing', () => {
    const once = resolveTrainOptions({ ...required, usePeft: true, memoryBudget: '6GB', evalSplit: 0.1 });
    expect(once.memoryBudget).toBe(6 * 1024 ** 3);
    expect(resolveTrainOptions(once)).toEqual(once);
  });
});

describe('wrong values', () => {
  test.each<[Partial<Record<keyof TrainOptions, unknown>>, string]>([
    [{ beta: 0 }, 'beta: expected a number above 0, got 0'],
    [{ adamBeta2: 1 }, 'adamBeta2: expected a number below 1, got 1'],
    [{ loraR: 2.5 }, 'loraR: expected a whole number, got 2.5'],
    [{ perDeviceTrainBatchSize: 0 }, 'perDeviceTrainBatchSize: expected a number of at least 1, got 0'],
    [{ dtype: 'float16' }, 'dtype: expected one of bfloat16, float32, got "float16"'],
    [{ numTrainEpochs: 'three' }, 'numTrainEpochs: expected a number, got "three"'],
    [{ warmupSteps: 2.5 }, 'warmupSteps: expected a whole number of steps, or a share below 1, got 2.5'],
    [{ maxSteps: 0 }, 'maxSteps: expected -1 (no limit) or a number of steps above 0, got 0'],
    [{ memoryBudget: 'lots' }, 'bytes, such as 6GB or 512MB, got "lots"'],
    [
      { gradientCheckpointing: 'always' },
      'gradientCheckpointing: expected true or false, or auto, got "always"',
    ],
    [{ lossType: 'kto' }, 'lossType: expected one of sigmoid, hinge'],
    [{ lossType: ['sigmoid', 'kto'] }, 'lossType: expected one of sigmoid, hinge'],
  ])('%j', (wrong, message) => {
    expect(messageOf(() => resolveTrainOptions({ ...required, ...wrong } as TrainOptions))).toContain(
      message,
    );
  });

  test('what is required is named with its explanation', () => {
    const message = messageOf(() => resolveTrainOptions({} as TrainOptions));
    expect(message).toMatch(/3 problems\n {2}- model is required: Model to train/);
    expect(message).toContain('outputDir is required');
  });

  test('an unknown option names the nearest', () => {
    const message = messageOf(() => resolveTrainOptions({ ...required, learningrate: 1 } as TrainOptions));
    expect(message).toBe('options: unknown option learningrate; did you mean learningRate?');
    const far = messageOf(() => resolveTrainOptions({ ...required, zzzzzz: 1 } as TrainOptions));
    expect(far).toBe('options: unknown option zzzzzz');
  });

  test.each<[Partial<TrainOptions>, string]>([
    [{ evalStrategy: 'epoch' }, 'evaluation needs pairs: give evalPairs, or a share above 0 as evalSplit'],
    [{ evalOnStart: true }, 'evaluation needs pairs'],
    [{ evalPairs: 'x.jsonl', evalSplit: 0.1 }, 'give evalPairs or evalSplit, not both'],
    [{ earlyStoppingPatience: 2, evalSplit: 0.1 }, 'earlyStoppingPatience needs evaluations on the way'],
    [{ loadBestModelAtEnd: true, evalSplit: 0.1 }, 'loadBestModelAtEnd needs evaluations on the way'],
    [{ lossType: ['sigmoid', 'sft'], lossWeights: [1] }, 'lossWeights'],
    [{ lossType: 'exo_pair' }, 'labelSmoothing'],
    [{ lossType: 'robust', labelSmoothing: 0.5 }, 'labelSmoothing'],
    [{ metricForBestModel: 'rewards/accuracie' }, 'metricForBestModel: expected one of loss, rewards/chosen'],
  ])('together: %j', (wrong, message) => {
    expect(messageOf(() => resolveTrainOptions({ ...required, ...wrong }))).toContain(message);
  });

  test('messages use the names of the place they came from', () => {
    const inFile = { ...required, perDeviceTrainBatchSize: 0 };
    expect(messageOf(() => resolveFileOptions(inFile))).toContain('per_device_train_batch_size: expected');
    const robust = { ...required, lossType: 'exo_pair' } as const;
    expect(messageOf(() => resolveFileOptions(robust))).toMatch(/label_smoothing: .*loss_type/);
  });
});

describe('files', () => {
  test("a TRL user's file works", () => {
    const { options, notices } = optionsFromYaml(`
      model_name_or_path: HuggingFaceTB/SmolLM2-135M-Instruct
      pairs: pairs.jsonl
      output_dir: out
      learning_rate: 5.0e-7
      loss_type: [sigmoid, sft]
      loss_weights: [1.0, 0.2]
      lr_scheduler_type: cosine
      warmup_ratio: 0.1
      per_device_train_batch_size: 2
      gradient_accumulation_steps: 8
      bf16: true
      use_peft: true
      lora_r: 32
      lora_target_modules: all-linear
      precompute_ref_log_probs: false
      attn_implementation: flash_attention_2
      gradient_checkpointing_kwargs: {use_reentrant: false}
      deepspeed: null
      report_to: none
      optim: adamw_torch
      push_to_hub: false
      dataloader_num_workers: 4
      run_name: try-1
    `);
    expect(resolveFileOptions(options)).toMatchObject({
      model: 'HuggingFaceTB/SmolLM2-135M-Instruct',
      learningRate: 5e-7,
      lossType: ['sigmoid', 'sft'],
      lossWeights: [1, 0.2],
      warmupSteps: 0.1,
      gradientAccumulationSteps: 8,
      dtype: 'bfloat16',
      loraR: 32,
      loraTargetModules: ['all-linear'],
      reportTo: ['none'],
    });
    expect(resolveFileOptions(options).optim).toBe('adamw_torch');
    expect(notices).toHaveLength(7);
    expect(notices).toContain('run_name is passed over: nothing is uploaded from here');
  });

  test.each([
    ['adamw', 'adamw_torch'],
    ['adamw_torch_fused', 'adamw_torch'],
    ['adamw_8bit', 'adamw_8bit'],
    ['adamw_bnb_8bit', 'adamw_8bit'],
  ] as const)('optim %s is %s', (name, written) => {
    const first = resolveTrainOptions({ ...required, optim: name });
    expect(first.optim).toBe(written);
    expect(resolveTrainOptions({ ...required, optim: first.optim }).optim).toBe(written);
  });

  test.each([
    ['learning_rat: 1', 'unknown option learning_rat; did you mean learning_rate?'],
    ['learningRate: 1', 'unknown option learningRate; did you mean learning_rate?'],
    ['fp16: true', 'fp16: true is not possible here: float16 needs loss scaling'],
    ['deepspeed: ds.json', 'deepspeed: "ds.json" is not possible here: training runs in one process'],
    ['dataset_name: a/b', 'give a JSONL file as pairs: FILE'],
    ['warmup_ratio: 3', 'warmup_ratio: expected a share in [0, 1), got 3'],
    ['model_revision: v2', 'owner/name@v2'],
    ['- model', 'expected lines of "option: value", got a list'],
    ['model: [', 'file.yaml is not valid YAML'],
  ])('%s', (yaml, message) => {
    expect(messageOf(() => optionsFromYaml(yaml, 'file.yaml'))).toContain(message);
  });

  test('our own name wins over another spelling of it', () => {
    const { options } = optionsFromRecord({
      dtype: 'float32',
      bf16: true,
      warmup_steps: 5,
      warmup_ratio: 0.5,
    });
    expect(options).toEqual({ dtype: 'float32', warmupSteps: 5 });
  });

  test('an empty file has no options', () => {
    expect(optionsFromYaml('# nothing\n')).toEqual({ options: {}, notices: [] });
  });

  test('the resolved file reads back as the same options', () => {
    const number = fc.double({ min: 1e-9, max: 10, noNaN: true });
    const arbitrary = fc.record(
      {
        learningRate: number,
        beta: number,
        seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        lossType: fc.constantFrom('sigmoid' as const, 'ipo' as const, 'apo_zero' as const),
        maxLength: fc.option(fc.integer({ min: 2, max: 1e6 })),
        usePeft: fc.boolean(),
        adapter: fc.option(fc.string({ minLength: 1 })),
        gradientCheckpointing: fc.constantFrom(true, false, 'auto' as const),
        resumeFromCheckpoint: fc.oneof(fc.boolean(), fc.string({ minLength: 1 })),
        memoryBudget: fc.constantFrom('512 MiB', '6gb', 12345),
        loraTargetModules: fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(arbitrary, fc.string({ minLength: 1 }), (some, model) => {
        const resolved = resolveTrainOptions({ ...required, ...some, model } as TrainOptions);
        const { options, notices } = optionsFromYaml(optionsToYaml(resolved));
        expect(notices).toEqual([]);
        expect(resolveFileOptions(options)).toEqual(resolved);
      }),
      { numRuns: 60 },
    );
  });
});

describe('names', () => {
  test('go from code to file and back', () => {
    for (const { name } of describeTrainOptions()) {
      expect(toCodeName(toFileName(name))).toBe(name);
      expect(toCodeName(toFlagName(name))).toBe(name);
    }
    expect(toFileName('adamBeta1')).toBe('adam_beta1');
    expect(toFileName('fAlphaDivergenceCoef')).toBe('f_alpha_divergence_coef');
    expect(toFlagName('perDeviceTrainBatchSize')).toBe('per-device-train-batch-size');
  });

  test('every option has a help text, a placeholder and a group', () => {
    for (const option of describeTrainOptions()) {
      expect(option.description, option.name).toMatch(/^[A-Z'a-z].{10,}[.]$|[.)]$/);
      expect(option.placeholder, option.name).not.toBe('');
    }
  });
});

describe('parseFlagValue', () => {
  test.each([
    ['learningRate', '5e-7', 5e-7],
    ['outputDir', '2024', '2024'],
    ['maxLength', 'none', null],
    ['maxLength', 'null', null],
    ['usePeft', 'false', false],
    ['usePeft', true, true],
    ['gradientCheckpointing', 'auto', 'auto'],
    ['gradientCheckpointing', 'true', true],
    ['resumeFromCheckpoint', 'out/checkpoint-10', 'out/checkpoint-10'],
    ['reportTo', ['none'], 'none'],
    ['lossType', ['sigmoid,sft'], ['sigmoid', 'sft']],
    ['lossWeights', ['1', '0.2'], [1, 0.2]],
    ['memoryBudget', '6GB', '6GB'],
    ['beta', 'high', 'high'],
  ] as const)('%s %j', (name, written, expected) => {
    expect(parseFlagValue(name, written)).toEqual(expected);
  });
});
