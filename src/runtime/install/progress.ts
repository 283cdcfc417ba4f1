/** What an installation reports while it works; `done` and `total` are bytes. */
export interface InstallProgress {
  /** `wait`: another process is at the same work. */
  phase: 'wait' | 'download' | 'verify' | 'unpack';
  /** The file or folder at hand. */
  label: string;
  done: number;
  /** 0 where it is not known. */
  total: number;
}

export type OnProgress = (progress: InstallProgress) => void;
