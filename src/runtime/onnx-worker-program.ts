/**
 * The program of the thread that an ONNX Runtime session lives on. The package's own `run` computes on the calling
 * thread, so that progress, Ctrl-C and servers would stand still for as long as a batch takes.
 *
 * It is text, not a module: a thread is started from a file, and this package runs from compiled and from uncompiled
 * sources alike. What outputs are held stay on the thread, so that a cache of keys and values is never copied.
 */
export const ONNX_WORKER_PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const ort = require(workerData.modulePath);
const held = new Map();
// What goes wrong is thrown, and told by who asked.
ort.env.logLevel = 'fatal';

function toTensor(feed) {
  if (feed.held === undefined) return new ort.Tensor(feed.type, feed.data, feed.dims);
  const tensor = held.get(feed.held)?.[feed.output];
  if (tensor === undefined) throw new Error('the outputs that hold ' + feed.output + ' have been released');
  return tensor;
}

async function run(session, { feeds, outputs, hold }) {
  const tensors = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toTensor(feed)]));
  const results = await session.run(tensors, outputs);
  if (hold !== null) {
    held.set(hold, results);
    return null;
  }
  return Object.fromEntries(
    Object.entries(results).map(([name, { type, dims, data }]) => [name, { type, dims, data: data.slice() }]),
  );
}

async function main() {
  const session = await ort.InferenceSession.create(workerData.path, workerData.options);
  parentPort.on('message', async (message) => {
    const { id, kind } = message;
    if (kind === 'release') {
      held.delete(message.hold);
      return;
    }
    if (kind === 'close') {
      held.clear();
      await session.release();
      parentPort.close();
      return;
    }
    try {
      parentPort.postMessage({ id, result: await run(session, message) });
    } catch (error) {
      parentPort.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
  const { inputMetadata: inputs, outputMetadata: outputs } = session;
  parentPort.postMessage({ ready: true, inputs, outputs });
}

main().catch((error) => parentPort.postMessage({ ready: false, error: String(error?.message ?? error) }));
`;
