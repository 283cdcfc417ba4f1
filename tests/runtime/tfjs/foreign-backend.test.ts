import { expect, test } from 'vitest';
import { ConfigError } from '../../../src/errors.js';
import { useTensorflowBackend } from '../../../src/runtime/tfjs/backend.js';
import { tf } from '../../../src/runtime/tfjs/tf.js';

test("another package's 'tensorflow' backend is not replaced behind its user's back", async () => {
  const foreign = new tf.KernelBackend();
  tf.registerBackend('tensorflow', () => foreign);
  await expect(useTensorflowBackend()).rejects.toThrow(ConfigError);
  await expect(useTensorflowBackend()).rejects.toThrow("already has a 'tensorflow' backend from elsewhere");
  expect(tf.findBackend('tensorflow')).toBe(foreign);
});
