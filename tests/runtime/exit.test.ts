import { describe, expect, test } from 'vitest';
import { runProgram } from './programs/run-program.js';

describe('a process that used TensorFlow ends with its own exit code', () => {
  test.each([
    'started only',
    'live tensors',
    'process.exit',
    'process.exit in an operation',
    'operation not deleted',
  ])('%s', async (ending) => {
    const { code, signal, stderr } = await runProgram('end.ts', [ending]);
    expect({ code, signal }, stderr).toEqual({ code: 0, signal: null });
  });
});
