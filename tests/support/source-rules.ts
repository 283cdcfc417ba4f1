import { dirname, posix } from 'node:path';
import ts from 'typescript';

/** A file of `src`, its path relative to it with forward slashes. */
export interface SourceFile {
  path: string;
  text: string;
}

/** The house's folders from the ground up; a folder may import those of a lower level, never its own neighbours. */
const LEVELS: readonly (readonly string[])[] = [
  ['errors.ts'],
  ['data'],
  ['runtime'],
  ['kernels'],
  ['losses', 'models'],
  ['llm', 'rewards'],
  ['pairs', 'train'],
  ['eval', 'serve'],
  ['report'],
  ['run'],
  ['index.ts'],
  ['cli'],
];

/** What a folder may not import although it is lower down. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = { runtime: ['data'] };

/** Packages that bind native runtimes. */
const NATIVE_RUNTIMES = /^(koffi|onnxruntime-node|@tensorflow\/tfjs-node(-gpu)?)(\/|$)/;

/** The one file outside `cli` that may read the environment. */
const ENVIRONMENT_READER = 'runtime/install/location.ts';

/** What only the command line may touch. */
const TERMINAL = ['process.argv', 'process.exit', 'process.stdout', 'process.stderr', 'process.stdin'];

/** The folder of `src` that a file belongs to, or the file itself where it lies in no folder. */
function areaOf(path: string): string {
  return path.split('/')[0] as string;
}

function levelOf(area: string): number {
  return LEVELS.findIndex((areas) => areas.includes(area));
}

/** Imports that break the order of the folders, as `from -> to`. */
export function importViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter((specifier) => !isAllowedImport(file.path, specifier))
      .map((specifier) => `${file.path} -> ${specifier}`),
  );
}

function isAllowedImport(path: string, specifier: string): boolean {
  const from = areaOf(path);
  if (!specifier.startsWith('.')) return from === 'runtime' || !NATIVE_RUNTIMES.test(specifier);
  const target = posix.normalize(posix.join(dirname(path), specifier)).replace(/\.js$/, '.ts');
  const to = areaOf(target);
  if (to === from) return true;
  if (levelOf(to) === -1) return false;
  return levelOf(to) < levelOf(from) && !(EXCEPTIONS[from]?.includes(to) ?? false);
}

function importsOf({ text }: SourceFile): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

/** Files that lie in no folder the house knows. */
export function strayFiles(files: readonly SourceFile[]): string[] {
  return files.map(({ path }) => path).filter((path) => levelOf(areaOf(path)) === -1);
}

/** Uses of the environment, the terminal and the process's end outside the command line. */
export function terminalViolations(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => areaOf(path) !== 'cli')
    .flatMap((file) =>
      propertyAccesses(file)
        .filter((access) => {
          if (access === 'process.env') return file.path !== ENVIRONMENT_READER;
          return TERMINAL.includes(access) || access.startsWith('console.');
        })
        .map((access) => `${file.path}: ${access}`),
    );
}

/** `a.b` accesses on plain names, comments and strings left aside. */
function propertyAccesses(file: SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      found.push(`${node.expression.text}.${node.name.text}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(parse(file));
  return found;
}

export function defaultExports(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) =>
      parse(file).statements.some(
        (statement) =>
          ts.isExportAssignment(statement) ||
          (ts.canHaveModifiers(statement) &&
            (ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) ?? false)),
      ),
    )
    .map(({ path }) => path);
}

/** File and folder names that are not kebab-case. */
export function badNames(files: readonly SourceFile[]): string[] {
  return files
    .map(({ path }) => path)
    .filter((path) => !path.split('/').every((part) => /^[a-z0-9]+(-[a-z0-9]+)*(\.ts)?$/.test(part)));
}

function parse({ path, text }: SourceFile): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, false);
}
