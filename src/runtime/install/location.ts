/** Where TensorFlow's libraries are. */

/** The folder that holds libtensorflow_cc, or undefined when nothing is installed. */
export function locateTensorflow(): string | undefined {
  return process.env.PERSONA_DPO_TENSORFLOW_DIR;
}
