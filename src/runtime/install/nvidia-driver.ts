import { existsSync } from 'node:fs';

/** Files that NVIDIA's kernel driver makes, outside and inside containers, and WSL's stand-in for it. */
const DRIVER_FILES = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg'];

/** Whether this machine has a driver for an NVIDIA GPU. */
export function hasNvidiaDriver(files: readonly string[] = DRIVER_FILES): boolean {
  return files.some((file) => existsSync(file));
}
