// The examples of the documents: each is a program of its own in test/examples/, stands in docs/cookbook.md (or README)
// letter by letter, and does against the demo server what it says.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Connection, connect, nodeCrypto, SshError } from '../client/index.ts';
import { formatPrivateKey, formatPublicKeyLine, generateKey } from '../protocol/index.ts';
import { type DemoServer, startDemoServer } from './demo-server/index.ts';
import { deploy } from './examples/copy-files.ts';
import { explain } from './examples/failures.ts';
import { onAll } from './examples/many-hosts.ts';
import { runCommand, type Target } from './examples/run-command.ts';
import { streamThrough } from './examples/stream-through.ts';
import { openTunnel } from './examples/tunnel.ts';
import { withHost } from './examples/use-ssh-config.ts';

const root = new URL('..', import.meta.url).pathname;
const crypto = nodeCrypto();
let server: DemoServer;
let home: string;
let target: Target;
let config: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'examples-'));
  mkdirSync(join(home, 'served'));
  const key = generateKey(crypto, 'ed25519', {});
  server = await startDemoServer({
    users: [{ name: 'me', keys: [key.publicKey] }],
    machine: { hostname: 'node1' },
    forwarding: true,
    sftpRoot: join(home, 'served'),
  });
  target = {
    host: server.host,
    port: server.port,
    user: 'me',
    keyFile: join(home, 'id_ed25519'),
    knownHosts: join(home, 'known_hosts'),
  };
  writeFileSync(target.keyFile, formatPrivateKey(crypto, key, {}), { mode: 0o600 });
  writeFileSync(target.knownHosts, `[${server.host}]:${server.port} ${formatPublicKeyLine(server.hostKeys[0]!)}\n`);
  config = join(home, 'ssh_config');
  const way = `HostName ${server.host}\nPort ${server.port}\nUser me\nIdentityFile ${target.keyFile}\nIdentitiesOnly yes\n`;
  const trust = `UserKnownHostsFile ${target.knownHosts}\nStrictHostKeyChecking yes\n`;
  writeFileSync(config, `Host inner\nProxyJump node1\nHost *\n${way}${trust}`);
});
afterAll(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

const open = (signal?: AbortSignal): Promise<Connection> =>
  connect({
    host: target.host,
    port: target.port,
    user: target.user,
    crypto,
    hostKey: () => true,
    ...(signal && { signal }),
    auth: {
      methods: ['publickey'],
      accepted: ['ssh-ed25519'],
      identities: async function* () {
        const { KeyStore, identities } = await import('../client/index.ts');
        const files = [{ path: target.keyFile, explicit: true }];
        yield* identities({ store: new KeyStore({ crypto }), crypto, files, certificates: [], only: true });
      },
      passwordPrompts: 0,
    },
  });

/** What `work` prints. */
async function printed(work: () => Promise<unknown>): Promise<string> {
  const parts: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    parts.push(Buffer.from(chunk as Uint8Array).toString());
    return true;
  });
  try {
    await work();
  } finally {
    spy.mockRestore();
  }
  return parts.join('');
}

describe('in the documents', () => {
  const files = readdirSync(join(root, 'test/examples')).filter((file) => file.endsWith('.ts'));

  it.each(files)('%s', (file) => {
    const document = readFileSync(join(root, file === 'readme.ts' ? 'README.md' : 'docs/cookbook.md'), 'utf8');
    const code = readFileSync(join(root, 'test/examples', file), 'utf8').replace(
      '../../client/index.ts',
      'bssh/client',
    );
    expect(document).toContain(`\n\`\`\`ts\n${code}\`\`\`\n`);
  });

  it('there is no program in docs/cookbook.md that is not checked', () => {
    const document = readFileSync(join(root, 'docs/cookbook.md'), 'utf8');
    expect(document.split('\n```ts\n').length - 1).toBe(files.length - 1);
  });
});

describe('against the demo server', () => {
  it('run-command', async () => {
    let status: number | undefined;
    const output = await printed(async () => {
      status = await runCommand(target, 'echo hello; exit 3');
    });
    expect({ output, status }).toEqual({ output: 'hello\n', status: 3 });
  });

  it('run-command, to a host that known_hosts does not know', async () => {
    const unknown = runCommand({ ...target, knownHosts: join(home, 'missing') }, 'echo hello');
    await expect(unknown).rejects.toMatchObject({ code: 'host-key' });
    expect(await unknown.catch(explain)).toMatch(/^the host is not who it should be/);
  });

  it('use-ssh-config, through a jump host as well', async () => {
    for (const name of ['node1', 'inner']) {
      const said = await withHost(name, async (connection) => (await connection.exec('echo hello')).exit, config);
      expect(said).toEqual({ status: 0 });
    }
    expect(server.sessions.length).toBeGreaterThanOrEqual(3);
  });

  it('stream-through', async () => {
    const connection = await open();
    const chunks: Buffer[] = [];
    const output = new Writable({
      write(chunk: Buffer, _, done) {
        chunks.push(chunk);
        done();
      },
    });
    expect(await streamThrough(connection, 'cat', Readable.from([Buffer.from('to and fro')]), output)).toBe(0);
    expect(Buffer.concat(chunks).toString()).toBe('to and fro');
    await connection.close();
  });

  it('many-hosts', async () => {
    let results = new Map<string, { class: string }>();
    const output = await printed(async () => {
      results = await onAll(['a', 'b'], (_, signal) => open(signal), 'echo hello');
    });
    expect([...results].map(([name, result]) => `${name} ${result.class}`)).toEqual(['a ok', 'b ok']);
    expect(output.split('\n').sort()).toEqual(['', 'a: hello', 'b: hello']);
  });

  it('tunnel', async () => {
    const echo = createServer((socket) => socket.end('greetings'));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const connection = await open();
    const { port } = echo.address() as { port: number };
    const tunnel = await openTunnel(connection, '127.0.0.1', port);
    const { connect: dial } = await import('node:net');
    expect(await text(dial(tunnel.port, '127.0.0.1'))).toBe('greetings');
    await tunnel.close();
    await connection.close();
    echo.close();
  });

  it('copy-files', async () => {
    mkdirSync(join(home, 'site'));
    writeFileSync(join(home, 'site', 'index.html'), '<p>');
    writeFileSync(join(home, 'release.tar'), 'x'.repeat(1000));
    mkdirSync(join(home, 'served', 'srv'));
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const connection = await open();
    expect(await deploy(connection, join(home, 'site'), join(home, 'release.tar'), '/srv')).toBe(1);
    await connection.close();
    log.mockRestore();
    expect(readFileSync(join(home, 'served/srv/www/index.html'), 'utf8')).toBe('<p>');
    expect(readFileSync(join(home, 'release.tar.check'), 'utf8')).toBe('x'.repeat(1000));
  });

  it('failures', async () => {
    const failure = async (more: Partial<Target>): Promise<string> =>
      runCommand({ ...target, ...more }, 'echo').then(() => 'none', explain);
    expect(await failure({ user: 'nobody' })).toBe('not let in; the server takes publickey');
    expect(explain(new SshError('mac', 'broken', { by: 'peer' }))).toBe('mac: broken (the server)');
    expect(() => explain(new TypeError('x'))).toThrow(TypeError);
  });
});
