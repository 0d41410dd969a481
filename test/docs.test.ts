// The documents against the code: a name, an option or a key that is missing in them fails here, and so does one that
// is called on by default and is not, or the other way round. What prose says cannot be held to anything; tables can.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../cli/config/load.ts';
import { EXIT_POLICIES, fleetExitCode } from '../cli/exit.ts';
import { options, subcommands } from '../cli/options.ts';
import type { HostClass } from '../client/index.ts';
import { algorithms, defaultAlgorithms, nobleCrypto } from '../protocol/index.ts';
import { fileCiphers } from '../protocol/keys/file-cipher.ts';
import { nodeCrypto } from '../transport/index.ts';

const root = new URL('..', import.meta.url).pathname;
const documents = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(`${root}docs`).map((name) => `docs/${name}`),
];
const read = (file: string): string => readFileSync(root + file, 'utf8');

/** The part of a document under the heading of this name, up to the next one of its level or above. */
function section(document: string, heading: string): string {
  const lines = document.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  if (start < 0) throw new Error(`no heading "${heading}"`);
  const depth = lines[start]!.indexOf(' ');
  const end = lines.findIndex((line, i) => i > start && /^#+ /.test(line) && line.indexOf(' ') <= depth);
  return lines.slice(start + 1, end < 0 ? undefined : end).join('\n');
}

/** The cells of every row of the tables in `text`, heads left out. */
const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[-| ]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );

const kinds = [
  ['Key exchange', 'kex', 'kex'],
  ['Host keys and user keys', 'hostKeys', 'hostKeys'],
  ['Ciphers', 'ciphers', 'ciphers'],
  ['Message authentication', 'macs', 'macs'],
  ['Compression', 'compression', 'compression'],
] as const;

describe('docs/algorithms.md', () => {
  const document = read('docs/algorithms.md');

  it.each(kinds)('has every row of %s, in order, with its default', (heading, table, preference) => {
    const defaults = defaultAlgorithms(nobleCrypto)[preference];
    const said = rows(section(document, heading))
      .filter(([name, , ours]) => /^`[^`]+`$/.test(name ?? '') && ours !== 'left out')
      .map(([name, , ours]) => `${name!.slice(1, -1)}: ${ours}`);
    const is = algorithms[table].map(({ name }) => `${name}: ${defaults.includes(name) ? '**on**' : 'off'}`);
    expect(said).toEqual(is);
  });

  it('leaves out nothing that is there', () => {
    const known = new Set(kinds.flatMap(([, table]) => algorithms[table].map(({ name }) => name as string)));
    const leftOut = kinds
      .flatMap(([heading]) => rows(section(document, heading)))
      .filter(([, , ours]) => ours === 'left out')
      .map(([name]) => name!.slice(1, -1));
    expect(leftOut.length).toBeGreaterThan(0);
    expect(leftOut.filter((name) => known.has(name))).toEqual([]);
  });

  it('names every cipher of key files', () => {
    const text = section(document, 'Key files');
    expect(fileCiphers.map(({ name }) => name).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it('says which ciphers lead with which provider', () => {
    expect(defaultAlgorithms(nodeCrypto()).ciphers[0]).toBe('aes128-gcm@openssh.com');
    expect(defaultAlgorithms(nobleCrypto).ciphers[0]).toBe('chacha20-poly1305@openssh.com');
  });
});

/** README's shorthand, `aes128/192/256-ctr`, as the names it stands for; -etm and @vendor forms of a name go with it. */
function spelledOut(cell: string): Set<string> {
  const names = cell
    .replace(/\(.*?\)/g, '')
    .split(/, | and /)
    .map((name) => name.trim());
  return new Set(
    names.flatMap((name) => {
      const [, before = '', numbers, after = ''] = /^(.*?)((?:\d+\/)+\d+)(.*)$/.exec(name) ?? [];
      return numbers === undefined ? [name] : numbers.split('/').map((number) => before + number + after);
    }),
  );
}

describe('README.md', () => {
  const table = rows(section(read('README.md'), 'What it speaks'));
  const cells = (name: string): [Set<string>, Set<string>] => {
    const row = table.find(([first]) => first === name);
    if (row === undefined) throw new Error(`no row "${name}"`);
    return [spelledOut(row[1] ?? ''), spelledOut(row[2] ?? '')];
  };
  // What readers need not be told twice: forms of one name, and what the vendor called it before it had a number.
  const short: Readonly<Record<'kex' | 'ciphers' | 'macs' | 'hostKeys', (name: string) => string>> = {
    kex: (name) => name.replace(/@.*/, ''),
    hostKeys: (name) => name.replace(/(-cert-v01)?@.*/, ''),
    ciphers: (name) => name,
    macs: (name) => name.replace(/@.*/, '').replace(/-etm$/, ''),
  };

  it.each([
    ['key exchange', 'kex'],
    ['ciphers', 'ciphers'],
    ['MACs', 'macs'],
    ['keys', 'hostKeys'],
  ] as const)('lists the %s that are on, and those that are off', (row, kind) => {
    const defaults = new Set(defaultAlgorithms(nobleCrypto)[kind].map(short[kind]));
    const all = new Set(algorithms[kind].map(({ name }) => short[kind](name)));
    const [on, off] = cells(row);
    expect([...on].sort()).toEqual([...defaults].sort());
    expect([...off].sort()).toEqual([...all].filter((name) => !defaults.has(name)).sort());
  });

  it('links to documents that exist', () => {
    for (const file of documents) {
      const links = [...read(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!);
      const base = new URL(file, `file://${root}`);
      expect(links.filter((link) => !existsSync(new URL(link, base)))).toEqual([]);
    }
  });
});

describe('docs/clusters.md', () => {
  const document = read('docs/clusters.md');
  const lacks = (names: readonly string[]): string[] => names.filter((name) => !document.includes(`\`${name}`));

  it('has every option of the cluster grammar', () => {
    const shown = options.filter((row) => !row.hidden);
    expect(lacks(shown.map(({ id }) => `--${id}`))).toEqual([]);
    expect(lacks(shown.flatMap((row) => [...(row.cluster ?? '')].map((letter) => `-${letter}`)))).toEqual([]);
    expect(
      lacks(
        shown
          .filter((row) => row.clusterOnly)
          .flatMap((row) => row.choices ?? [])
          .filter((choice) => choice !== 'events' && choice !== 'result'),
      ),
    ).toEqual([]);
    expect(lacks(subcommands.map(({ name }) => name))).toEqual([]);
  });

  it('has every key of the configuration', () => {
    const schema = read('cli/config/schema.ts');
    const listed = [...schema.matchAll(/^(?:export )?const (\w+) = \[([^\]]*)\]/gm)].map(
      ([, name, body]) => [name!, [...body!.matchAll(/'([a-z_-]+)'/g)].map(([, key]) => key!)] as const,
    );
    const names = listed.map(([name]) => name);
    for (const list of ['topLevelKeys', 'clusterKeys', 'nodeKeys', 'interactiveKeys', 'modes', 'keybindingNames']) {
      expect(names, 'the lists of cli/config/schema.ts').toContain(list);
    }
    expect(lacks(listed.flatMap(([, keys]) => keys).filter((key) => key !== 'clusters'))).toEqual([]);
    expect(document).toContain('\nclusters:\n');
    expect(lacks(options.flatMap((row) => (row.yaml === undefined ? [] : [row.yaml])))).toEqual([]);
    expect(lacks(options.flatMap((row) => (row.yaml === undefined ? [] : (row.choices ?? []))))).toEqual([]);
  });

  it('has examples of the configuration that are right', async () => {
    const examples = [...document.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => text!);
    expect(examples.length).toBeGreaterThan(1);
    const folder = mkdtempSync(join(tmpdir(), 'docs-'));
    for (const text of examples) {
      const file = join(folder, 'config.yaml');
      writeFileSync(file, text);
      const config = await loadConfig(file, { env: {}, home: '/home/me', cwd: folder });
      expect(config.clusters.size, text).toBeGreaterThan(0);
    }
    rmSync(folder, { recursive: true });
  });

  it('says which keys stand for which options', () => {
    const said = rows(section(document, 'Configuration file'))
      .filter((cells) => cells.length === 4 && cells[2]?.startsWith('`--'))
      .map(([key, , option]) => `${key!.slice(1, -1)} ${option!.slice(3, -1)}`);
    const is = options.flatMap((row) => (row.yaml === undefined ? [] : [`${row.yaml} ${row.id}`]));
    expect(said.sort()).toEqual(is.sort());
  });

  it('has every class with its exit code', () => {
    const said = Object.fromEntries(
      rows(section(document, 'Exit codes'))
        .filter(([, code]) => /^\d+$/.test(code ?? ''))
        .map(([end, code]) => [end!.slice(1, -1), Number(code)]),
    );
    const result = (end: HostClass) => ({
      class: end,
      attempts: 1,
      ms: 0,
      phases: {},
      bytes: { stdout: 0, stderr: 0 },
    });
    for (const [end, code] of Object.entries(said)) {
      expect(`${end} ${fleetExitCode({ results: [result(end as HostClass)] })}`).toBe(`${end} ${code}`);
    }
    const [, body = ''] = /^export type HostClass =([^;]*);/m.exec(read('client/fleet/types.ts')) ?? [];
    const classes = [...body.matchAll(/'([a-z-]+)'/g)].map(([, end]) => end);
    expect(Object.keys(said).sort()).toEqual(classes.sort());
    for (const rule of EXIT_POLICIES) expect(document).toContain(`\n| \`${rule}\` |`);
  });
});

describe('docs/dependencies.md', () => {
  const document = read('docs/dependencies.md');
  const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;

  it('has a row for every package that runs, and names those of development', () => {
    const named = rows(document).flatMap(([name]) => /^`(.+)`$/.exec(name ?? '')?.[1] ?? []);
    expect(named.sort()).toEqual(Object.keys(manifest.dependencies!).sort());
    const tools = section(document, 'Only for development');
    expect(Object.keys(manifest.devDependencies!).filter((name) => !tools.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('docs/protocol-notes.md', () => {
  const document = read('docs/protocol-notes.md');

  it('names every extension that stands in the code by its vendor name', () => {
    const folders = ['protocol', 'client', 'cli'];
    const files = folders.flatMap((folder) =>
      (readdirSync(root + folder, { recursive: true }) as string[])
        .filter((name) => name.endsWith('.ts'))
        .map((name) => `${folder}/${name}`),
    );
    const known = new Set(kinds.flatMap(([, table]) => algorithms[table].map(({ name }) => name as string)));
    const ciphers = new Set(fileCiphers.map(({ name }) => name));
    const found = files.flatMap((file) =>
      [...read(file).matchAll(/'([a-z0-9-]+@openssh\.com)'/g)].map(([, name]) => name!),
    );
    const extensions = [...new Set(found)].filter((name) => !known.has(name) && !ciphers.has(name));
    expect(extensions.length).toBeGreaterThan(10);
    // SFTP's share their ending in the document.
    const short = (name: string): string => name.replace('@openssh.com', '');
    expect(extensions.filter((name) => !document.includes(name) && !document.includes(`\`${short(name)}\``))).toEqual(
      [],
    );
  });
});
