/**
 * Every error this package throws on purpose. A caller can test the class, or `code` where the class was
 * lost on the way (another process, another copy of the package).
 */

export interface ErrorOptions {
  /** What a program may want to read: the file, the row, the shapes. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** Base class: a message for people, a `code` and `details` for programs, and the cause where there is one. */
export class PersonaDpoError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** An option, flag or configuration file that cannot be used. Exit code 2. */
export class ConfigError extends PersonaDpoError {
  constructor(message: string, options?: ErrorOptions) {
    super('CONFIG', message, options);
  }
}

/** Tensors or arrays whose shapes or dtypes do not fit what was asked of them. */
export class ShapeError extends PersonaDpoError {
  constructor(message: string, options?: ErrorOptions) {
    super('SHAPE', message, options);
  }
}

export interface DataErrorOptions extends ErrorOptions {
  file?: string;
  /** 1-based line or row. */
  row?: number;
}

/** A file or row that does not hold what it should; names file and row. */
export class DataError extends PersonaDpoError {
  readonly file: string | undefined;
  readonly row: number | undefined;

  constructor(message: string, { file, row, ...options }: DataErrorOptions = {}) {
    const place = file === undefined ? '' : row === undefined ? `${file}: ` : `${file}:${row}: `;
    super('DATA', place + message, { ...options, details: { file, row, ...options.details } });
    this.file = file;
    this.row = row;
  }
}

/** A model, adapter or training checkpoint that cannot be read or does not fit. */
export class CheckpointError extends PersonaDpoError {
  constructor(message: string, options?: ErrorOptions) {
    super('CHECKPOINT', message, options);
  }
}

/** TensorFlow or ONNX Runtime is missing or does not load; the message names the command that mends it. */
export class RuntimeInstallError extends PersonaDpoError {
  constructor(message: string, options?: ErrorOptions) {
    super('RUNTIME_INSTALL', message, options);
  }
}

/** A TensorFlow operation failed; the message names the op, its inputs' dtypes and shapes, and TensorFlow's words. */
export class OpError extends PersonaDpoError {
  constructor(message: string, options?: ErrorOptions) {
    super('OP', message, options);
  }
}

/** Training cannot go on: the loss is not a number, or exploded. */
export class TrainingError extends PersonaDpoError {
  constructor(message: string, options?: ErrorOptions) {
    super('TRAINING', message, options);
  }
}

export interface LlmApiErrorOptions extends ErrorOptions {
  /** HTTP status; absent where no answer came. */
  status?: number;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** The beginning of the server's answer. */
  body?: string;
}

/** A language model's server, or a local model in its place, did not answer a request as it should. */
export class LlmApiError extends PersonaDpoError {
  readonly status: number | undefined;
  readonly retryable: boolean;
  readonly body: string | undefined;

  constructor(message: string, { status, retryable, body, ...options }: LlmApiErrorOptions) {
    super('LLM_API', message, { ...options, details: { status, retryable, body, ...options.details } });
    this.status = status;
    this.retryable = retryable;
    this.body = body;
  }
}
