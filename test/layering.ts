// The rules of the layers as data, and a checker that holds any set of sources against them (the real tree in
// layering.test.ts, small broken trees beside it). Sources are parsed, not searched: a word in a comment or a
// property that happens to be called `Promise` is no violation. It does not judge what TypeScript or biome judge.
import { posix } from 'node:path';
import { parseSync } from 'rolldown/utils';

interface Layer {
  /** Other layers it may import, each through that folder's index.ts only. */
  readonly layers: readonly string[];
  /** Package names, `node:*` for the platform. */
  readonly packages: readonly string[];
  /** Free identifiers and `global.member` pairs that its code may not mention. */
  readonly words: readonly string[];
}

const WAITING = ['Promise', 'async', 'await', 'queueMicrotask', 'setTimeout', 'setInterval', 'setImmediate'];
const PLATFORM = [
  'Buffer',
  'process',
  'console',
  'Date',
  'performance',
  'globalThis',
  'crypto.subtle',
  'crypto.getRandomValues',
  'require',
  'fetch',
];
const TEXT = ['TextEncoder', 'TextDecoder', 'structuredClone', 'Math.random', 'eval', 'Function'];
const TERMINAL = ['process.stdin', 'process.stdout', 'process.stderr', 'process.argv', 'process.exit', 'console'];

const LAYERS: Readonly<Record<string, Layer>> = {
  protocol: {
    layers: [],
    packages: ['@noble/ciphers', '@noble/curves', '@noble/hashes', '@noble/post-quantum', 'tweetnacl', 'pako'],
    words: [...WAITING, ...PLATFORM, ...TEXT],
  },
  transport: {
    layers: ['protocol'],
    packages: ['node:*'],
    words: [...TERMINAL, 'process.env', 'Math.random', 'eval', 'Function'],
  },
  client: {
    layers: ['protocol', 'transport'],
    packages: ['node:*'],
    words: [...TERMINAL, 'Math.random', 'eval', 'Function'],
  },
  cli: { layers: ['client'], packages: ['node:*', 'yargs', 'yaml', 'diff'], words: ['console', 'eval', 'Function'] },
  fuzz: { layers: ['protocol', 'transport', 'client', 'cli'], packages: ['fast-check', 'vitest', 'node:*'], words: [] },
};

/** Inside the layer that may use it, a package is still confined to the files that need it. */
const CONFINED: ReadonlyArray<{ readonly name: RegExp; readonly to: RegExp; readonly why: string }> = [
  {
    // The byte helpers of noble are no primitives.
    name: /^(@noble\/(?!hashes\/utils\.js)|tweetnacl)/,
    to: /^(protocol\/crypto|fuzz|test)\//,
    why: 'primitives come through the CryptoProvider, so that the platform can replace each of them',
  },
  { name: /^pako$/, to: /^protocol\/packet\/compression\.ts$/, why: 'one file holds the inflate limits' },
  {
    name: /^node:(crypto|zlib)$/,
    to: /^(transport\/node-[a-z]+|fuzz\/.*|test\/.*)\.ts$/,
    why: 'whatever has a pure twin is found by feature test in transport/node-*.ts and nowhere else',
  },
  { name: /^yargs/, to: /^cli\//, why: 'a command-line library has no place in a library' },
  { name: /^yaml$/, to: /^cli\/config\//, why: 'one place turns YAML into settings' },
  { name: /^diff$/, to: /^cli\/render\/unified\.ts$/, why: 'one file holds the bounds of a comparison' },
];

export interface Exception {
  readonly file: string;
  /** How the violation goes on after the file's name. */
  readonly what: string;
  readonly why: string;
}

/** An entry that excuses nothing is itself a violation. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    file: 'client/fleet/run.ts',
    what: 'mentions Math.random',
    why: 'spreads retries in time; nothing secret depends on it, and tests pass their own source',
  },
  {
    file: 'client/known-hosts-file.ts',
    what: 'imports node:crypto',
    why: 'names a temporary file at random, which is no business of the session',
  },
  {
    file: 'client/config/known-hosts.ts',
    what: 'imports node:crypto',
    why: 'the hashed names of known_hosts are HMAC-SHA1 by format, whatever the session uses',
  },
  {
    file: 'client/config/tokens.ts',
    what: 'imports node:crypto',
    why: 'the token %C of ssh_config is a SHA-1 by definition, whatever the session uses',
  },
  {
    file: 'client/sftp/transfer.ts',
    what: 'imports node:crypto',
    why: 'names a temporary file at random, which is no business of the session',
  },
  {
    file: 'cli/remote/folder.ts',
    what: 'imports node:crypto',
    why: 'names a folder and a mark at random, which is no business of the session',
  },
  {
    file: 'cli/journal/recorder.ts',
    what: 'imports node:crypto',
    why: 'digests what hosts print so that runs can be compared; nothing here is secret',
  },
  {
    file: 'cli/render/answers.ts',
    what: 'imports node:crypto',
    why: 'finds equal outputs by their hash; the layer cannot see the provider, and nothing here is secret',
  },
  {
    file: 'cli/render/spill.ts',
    what: 'imports node:crypto',
    why: 'names a temporary file at random, which is no business of the session',
  },
];

/** fuzz/ and test/ look inside the layers on purpose. */
const MAY_REACH_INSIDE = new Set(['fuzz', 'test']);

interface Edge {
  readonly to: string;
  readonly typeOnly: boolean;
  readonly lazy: boolean;
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

interface Parsed {
  readonly edges: Edge[];
  readonly words: Set<string>;
  readonly faults: string[];
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

const nameOf = (node: unknown): string | undefined =>
  isNode(node) && node.type === 'Identifier' ? String(node.name) : undefined;

/** True for identifiers that name a member or a key, not a variable. */
function isLabel(parent: Node, key: string): boolean {
  if (parent.computed === true) return false;
  if (key === 'property') return parent.type === 'MemberExpression';
  if (key === 'right') return parent.type === 'TSQualifiedName';
  if (key === 'key') return parent.shorthand !== true;
  return (key === 'imported' || key === 'exported') && parent.type.endsWith('Specifier');
}

function collectWords(node: Node, words: Set<string>): void {
  if (node.async === true) words.add('async');
  if (node.type === 'AwaitExpression' || node.await === true) words.add('await');
  if (node.type === 'MemberExpression') {
    const [object, member] = [nameOf(node.object), nameOf(node.property)];
    if (object !== undefined && member !== undefined) words.add(`${object}.${member}`);
  }
  for (const [key, value] of Object.entries(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (!isNode(child)) continue;
      const name = nameOf(child);
      if (name !== undefined && !isLabel(node, key)) words.add(name);
      collectWords(child, words);
    }
  }
}

function collectTypeImports(node: unknown, edges: Edge[]): void {
  if (!isNode(node)) return;
  if (node.type === 'TSImportType' && isNode(node.source)) {
    edges.push({ to: String(node.source.value), typeOnly: true, lazy: false });
  }
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) collectTypeImports(child, edges);
  }
}

function parse(file: string, text: string): Parsed {
  const { program, module, errors } = parseSync(file, text);
  const faults = errors.map((error) => `does not parse: ${error.message}`);
  const edges: Edge[] = [];
  for (const found of module.staticImports) {
    const typeOnly = found.entries.length > 0 && found.entries.every((entry) => entry.isType);
    edges.push({ to: found.moduleRequest.value, typeOnly, lazy: false });
  }
  for (const found of module.staticExports) {
    const from = found.entries.filter((entry) => entry.moduleRequest);
    const [first] = from;
    if (first?.moduleRequest) {
      edges.push({ to: first.moduleRequest.value, typeOnly: from.every((entry) => entry.isType), lazy: false });
    }
  }
  for (const found of module.dynamicImports) {
    const source = text.slice(found.moduleRequest.start, found.moduleRequest.end);
    const literal = /^(['"])([^'"]*)\1$/.exec(source)?.[2];
    if (literal === undefined) faults.push(`imports something computed: ${source}`);
    else edges.push({ to: literal, typeOnly: false, lazy: true });
  }
  collectTypeImports(program, edges);
  const words = new Set<string>();
  collectWords(program as unknown as Node, words);
  if (module.importMetas.length > 0) words.add('import.meta');
  if ((program.body as unknown as Node[]).some(awaitsAtTop)) words.add('top-level await');
  return { edges, words, faults };
}

const FUNCTIONS = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression|MethodDefinition)$/;

function awaitsAtTop(node: unknown): boolean {
  if (!isNode(node) || FUNCTIONS.test(node.type)) return false;
  if (node.type === 'AwaitExpression' || node.await === true) return true;
  return Object.values(node).some((value) => (Array.isArray(value) ? value : [value]).some(awaitsAtTop));
}

const layerOf = (file: string): string => file.split('/', 1)[0] ?? '';

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

function judgePackage(file: string, specifier: string): string[] {
  const layer = LAYERS[layerOf(file)];
  const name = packageOf(specifier);
  const allowed = layer?.packages.some((known) => known === name || (known === 'node:*' && name.startsWith('node:')));
  if (layer && !allowed) return [`${file}: imports ${specifier}`];
  return CONFINED.filter((rule) => rule.name.test(specifier) && !rule.to.test(file)).map(
    (rule) => `${file}: imports ${specifier}; ${rule.why}`,
  );
}

function judgeEdge(file: string, target: string, known: ReadonlySet<string>): string[] {
  const [from, to] = [layerOf(file), layerOf(target)];
  if (!target.endsWith('.ts')) return [`${file}: imports ${target} without its .ts`];
  if (!known.has(target)) return [`${file}: imports ${target}, which does not exist`];
  if (from === to) return [];
  if (!LAYERS[from]?.layers.includes(to)) return [`${file}: the layer ${from} may not import ${to}`];
  if (!MAY_REACH_INSIDE.has(from) && target !== `${to}/index.ts`) return [`${file}: reaches past ${to}/index.ts`];
  return [];
}

/** Every cycle as the list of its files; a type-only or lazy edge ties no evaluation order and does not count. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const path: string[] = [];
  const found: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.push(`import cycle: ${[...path.slice(at), file].join(' -> ')}`);
    if (at >= 0 || done.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return found;
}

/** `sources` maps paths from the top of the repository to their text. */
export function findViolations(
  sources: ReadonlyMap<string, string>,
  dependencies: ReadonlySet<string>,
  exceptions = EXCEPTIONS,
): string[] {
  const known = new Set(sources.keys());
  const graph = new Map<string, string[]>();
  const found: string[] = [];
  for (const [file, text] of sources) {
    const layer = LAYERS[layerOf(file)];
    if (!layer) continue;
    const { edges, words, faults } = parse(file, text);
    found.push(...faults.map((fault) => `${file}: ${fault}`));
    for (const { to } of edges.filter((edge) => !edge.to.startsWith('.'))) {
      found.push(...judgePackage(file, to));
      if (layerOf(file) !== 'fuzz' && !to.startsWith('node:') && !dependencies.has(packageOf(to))) {
        found.push(`${file}: ${packageOf(to)} is not under dependencies in package.json`);
      }
    }
    const local = edges.filter((edge) => edge.to.startsWith('.'));
    const resolve = (edge: Edge) => posix.join(posix.dirname(file), edge.to);
    for (const edge of local) found.push(...judgeEdge(file, resolve(edge), known));
    graph.set(file, local.filter((edge) => !edge.typeOnly && !edge.lazy).map(resolve));
    for (const word of layer.words) if (words.has(word)) found.push(`${file}: mentions ${word}`);
    if (layerOf(file) !== 'fuzz') {
      for (const word of ['import.meta', 'top-level await']) if (words.has(word)) found.push(`${file}: uses ${word}`);
      if (!/^(#!.*\n)?\s*(\/\/|\/\*)/.test(text)) found.push(`${file}: has no header comment`);
    }
  }
  found.push(...cycles(graph));
  const excuses = (entry: Exception, violation: string) => violation.startsWith(`${entry.file}: ${entry.what}`);
  const kept = found.filter((violation) => !exceptions.some((entry) => excuses(entry, violation)));
  const idle = exceptions.filter((entry) => !found.some((violation) => excuses(entry, violation)));
  return [...new Set(kept), ...idle.map((entry) => `idle exception: ${entry.file}: ${entry.what}`)];
}
