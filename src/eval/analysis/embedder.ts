/** The one interface to whatever turns texts into vectors. */

export interface EmbedOptions {
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Whoever opens it disposes it. */
export interface Embedder {
  /** What the vectors depend on, as one line. */
  readonly identity: string;
  /**
   * A vector of length 1 for each text, in their order. Of a text that is longer than the model reads, the beginning
   * counts.
   */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  dispose(): Promise<void>;
}

/** The vector scaled to length 1, in place; null for one that cannot be: zero, or not finite. */
export function normalized(vector: Float32Array): Float32Array | null {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  if (!(length > 0 && Number.isFinite(length))) return null;
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) / length;
  return vector;
}
