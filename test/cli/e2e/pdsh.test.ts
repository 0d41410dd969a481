// pdsh beside pdsh: the same command lines for Debian's and for ours, on real servers; then what only ours does.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireServer, type Server, startSshd } from '../../interop/servers.ts';
import { Bssh, lines } from './bssh.ts';

describe.skipIf(!requireServer('sshd'))('pdsh', () => {
  let server: Server;
  let bssh: Bssh;
  let env: Record<string, string>;
  let ours: string;

  beforeAll(async () => {
    server = await startSshd({ address: '0.0.0.0', config: ['MaxStartups 100'] });
    bssh = new Bssh();
    const config = bssh.write('ssh_config', 'Host h* *.test\n  HostName 127.0.0.1\n');
    env = {
      PATH: process.env.PATH as string,
      HOME: bssh.home,
      PDSH_SSH_ARGS_APPEND: `-F ${config} -p ${server.port} -l ${server.user} -i ${server.identity} -o UserKnownHostsFile=${server.knownHosts} -o StrictHostKeyChecking=no -o LogLevel=ERROR`,
    };
    const bin = join(bssh.home, 'bin');
    mkdirSync(bin);
    ours = join(bin, 'pdsh');
    symlinkSync(bssh.file, ours);
    bssh.write('hosts', 'h1\n# none\nh[2-3]\n');
  });
  afterAll(() => server?.stop());

  const call = (program: string, args: readonly string[], more: Record<string, string> = {}, input = '') =>
    new Promise<{ code: number | null; out: string; err: string }>((resolve, reject) => {
      const child = spawn(program, args, { cwd: bssh.home, env: { ...env, ...more } });
      let out = '';
      let err = '';
      child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => void (err += chunk.toString()));
      // Gone before it is written to: pdsh reads no input, and some of these calls end at once.
      child.stdin.on('error', () => {});
      child.stdin.end(input);
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, out, err }));
    });
  const sorted = (text: string): string[] => lines(text).sort();

  describe.skipIf(!requireServer('pdsh'))('and its namesake say the same', () => {
    it.each<[string, readonly string[], Record<string, string>?]>([
      ['lines of both streams', ['-w', 'h[1-3]', 'echo out; echo err >&2']],
      ['no labels', ['-N', '-w', 'h1', 'echo a; echo b']],
      ['exclusion', ['-w', 'h[1-6],-h2', '-x', 'h[4-5]', 'echo x']],
      ['expressions', ['-w', 'h[1-12],/1/', '-x', '/2$/', 'echo x']],
      ['a file', ['-w', '^hosts', 'echo x']],
      ['a file from the environment', ['echo x'], { WCOLL: 'hosts' }],
      ['labels without a domain', ['-w', 'h1.a.test,h2.a.test', 'echo x']],
      ['labels of two domains', ['-w', 'h1.a.test,h2.b.test', 'echo x']],
      ['addresses', ['-w', '127.0.0.[1-2]', 'echo x']],
      ['success whatever happened', ['-w', 'h[1-2]', 'exit 3']],
      ['the largest status', ['-S', '-w', 'h[1-2]', 'exit 3']],
      ['a status for a signal', ['-S', '-w', 'h1', 'kill -9 $$']],
      ['a time limit', ['-S', '-u', '1', '-w', 'h1', 'exec sleep 20']],
      ['a path', ['-w', 'h1', 'echo $PATH'], { DSHPATH: '/bin:/usr/bin:/nowhere' }],
      ['no hosts', ['true']],
      ['no hosts left', ['-w', 'h1,-h1', 'true']],
      ['an unknown option', ['-Z']],
    ])('%s', async (_, args, more) => {
      const [theirs, mine] = await Promise.all(
        ['/usr/bin/pdsh', ours].map((program) => call(program, ['-R', 'ssh', ...args], more)),
      );
      if (theirs === undefined || mine === undefined) throw new Error('nobody answered');
      expect(mine.code).toBe(theirs.code);
      expect(sorted(mine.out)).toEqual(sorted(theirs.out));
      // how its ssh ends is its own business, and so are the names of its modules
      const about = (text: string) =>
        sorted(text)
          .filter((line) => !/^sending |^-|^available|^Usage/.test(line))
          .map((line) => line.replace(/^pdsh@[^:]*: (no remote)|^pdsh: /, '$1'));
      expect(about(mine.err)).toEqual(about(theirs.err));
    });
  });

  it('says what it was asked', async () => {
    const { out, code } = await call(ours, ['-q', '-w', 'h[1-3],-h2', '-l', 'me', '-f', '7', '-u', '9', 'x', 'y']);
    expect(code).toBe(0);
    expect(out).toMatch(/^Command:\t\tx y$/m);
    expect(out).toMatch(/^Remote username\t\tme$/m);
    expect(out).toMatch(/^Fanout\t\t\t7$/m);
    expect(out).toMatch(/^Command timeout \(secs\)\t9$/m);
    expect(out).toMatch(/-- Target nodes --\nh\[1,3\]\n$/);
    expect((await call(ours, ['-V'])).out).toMatch(/^pdsh mode of bssh /);
    expect((await call(ours, ['-h'])).out).toMatch(/^Usage: pdsh /);
  });

  it('names who could not be reached, and goes on', async () => {
    const { code, out, err } = await call(ours, ['-S', '-w', 'h1,nosuch.invalid', 'echo x']);
    expect(code).toBe(255);
    expect(out).toBe('h1: x\n');
    expect(err).toMatch(/^nosuch: ssh: Could not resolve hostname nosuch\.invalid: /m);
    expect(err).toMatch(/^pdsh@\S+: nosuch: ssh exited with exit code 255$/m);
  });

  it('is there as --pdsh too, and with clusters of the configuration', async () => {
    bssh.write('config.yaml', "clusters:\n  lab: { nodes: ['h[1-2]'] }\n  other: { nodes: [h2] }\n");
    const run = (...args: string[]) => call(bssh.file, ['--pdsh', ...args]);
    expect(sorted((await run('-g', 'lab', 'echo x')).out)).toEqual(['h1: x', 'h2: x']);
    expect((await run('-g', 'lab', '-X', 'other', 'echo x')).out).toBe('h1: x\n');
    expect(sorted((await run('-a', 'echo x')).out)).toEqual(['h1: x', 'h2: x']);
    expect(await run('-R', 'rsh', '-a', 'x')).toMatchObject({
      code: 1,
      err: 'bssh: No such rcmd module "rsh": there is ssh only\n',
    });
  });

  it('asks for commands when it has none', async () => {
    const { code, out, err } = await call(
      ours,
      ['-w', 'h[1-2]'],
      {},
      'echo one\n!echo here\nexit 4\n\nquit\necho no\n',
    );
    expect(code).toBe(0);
    expect(sorted(out)).toEqual(['h1: one', 'h2: one', 'here']);
    expect(sorted(err).map((line) => line.replace(/@[^:]*/, ''))).toEqual([
      'pdsh: h1: ssh exited with exit code 4',
      'pdsh: h2: ssh exited with exit code 4',
    ]);
  });

  it('leaves nothing behind at two interrupts', async () => {
    const mark = `35${process.pid}`;
    const child = spawn(ours, ['-w', 'h[1-2]', `echo up; exec sleep ${mark}`], { cwd: bssh.home, env });
    let out = '';
    let err = '';
    child.stderr.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      err += text;
      // the next one at once: it counts within a second of the last
      if (text.includes('(^Z within')) child.kill('SIGINT');
    });
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (lines(out).length === 2) child.kill('SIGINT');
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(1);
    expect(err).toMatch(/: interrupt \(one more within 1 sec to abort\)\n/);
    expect(err).toMatch(/: h1: command in progress\n/);
    expect(err).toMatch(/: interrupt, aborting\.\n/);
    expect(execFileSync('ps', ['-eo', 'args']).toString().split('\n')).not.toContain(`sleep ${mark}`);
  });
});
