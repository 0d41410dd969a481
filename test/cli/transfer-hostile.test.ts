/** `bssh download` from servers that lie: refused, named, nothing outside the target, nothing half that looks whole. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type NameEntry, type SftpRequest, SftpServer, sftpStatus } from '../../protocol/index.ts';
import { type DemoServer, startDemoServer } from '../demo-server/index.ts';
import type { Subsystem } from '../demo-server/options.ts';
import { freshDir } from '../interop/servers.ts';
import { Bssh, type Outcome } from './e2e/bssh.ts';

type Answer = (server: SftpServer, request: SftpRequest) => boolean;

const FILE = { permissions: 0o100_644, size: 4n };
const FOLDER = { permissions: 0o40_755 };
const LINK = { permissions: 0o120_777 };
const entry = (name: string, attrs: NameEntry['attrs'] = FILE): NameEntry => ({ name, longName: name, attrs });

/** Honest about a folder `/evil` and files of the four bytes `evil`, but for what `answer` takes over. */
function liar(names: readonly NameEntry[], answer: Answer = () => false): Subsystem {
  return async ({ io }) => {
    const server = new SftpServer();
    let listed = false;
    const honest = (request: SftpRequest): void => {
      const { id } = request;
      switch (request.request) {
        case 'stat':
        case 'lstat':
          if (request.path.includes('*')) return server.status(id, sftpStatus.noSuchFile);
          return server.attrs(id, request.path === '/evil' ? FOLDER : FILE);
        case 'opendir':
          listed = request.path !== '/evil';
          return server.handle(id, Buffer.from('d'));
        case 'readdir':
          if (listed) return server.status(id, sftpStatus.eof);
          listed = true;
          return server.names(id, names);
        case 'open':
          return server.handle(id, Buffer.from('f'));
        case 'read':
          if (request.offset >= 4n) return server.status(id, sftpStatus.eof);
          return server.data(
            id,
            Buffer.from('evil').subarray(Number(request.offset), Number(request.offset) + request.length),
          );
        default:
          return server.status(id, sftpStatus.ok);
      }
    };
    io.sink(false, async (chunk) => {
      server.receive(chunk);
      for (let request = server.poll(); request !== undefined; request = server.poll()) {
        if (!answer(server, request)) honest(request);
      }
      for (const bytes of server.takeOutput()) if (!io.isClosed) await io.write(bytes);
    });
    await new Promise<void>((resolve) => {
      io.onEof = resolve;
      void io.closed.then(resolve);
    });
    return 0;
  };
}

describe('a server that lies', () => {
  let server: DemoServer | undefined;
  let outside: string;
  afterEach(() => server?.close());

  /** Everything below a fresh folder, after a download into its `target`. */
  async function download(subsystem: Subsystem, ...args: readonly string[]): Promise<Outcome & { files: string[] }> {
    server = await startDemoServer({ users: [{ name: 'u', open: true }], subsystems: { sftp: subsystem } });
    outside = freshDir('hostile');
    mkdirSync(join(outside, 'target'));
    writeFileSync(join(outside, 'victim'), 'whole');
    const bssh = new Bssh();
    const common = [
      '-F',
      'none',
      '-o',
      `UserKnownHostsFile=${join(bssh.home, 'known')}`,
      '-H',
      `u@127.0.0.1:${server.port}`,
    ];
    const outcome = await bssh.run([...common, 'download', ...args, 'target/'], { cwd: outside });
    const files = (readdirSync(outside, { recursive: true }) as string[]).sort();
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('whole');
    return { ...outcome, files };
  }

  const none = ['target', 'victim'];

  it('names files so that they would land elsewhere', async () => {
    const bad = ['../victim', '/tmp/bssh-escaped', 'a/b', '', 'n\0ul', '../../x'];
    const names = [entry('fine'), ...bad.map((name) => entry(name)), entry('..', FOLDER), entry('last')];
    const { code, err, files } = await download(liar(names), '-r', '/evil');
    expect(code).toBe(1);
    expect(files).toEqual(['target', 'target/evil', 'target/evil/fine', 'target/evil/last', 'victim']);
    expect(existsSync('/tmp/bssh-escaped')).toBe(false);
    for (const name of ['"../victim"', '"/tmp/bssh-escaped"', '"a/b"', '""', '"../../x"']) expect(err).toContain(name);
  });

  it('answers wildcards with paths', async () => {
    const { code, files, err } = await download(liar([entry('../victim'), entry('/etc/x')]), '/evil/*');
    expect([code, files]).toEqual([1, none]);
    expect(err).toContain('/evil/*: no file matches');
  });

  it('sends links and a directory of one name', async () => {
    const names = [entry('x', LINK), entry('x', FOLDER), entry('x'), entry('ok')];
    const { code, files } = await download(liar(names), '-r', '/evil');
    expect(code).toBe(1);
    expect(files).toContain('target/evil/ok');
    expect(files.filter((file) => !file.startsWith('target'))).toEqual(['victim']);
  });

  it('has no bottom', async () => {
    const deep: Answer = (sftp, request) => {
      if (request.request === 'stat') sftp.attrs(request.id, FOLDER);
      else if (request.request === 'readdir') sftp.names(request.id, [entry('d', FOLDER)]);
      else return false;
      return true;
    };
    // Every listing goes on for ever as well.
    const { code, err } = await download(liar([], deep), '-r', '--timeout', '3', '/evil');
    expect(code).toBeGreaterThan(0);
    expect(err).toMatch(/no end|took too long/);
  });

  it('says a size that is not there', async () => {
    const huge: Answer = (sftp, request) => {
      if (request.request !== 'stat') return false;
      sftp.attrs(request.id, { permissions: 0o100_644, size: (1n << 63n) - 1n });
      return true;
    };
    const { code, files } = await download(liar([], huge), '/file');
    expect([code, files]).toEqual([0, ['target', 'target/file', 'victim']]);
    expect(readFileSync(join(outside, 'target/file'), 'utf8')).toBe('evil');
  });

  it.each([
    ['a packet of four gigabytes', Buffer.from('ffffffff65', 'hex')],
    ['a packet of nothing', Buffer.from('00000000', 'hex')],
    ['an answer to no question', Buffer.from('0000001165ffffffff0000000000000000000000000000', 'hex')],
  ])('sends %s', async (_, bytes) => {
    const raw: Answer = (sftp, request) => {
      if (request.request !== 'read') return false;
      sftp.raw(bytes, request.id);
      return true;
    };
    const { code, files, err } = await download(liar([], raw), '/file');
    expect([code, files]).toEqual([4, none]);
    expect(err).toMatch(/lost.*SFTP packet/);
  });

  it('gives more than was asked for', async () => {
    const long: Answer = (sftp, request) => {
      if (request.request !== 'read') return false;
      sftp.data(request.id, new Uint8Array(request.length + 1));
      return true;
    };
    const { code, files, err } = await download(liar([], long), '/file');
    expect([code, files]).toEqual([4, none]);
    expect(err).toContain('SFTP read of');
  });

  it('never answers', async () => {
    const mute: Answer = (_, request) => request.request === 'read';
    const { code, files, err } = await download(liar([], mute), '--timeout', '1', '/file');
    expect([code, files]).toEqual([3, none]);
    expect(err).toContain('command-timeout');
  });
});
