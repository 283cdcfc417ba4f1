/** Which execution providers ONNX Runtime has here. */

export interface OnnxProvider {
  name: string;
  /** Whether its library is there; one that comes by another way is listed all the same. */
  bundled: boolean;
}

/** ONNX Runtime's version and providers. Throws when its library doesn't load. */
export async function onnxProviders(): Promise<{ version: string; providers: OnnxProvider[] }> {
  const { env, listSupportedBackends } = await import('onnxruntime-node');
  const providers = listSupportedBackends().map(({ name, bundled }) => ({ name, bundled }));
  return { version: env.versions.node ?? env.versions.common, providers };
}
