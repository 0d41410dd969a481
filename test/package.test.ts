// The package as it is published: built from a copy of the sources, packed, installed beside its dependencies. What is in
// it, that the command runs from there, and that a strict TypeScript program can be compiled against its types and run.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { freshDir } from './interop/servers.ts';

const root = new URL('..', import.meta.url).pathname;
const program = `import { type Connection, connect, nodeCrypto, runOnHosts, SshError } from 'bssh/client';
import { nobleCrypto, type CryptoProvider } from 'bssh/protocol';
import * as transport from 'bssh/transport';

const crypto: CryptoProvider = nodeCrypto(nobleCrypto);
export const open = (host: string): Promise<Connection> =>
  connect({ host, port: 22, user: 'me', crypto, hostKey: () => true, auth: { methods: [], accepted: [], identities: async function* () {}, passwordPrompts: 0 } });
const outcome = await runOnHosts([{ name: 'a' }], async () => ({ exitStatus: 0 }), () => {}, { parallel: 1 });
const end: string = outcome.results[0]!.class;
console.log(end, new SshError('usage', 'x').code, Object.keys(transport).length > 3);
`;

describe('the package', () => {
  const home = freshDir('package');
  const app = join(home, 'app');
  const installed = join(app, 'node_modules/bssh');
  const run = (command: string, args: readonly string[], cwd: string): string =>
    execFileSync(command, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, HOME: home },
    });

  beforeAll(() => {
    const source = join(home, 'source');
    // not dist, which a build of its own makes, and not what git has no interest in
    for (const entry of readdirSync(root)) {
      if (/^(\.|dist$|node_modules$|test$|fuzz$)/.test(entry)) continue;
      cpSync(join(root, entry), join(source, entry), { recursive: true });
    }
    mkdirSync(join(source, 'node_modules'));
    for (const entry of readdirSync(join(root, 'node_modules'))) {
      if (!entry.startsWith('.')) symlinkSync(join(root, 'node_modules', entry), join(source, 'node_modules', entry));
    }
    // the steps of `npm run build` without its path to the tools
    const bin = join(root, 'node_modules/.bin');
    run(join(bin, 'tsc'), ['-b'], source);
    run(join(bin, 'rolldown'), ['-c', 'rolldown.config.js', '--logLevel', 'warn'], source);
    writeFileSync(join(source, 'dist/bssh.1'), run(join(source, 'dist/bssh.mjs'), ['--generate', 'man'], source));
    const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts'], source)) as [
      { filename: string },
    ];
    mkdirSync(installed, { recursive: true });
    run('tar', ['-xzf', join(source, filename), '-C', installed, '--strip-components=1'], home);
    for (const name of Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).dependencies)) {
      mkdirSync(join(app, 'node_modules', name, '..'), { recursive: true });
      symlinkSync(join(root, 'node_modules', name), join(app, 'node_modules', name));
    }
    symlinkSync(join(root, 'node_modules/@types'), join(app, 'node_modules/@types'));
    writeFileSync(join(app, 'package.json'), '{ "type": "module" }');
  }, 240_000);

  it('has what it needs and nothing else', () => {
    expect(readdirSync(installed).sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'dist', 'docs', 'package.json'].sort(),
    );
    expect(readdirSync(join(installed, 'dist')).sort()).toEqual(
      ['THIRD-PARTY-NOTICES.txt', 'bssh.1', 'bssh.mjs', 'client', 'protocol', 'transport'].sort(),
    );
    const files = readdirSync(installed, { recursive: true }) as string[];
    expect(files.filter((file) => /(?<!\.d)\.ts$|\.tsbuildinfo$|\.test\./.test(file))).toEqual([]);
    const { man, bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    for (const file of [man, ...Object.values<string>(bin)]) expect(existsSync(join(installed, file))).toBe(true);
  });

  it('has a command that runs', () => {
    const link = join(home, 'bssh');
    symlinkSync(join(installed, 'dist/bssh.mjs'), link);
    const version = spawnSync(link, ['-V'], { encoding: 'utf8' });
    expect(version).toMatchObject({ status: 0, stderr: expect.stringMatching(/^bssh \d+\.\d+\.\d+, Node\.js /) });
    expect(run(link, ['--help'], home)).toContain('bssh [options] [user@]host [command]');
    expect(readFileSync(join(installed, 'dist/bssh.1'), 'utf8')).toMatch(/^\.TH BSSH 1 /);
  });

  it('has types that a strict program compiles against, and entries that it runs with', () => {
    writeFileSync(join(app, 'main.ts'), program);
    const options = [
      '--strict',
      '--noUncheckedIndexedAccess',
      '--exactOptionalPropertyTypes',
      '--verbatimModuleSyntax',
    ];
    const target = ['--target', 'es2023', '--module', 'nodenext', '--types', 'node', '--outDir', 'out'];
    const checked = spawnSync(join(root, 'node_modules/.bin/tsc'), [...options, ...target, 'main.ts'], {
      cwd: app,
      encoding: 'utf8',
    });
    expect(checked.stdout).toBe('');
    expect(checked.status).toBe(0);
    expect(run(process.execPath, ['out/main.js'], app)).toBe('ok usage true\n');
  });
});
