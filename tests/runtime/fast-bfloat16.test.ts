import { describe, expect, it } from 'vitest';
import { multipliesBfloat16Fast, parseProcessorFeatures } from '../../src/runtime/fast-bfloat16.js';

const cpuInfo = (vendor: string, flags: string) =>
  `processor\t: 0\nvendor_id\t: ${vendor}\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: ${flags}\n\nprocessor\t: 1\n`;

describe('products of bfloat16', () => {
  it.each([
    ['with AMX', cpuInfo('GenuineIntel', 'fpu avx512f avx512_bf16 amx_bf16 amx_tile'), true],
    ['of AVX-512 on AMD', cpuInfo('AuthenticAMD', 'fpu avx512f avx512_bf16'), true],
    ['of AVX-512 on Intel', cpuInfo('GenuineIntel', 'fpu avx512f avx512_bf16'), false],
    ['without either', cpuInfo('AuthenticAMD', 'fpu avx2'), false],
    ['on ARM', 'processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n', true],
    ['on a system that tells nothing', '', false],
  ])('%s', (_what, text, fast) => {
    expect(multipliesBfloat16Fast(parseProcessorFeatures(text))).toBe(fast);
  });
});
