// What an embedding program can import, pinned: the entry points of the package, and the names each of them offers.
// A name that goes or comes shows up in the snapshot file, and with it in the review.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as Record<string, unknown>;
const entry = (layer: string) => ({ types: `./dist/${layer}/index.d.ts`, default: `./dist/${layer}/index.js` });

describe('package.json', () => {
  it('exports one entry point per layer and nothing else', () => {
    expect(manifest.exports).toEqual({
      './protocol': entry('protocol'),
      './transport': entry('transport'),
      './client': entry('client'),
    });
    expect(manifest.main).toBeUndefined();
    expect(manifest.bin).toEqual({ bssh: 'dist/bssh.mjs' });
  });

  it('pins every dependency and runs no install script', () => {
    const { dependencies, devDependencies } = manifest as Record<string, Record<string, string>>;
    for (const version of Object.values({ ...dependencies, ...devDependencies })) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    }
    const hooks = Object.keys(manifest.scripts as object).filter((name) => /^(pre|post)?(install|prepare)$/.test(name));
    expect(hooks).toEqual([]);
  });

  it('locks every package, those of other platforms included, and none by where it came from', () => {
    const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as {
      packages: Record<
        string,
        { resolved?: string; integrity?: string; optional?: boolean; optionalDependencies?: object }
      >;
    };
    const { '': _self, ...packages } = lock.packages;
    for (const [name, { resolved, integrity, optional, optionalDependencies }] of Object.entries(packages)) {
      expect(resolved).toBeUndefined();
      if (!optional) expect(`${name} ${integrity}`).toMatch(/ sha512-/);
      // `npm ci` refuses a lockfile in which an optional package of another platform is missing.
      for (const other of Object.keys(optionalDependencies ?? {})) {
        expect([`node_modules/${other}`, `${name}/node_modules/${other}`].some((path) => path in packages)).toBe(true);
      }
    }
  });
});

describe.each(['protocol', 'transport', 'client'])('bssh/%s', (layer) => {
  it.skipIf(!existsSync(`${root}${layer}/index.ts`))('offers these names', async () => {
    const names = Object.keys((await import(`../${layer}/index.ts`)) as object).sort();
    expect(names).toMatchSnapshot();
  });
});
