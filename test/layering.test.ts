// Imports go one way: protocol <- transport <- client <- cli. The rules stand in layering.ts; here they are held
// against the repository, and each of them is shown to bite on a small tree that breaks it.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EXCEPTIONS, findViolations } from './layering.ts';

const root = new URL('..', import.meta.url).pathname;
const { dependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { dependencies: object };
const packages = new Set(Object.keys(dependencies));

function readTree(): Map<string, string> {
  const sources = new Map<string, string>();
  for (const layer of ['protocol', 'transport', 'client', 'cli', 'fuzz']) {
    for (const entry of readdirSync(`${root}${layer}`, { recursive: true }) as string[]) {
      const file = `${layer}/${entry}`;
      if (file.endsWith('.ts')) sources.set(file, readFileSync(root + file, 'utf8'));
    }
  }
  return sources;
}

/** The violations of a tree whose files get a header comment for free. */
function judge(files: Record<string, string>): string[] {
  const sources = Object.entries(files).map(([file, text]) => [file, `// header\n${text}`] as const);
  return findViolations(new Map(sources), packages, []);
}

describe('the layers of this repository', () => {
  const sources = readTree();

  it('has sources to judge', () => {
    expect(sources.size).toBeGreaterThan(30);
  });

  it('keeps every rule', () => {
    expect(findViolations(sources, packages)).toEqual([]);
  });

  it('gives a reason for every exception', () => {
    for (const { why } of EXCEPTIONS) expect(why.length).toBeGreaterThan(20);
  });
});

describe('the checker', () => {
  const index = { 'protocol/index.ts': '', 'transport/index.ts': '', 'client/index.ts': '' };

  it('accepts imports that go down through the index', () => {
    expect(
      judge({
        ...index,
        'protocol/a.ts': "import { x } from '@noble/hashes/sha2.js'; export const y = () => x;",
        'transport/tcp.ts':
          "import * as net from 'node:net'; import { x } from '../protocol/index.ts'; await_(net, x);",
        'client/a.ts': "export const f = async () => (await import('../transport/index.ts')).x;",
        'cli/a.ts': "import yargs from 'yargs'; import type { x } from '../client/index.ts'; yargs();",
      }).filter((violation) => !violation.includes('@noble')),
    ).toEqual([]);
  });

  it.each([
    ['an edge that goes up', 'transport/a.ts', "import '../client/index.ts';", 'may not import client'],
    ['a layer skipped', 'cli/a.ts', "import '../protocol/index.ts';", 'may not import protocol'],
    [
      'a type import that goes up',
      'protocol/a.ts',
      "import type { X } from '../client/index.ts';",
      'may not import client',
    ],
    [
      'an inline type import',
      'protocol/a.ts',
      "export type X = import('../client/index.ts').X;",
      'may not import client',
    ],
    ['a re-export that goes up', 'protocol/a.ts', "export * from '../client/index.ts';", 'may not import client'],
    [
      'a lazy import that goes up',
      'transport/a.ts',
      "export const f = () => import('../client/index.ts');",
      'may not import client',
    ],
    ['a test imported', 'client/a.ts', "import '../test/x.ts';", 'does not exist'],
    ['a missing file', 'protocol/a.ts', "import './b.ts';", 'does not exist'],
    ['no extension', 'protocol/a.ts', "import './b';", 'without its .ts'],
    ['a computed import', 'client/a.ts', 'export const f = (s: string) => import(s);', 'something computed'],
    ['the platform in protocol', 'protocol/a.ts', "import 'node:net';", 'imports node:net'],
    ['a package of another layer', 'client/a.ts', "import 'yaml';", 'imports yaml'],
    ['a primitive outside crypto', 'protocol/kex/a.ts', "import '@noble/curves/ed25519.js';", 'CryptoProvider'],
    ['node:crypto outside its files', 'client/a.ts', "import 'node:crypto';", 'transport/node-*.ts'],
    ['yaml outside config', 'cli/a.ts', "import 'yaml';", 'YAML into settings'],
    ['async in protocol', 'protocol/a.ts', 'export async function f() {}', 'mentions async'],
    ['await in protocol', 'protocol/a.ts', 'export const f = async () => { await g(); };', 'mentions await'],
    ['a promise type in protocol', 'protocol/a.ts', 'export type P = Promise<void>;', 'mentions Promise'],
    ['a clock in protocol', 'protocol/a.ts', 'export const t = () => Date.now();', 'mentions Date'],
    ['a timer in protocol', 'protocol/a.ts', 'export const t = () => setTimeout(f, 1);', 'mentions setTimeout'],
    ['Buffer in protocol', 'protocol/a.ts', 'export const b = Buffer.alloc(1);', 'mentions Buffer'],
    ['shorthand Buffer', 'protocol/a.ts', 'export const b = { Buffer };', 'mentions Buffer'],
    ['TextEncoder in protocol', 'protocol/a.ts', 'export const e = new TextEncoder();', 'mentions TextEncoder'],
    ['a weak random', 'transport/a.ts', 'export const r = () => Math.random();', 'mentions Math.random'],
    ['stdout in client', 'client/a.ts', "process.stdout.write('x');", 'mentions process.stdout'],
    ['the environment in transport', 'transport/a.ts', 'export const e = process.env;', 'mentions process.env'],
    ['top-level await', 'cli/a.ts', 'await f();', 'top-level await'],
    ['import.meta', 'cli/a.ts', 'export const u = import.meta.url;', 'import.meta'],
  ])('refuses %s', (_what, file, text, expected) => {
    expect(judge({ ...index, [file]: text }).join('\n')).toContain(expected);
  });

  it('refuses a reach past an index', () => {
    const files = { ...index, 'protocol/b.ts': '', 'transport/a.ts': "import '../protocol/b.ts';" };
    expect(judge(files)).toEqual(['transport/a.ts: reaches past protocol/index.ts']);
  });

  it('refuses a package that is not a dependency', () => {
    const sources = new Map([['cli/config/a.ts', "// header\nimport 'yaml';"]]);
    expect(findViolations(sources, new Set(), [])).toEqual([
      'cli/config/a.ts: yaml is not under dependencies in package.json',
    ]);
  });

  it('refuses an import cycle, but not one of types or of lazy imports', () => {
    const cycle = (back: string) => ({ 'client/a.ts': "import './b.ts';", 'client/b.ts': back });
    expect(judge(cycle("import './a.ts';"))).toEqual(['import cycle: client/a.ts -> client/b.ts -> client/a.ts']);
    expect(judge(cycle("import type { A } from './a.ts';"))).toEqual([]);
    expect(judge(cycle("export const f = () => import('./a.ts');"))).toEqual([]);
  });

  it('is not taken in by labels and comments', () => {
    const text = "// Promise\nexport const o = { Promise: 1, 'Buffer': 2 }; export const p = o.Promise; /* async */";
    expect(judge({ 'protocol/a.ts': text })).toEqual([]);
  });

  it('refuses a file without a header and an exception that excuses nothing', () => {
    const bare = new Map([['protocol/a.ts', 'export const a = 1;']]);
    const excuse = (file: string, what: string) => [{ file, what, why: 'for this test' }];
    expect(findViolations(bare, packages, [])).toEqual(['protocol/a.ts: has no header comment']);
    expect(findViolations(bare, packages, excuse('protocol/a.ts', 'has no header'))).toEqual([]);
    expect(findViolations(new Map(), packages, excuse('gone.ts', 'x'))).toEqual(['idle exception: gone.ts: x']);
  });
});
