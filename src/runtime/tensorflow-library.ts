/** Loads TensorFlow's shared libraries, once per process. */

import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { RuntimeInstallError } from '../errors.js';
import { cNames, signatures, type TensorflowFunctions } from './tensorflow-functions.js';

export interface TensorflowLibrary {
  readonly directory: string;
  /** TensorFlow's own version, e.g. `2.21.0`. */
  readonly version: string;
  readonly functions: TensorflowFunctions;
  /** A function of C++ that takes a boolean and gives nothing, by its symbol. Throws where there is none. */
  readonly switchOf: (symbol: string) => (on: boolean) => void;
}

let loaded: TensorflowLibrary | undefined;

/**
 * Loads `libtensorflow_framework` and `libtensorflow_cc` from `directory` (as a TensorFlow wheel lays them out).
 * A second call returns the first library: a process has one TensorFlow.
 *
 * @throws RuntimeInstallError when the libraries are missing or do not load.
 */
export function loadTensorflow(directory: string): TensorflowLibrary {
  if (loaded !== undefined) return loaded;
  const [frameworkPath, mainPath] = libraryNames().map((name) => join(directory, name)) as [string, string];
  for (const path of [frameworkPath, mainPath]) {
    if (!existsSync(path)) {
      throw new RuntimeInstallError(`TensorFlow's library ${path} is missing; run \`npx persona-dpo setup\``);
    }
  }
  try {
    // The main library finds the framework's symbols because both are loaded globally, framework first.
    const [framework, main] = withoutNotes(() => [
      koffi.load(frameworkPath, { global: true }),
      koffi.load(mainPath, { global: true }),
    ]) as [LibraryHandle, LibraryHandle];
    keepMapped([frameworkPath, mainPath]);
    const functions = declareFunctions([main, framework]);
    const switchOf = (symbol: string) =>
      declare([framework, main], `void ${symbol}(bool)`) as (on: boolean) => void;
    loaded = { directory, functions, version: functions.TF_Version(), switchOf };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeInstallError(
      `TensorFlow in ${directory} does not load: ${reason}. \`npx persona-dpo setup --force\` installs it anew.`,
      { cause, details: { directory } },
    );
  }
  return loaded;
}

function libraryNames(): [string, string] {
  return process.platform === 'darwin'
    ? ['libtensorflow_framework.2.dylib', 'libtensorflow_cc.2.dylib']
    : ['libtensorflow_framework.so.2', 'libtensorflow_cc.so.2'];
}

/**
 * koffi closes its libraries when Node's environment ends. TensorFlow has handlers that run later, when the process
 * exits, and a process that calls them in unmapped memory crashes. Opened once more, the libraries stay.
 */
function keepMapped(paths: readonly string[]): void {
  const dlopen = koffi.load(null).func('uintptr_t dlopen(const char*, int)');
  const RTLD_LAZY = 1;
  for (const path of paths) dlopen(path, RTLD_LAZY);
}

/**
 * Runs `load` with standard error closed. While it is being loaded, before any log level can be set, TensorFlow writes
 * two lines on every start to say that it uses oneDNN. What goes wrong in loading comes back as an exception.
 */
function withoutNotes<Result>(load: () => Result): Result {
  const c = koffi.load(null);
  const duplicate = c.func('int dup(int)');
  const replace = c.func('int dup2(int, int)');
  const STDERR = 2;
  const kept: number = duplicate(STDERR);
  const nothing = openSync('/dev/null', 'w');
  replace(nothing, STDERR);
  try {
    return load();
  } finally {
    replace(kept, STDERR);
    closeSync(nothing);
    closeSync(kept);
  }
}

function declareFunctions(libraries: readonly LibraryHandle[]): TensorflowFunctions {
  koffi.struct('TF_Output', { oper: 'uintptr_t', index: 'int' });
  const functions: Record<string, unknown> = {};
  for (const [name, { result, parameters }] of Object.entries(signatures)) {
    const prototype = `${cNames[result]} ${name}(${parameters.map((type) => cNames[type]).join(', ')})`;
    functions[name] = declare(libraries, prototype);
  }
  return functions as TensorflowFunctions;
}

/** A function is in one of the two libraries; which one has changed between releases. */
function declare(libraries: readonly LibraryHandle[], prototype: string): unknown {
  let missing: unknown;
  for (const library of libraries) {
    try {
      return library.func(prototype);
    } catch (error) {
      missing = error;
    }
  }
  throw missing;
}
