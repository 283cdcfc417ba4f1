import { MultiBar, Presets, type SingleBar } from 'cli-progress';

/** Progress on standard error: a bar on a terminal, else a line now and then. */
export interface Progress {
  /** `done` of `total`, with a few words on how it goes. A new `label` starts a new bar. */
  update(label: string, done: number, total: number, text?: string): void;
  /** A line of its own, above the bar. */
  line(message: string): void;
  /** Takes the bar away; a later `update` starts another. */
  end(): void;
}

export interface ProgressOptions {
  stream?: NodeJS.WriteStream;
  /** Without a terminal: seconds between two lines. Default 10. */
  secondsBetweenLines?: number;
}

export function createProgress(options: ProgressOptions = {}): Progress {
  const { stream = process.stderr, secondsBetweenLines = 10 } = options;
  return stream.isTTY ? barProgress(stream) : lineProgress(stream, secondsBetweenLines * 1000);
}

/** For `--json` and `--quiet`: only lines are shown. */
export function silentProgress(): Progress {
  return { update: () => undefined, line: () => undefined, end: () => undefined };
}

function barProgress(stream: NodeJS.WriteStream): Progress {
  let bars: MultiBar | undefined;
  let bar: SingleBar | undefined;
  let current = '';
  const end = () => {
    // Draws what has come since the last redraw: `stop` alone would leave out lines that wait to be written.
    bars?.update();
    bars?.stop();
    bars = undefined;
    bar = undefined;
    current = '';
  };
  return {
    update(label, done, total, text = '') {
      if (bar === undefined || label !== current) {
        end();
        bars = new MultiBar(
          {
            stream,
            format: '{label} {bar} {percentage}% {text}',
            barsize: 24,
            hideCursor: true,
            gracefulExit: false,
          },
          Presets.shades_classic,
        );
        bar = bars.create(Math.max(total, 1), 0, { label, text });
        current = label;
      }
      bar.setTotal(Math.max(total, 1));
      bar.update(done, { label, text });
    },
    line(message) {
      // Above a running bar the bar must do the writing, or the two overwrite each other.
      if (bars === undefined) stream.write(`${message}\n`);
      else {
        bars.log(`${message}\n`);
        bars.update();
      }
    },
    end,
  };
}

function lineProgress(stream: NodeJS.WriteStream, msBetweenLines: number): Progress {
  let current = '';
  let last = 0;
  return {
    update(label, done, total, text = '') {
      const now = Date.now();
      const finished = total > 0 && done >= total;
      if (label === current && !finished && now - last < msBetweenLines) return;
      current = finished ? '' : label;
      last = now;
      const percent = total > 0 ? ` ${Math.floor((100 * done) / total)}%` : '';
      stream.write(`${label}${percent}${text === '' ? '' : ` ${text}`}\n`);
    },
    line: (message) => void stream.write(`${message}\n`),
    end: () => {
      current = '';
    },
  };
}
