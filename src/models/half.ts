let table: Float32Array | undefined;

/**
 * float32 value of each of the 65,536 float16 bit patterns (256 KiB, made at first use): a look-up is the
 * fastest conversion there is without hardware support. Subnormals, infinities and NaN included.
 */
export function halfToFloatTable(): Float32Array {
  if (table !== undefined) return table;
  const values = new Float32Array(65_536);
  for (let bits = 0; bits < 65_536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) values[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) values[bits] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else values[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  table = values;
  return values;
}
