/** SCP servers that lie: what they send beyond what was asked for is refused and named, and nothing half looks whole. */

import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type DemoServer, startDemoServer } from '../demo-server/index.ts';
import type { Command, CommandContext } from '../demo-server/options.ts';
import { freshDir } from '../interop/servers.ts';
import { Bssh, type Outcome } from './e2e/bssh.ts';

/** Sends each piece when the one before it is answered; a refusal leaves out what is in `skip` pieces behind it. */
const sends =
  (...pieces: readonly string[]): Command =>
  async ({ stdin, stdout }) => {
    await stdin.read();
    for (let at = 0; at < pieces.length; at++) {
      await stdout(Buffer.from(pieces[at]!, 'latin1'));
      if (pieces[at]!.startsWith('\x01')) continue;
      const answer = await stdin.read();
      if (answer === undefined) return 1;
      // Refused: its content is not wanted either.
      if (answer[0] !== 0 && pieces[at]!.startsWith('C')) at++;
    }
    return 0;
  };

const file = (name: string, content = 'evil'): string[] => [`C0644 ${content.length} ${name}\n`, `${content}\0`];

describe('an SCP server that lies', () => {
  let server: DemoServer | undefined;
  let outside: string;
  afterEach(() => server?.close());

  async function run(scp: Command, args: readonly string[], commands = {}): Promise<Outcome & { files: string[] }> {
    server = await startDemoServer({ users: [{ name: 'u', open: true }], commands: { scp, ...commands } });
    outside = freshDir('hostile');
    mkdirSync(join(outside, 'target'));
    writeFileSync(join(outside, 'victim'), 'whole');
    const bssh = new Bssh();
    const known = `UserKnownHostsFile=${join(bssh.home, 'known')}`;
    const common = ['-F', 'none', '-o', known, '-H', `u@127.0.0.1:${server.port}`];
    const outcome = await bssh.run([...common, ...args], { cwd: outside });
    const files = (readdirSync(outside, { recursive: true }) as string[]).sort();
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('whole');
    return { ...outcome, files };
  }
  const download = (scp: Command, ...args: readonly string[]) => run(scp, ['download', ...args, 'target/']);
  const none = ['target', 'victim'];

  it('is no liar when it is none', async () => {
    const { code, files, err } = await download(sends(...file('file')), '/file');
    expect([code, files]).toEqual([0, ['target', 'target/file', 'victim']]);
    expect(err).toContain('the server offers no SFTP: using SCP');
  });

  it('calls the file something else: it gets the name that was asked for', async () => {
    for (const name of ['../victim', '/tmp/bssh-escaped', 'other']) {
      const { code, files } = await download(sends(...file(name)), '/etc/file');
      expect([code, files]).toEqual([0, ['target', 'target/file', 'victim']]);
      expect(existsSync('/tmp/bssh-escaped')).toBe(false);
    }
  });

  it('sends more than was asked for', async () => {
    const { code, files, err } = await download(sends(...file('file'), ...file('.bashrc')), '/file');
    expect([code, files]).toEqual([1, ['target', 'target/file', 'victim']]);
    expect(err).toContain('the server sent ".bashrc", which /file does not ask for');
  });

  it('answers wildcards with other names', async () => {
    const bad = ['../victim', '/etc/x', '..', '', 'b.txt', '.hidden.log'];
    const { code, files, err } = await download(
      sends(...file('a.log'), ...bad.flatMap((name) => file(name)), ...file('z.log')),
      '/var/*.log',
    );
    expect([code, files]).toEqual([1, ['target', 'target/a.log', 'target/z.log', 'victim']]);
    for (const name of bad) expect(err).toContain(JSON.stringify(name));
  });

  it('has paths in its directories', async () => {
    const bad = ['../victim', '/tmp/bssh-escaped', 'a/b', '..', '.', '', 'n\0ul'];
    const pieces = ['D0755 0 ../../evil\n', ...bad.flatMap((name) => file(name)), ...file('last'), 'E\n'];
    const { code, files, err } = await download(sends(...pieces), '-r', '/dir');
    expect([code, files]).toEqual([1, ['target', 'target/dir', 'target/dir/last', 'victim']]);
    expect(existsSync('/tmp/bssh-escaped')).toBe(false);
    for (const name of bad) expect(err).toContain(JSON.stringify(name));
  });

  it('writes through a link that stands there', async () => {
    const into = sends('D0755 0 d\n', ...file('link'), 'D0755 0 out\n', 'E\n');
    const linked: Command = async (context: CommandContext) => {
      mkdirSync(join(outside, 'target/dir'));
      symlinkSync('../../victim', join(outside, 'target/dir/link'));
      mkdirSync(join(outside, 'elsewhere'));
      symlinkSync('../../elsewhere', join(outside, 'target/dir/out'));
      return into(context);
    };
    const { code } = await download(linked, '-r', '/dir');
    expect(code).toBe(1);
    expect(readFileSync(join(outside, 'target/dir/link'), 'utf8')).toBe('evil');
    expect(readdirSync(join(outside, 'elsewhere'))).toEqual([]);
  });

  it.each([
    ['a size that is not there', ['C0644 999999999999 file\n', 'evil']],
    ['half a file and the end', ['C0644 8 file\n', 'evil']],
    ['a content that goes on', ['C0644 4 file\n', 'evil and more\0']],
    ['no status behind the content', ['C0644 4 file\n', 'evil']],
    ['a negative size', ['C0644 -4 file\n']],
    ['a giant size', ['C0644 99999999999999999999 file\n']],
    ['a line without an end', [`C0644 4 ${'x'.repeat(50_000)}`]],
    ['what is no SCP', ['Welcome to this machine!\n']],
    ['an end of nothing', ['E\n']],
    ['nothing', []],
  ])('sends %s', async (_, pieces) => {
    const abrupt: Command = async ({ stdin, stdout }) => {
      await stdin.read();
      for (const piece of pieces) {
        await stdout(Buffer.from(piece, 'latin1'));
        if (piece.endsWith('\n')) await stdin.read();
      }
      return 0;
    };
    const { code, files, err } = await download(abrupt, '/file');
    expect(code).toBeGreaterThan(0);
    expect(files).toEqual(none);
    expect(err).toMatch(/127\.0\.0\.1: (lost|exit 1|protocol)/);
  });

  it('says that what it sent is wrong', async () => {
    const { code, files, err } = await download(sends('C0644 4 file\n', 'evil\x01Input/output error\n'), '/file');
    expect([code, files]).toEqual([1, none]);
    expect(err).toContain('Input/output error');
  });

  it('has no bottom', async () => {
    const deep: Command = async ({ stdin, stdout }) => {
      await stdin.read();
      for (;;) {
        await stdout('D0755 0 d\n');
        const answer = await stdin.read();
        if (answer === undefined || answer[0] !== 0) return 1;
      }
    };
    const { code, err } = await download(deep, '-r', '/dir');
    expect(code).toBeGreaterThan(0);
    expect(err).toMatch(/no end|ENAMETOOLONG/);
  });

  it('never answers', async () => {
    const mute: Command = ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(1)));
    const { code, files, err } = await run(mute, ['download', '--timeout', '1', '/file', 'target/']);
    expect([code, files]).toEqual([3, none]);
    expect(err).toContain('command-timeout');
    const up = await run(mute, ['upload', '--timeout', '1', 'victim', '/x']);
    expect(up.code).toBe(3);
  });

  it('has a shell that lies about what it was asked, and an scp that answers unasked', async () => {
    const flood: Command = async ({ stdout, signal }) => {
      while (!signal.aborted) await stdout(Buffer.alloc(65_536));
      return 0;
    };
    const { code, err } = await run(flood, ['upload', 'victim', '/x']);
    expect(code).toBeGreaterThan(0);
    expect(err).toContain('answers what it was not asked');
    const noise: Command = async ({ stdout }) => {
      await stdout(Buffer.alloc(200_000, 'x'));
      return 0;
    };
    const missing = await run(() => 127, ['upload', 'victim', '/x'], { sh: noise });
    expect([missing.code, missing.err]).toEqual([
      1,
      expect.stringContaining('scp on the server ended with status 127'),
    ]);
  });

  it('has no shell: scp writes into the target, and takes directories and several files', async () => {
    const heard: string[] = [];
    const sink: Command = async ({ args, stdin, stdout }) => {
      heard.push(args.join(' '));
      await stdout('\0');
      for (let chunk = await stdin.read(); chunk !== undefined; chunk = await stdin.read()) {
        const text = Buffer.from(chunk).toString();
        heard.push(text);
        // The content's answer comes when its last byte has.
        if (/\n$|\0$/.test(text)) await stdout('\0');
      }
      return 0;
    };
    expect((await run(sink, ['upload', 'victim', '/flash:x'])).code).toBe(0);
    expect(heard[0]).toBe('-r -t -- /flash:x');
    expect(heard.slice(1).join('')).toBe('C0644 5 victim\nwhole\0');
    heard.length = 0;
    expect((await run(sink, ['upload', '-r', 'victim', 'target', '/dir/'])).code).toBe(0);
    expect(heard[0]).toBe('-r -d -t -- /dir/');
    expect(heard.slice(1).join('')).toBe('C0644 5 victim\nwhole\0D0755 0 target\nE\n');
  });
});
