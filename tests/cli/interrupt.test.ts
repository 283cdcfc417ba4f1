import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const module = pathToFileURL(join(root, 'src', 'cli', 'interrupt.ts')).href;

/** Work that says when it begins and when it is asked to stop; `stops`: whether it then does. */
function program(stops: boolean): string {
  return `
    import { withInterrupt } from ${JSON.stringify(module)};
    const result = await withInterrupt(
      (signal) => new Promise((resolve) => {
        const alive = setInterval(() => undefined, 1000);
        console.log('working');
        signal.addEventListener('abort', () => {
          if (${stops}) { clearInterval(alive); resolve('saved'); }
        });
      }),
      () => console.log('stopping'),
    );
    console.log(result, process.listenerCount('SIGINT'));
  `;
}

function run(stops: boolean, react: (line: string, send: (signal: NodeJS.Signals) => void) => void) {
  return new Promise<{ code: number | null; lines: string[] }>((resolve, reject) => {
    const loader = join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs');
    const child = spawn(process.execPath, ['--import', loader, '--input-type=module', '-e', program(stops)]);
    const lines: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.trim().split('\n')) {
        lines.push(line);
        react(line, (signal) => child.kill(signal));
      }
    });
    child.on('error', reject).on('close', (code) => resolve({ code, lines }));
  });
}

describe('withInterrupt', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('a first %s lets the work end by itself', async (signal) => {
    const { code, lines } = await run(true, (line, send) => line === 'working' && send(signal));
    expect(lines).toEqual(['working', 'stopping', 'saved 0']);
    expect(code).toBe(0);
  });

  test('a second one ends the process at once with 130', async () => {
    const { code, lines } = await run(false, (line, send) => {
      if (line === 'working' || line === 'stopping') send('SIGINT');
    });
    expect(lines).toEqual(['working', 'stopping']);
    expect(code).toBe(130);
  });
});
