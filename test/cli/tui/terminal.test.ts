// The full-screen view on a pseudo-terminal, with real servers: what is seen, what keys do to the run, and the terminal as
// it was after every way out.
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { freshDir, isRoot, requireServer, TEST_USER } from '../../interop/servers.ts';
import { Bssh, served } from '../e2e/bssh.ts';
import { hasPty, Pty } from '../session/pty.ts';

const SHOW = '\x1b[?1049h';
const HIDE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

describe.skipIf(!requireServer('sshd') || !hasPty)('bssh --tui', () => {
  const bssh = served(new Bssh());

  const env = (): NodeJS.ProcessEnv => ({
    PATH: process.env.PATH,
    HOME: bssh.home,
    USER: 'root',
    LANG: 'C.UTF-8',
    TERM: 'xterm',
    NO_COLOR: '1',
  });
  const open = (args: readonly string[], extra: NodeJS.ProcessEnv = {}): Pty =>
    new Pty([bssh.file, ...bssh.common, '--tui', ...args], { env: { ...env(), ...extra } });

  /** Ends with this status, the screen and the modes of before; what was said last stands on the first screen. */
  const ended = async (pty: Pty, code: number): Promise<string> => {
    expect(await pty.exit).toBe(code);
    expect(pty.end).toEqual(pty.begin);
    expect(pty.output.split(SHOW)).toHaveLength(pty.output.split(HIDE).length);
    return pty.output.slice(pty.output.lastIndexOf(HIDE) + HIDE.length);
  };

  it('shows a run, stays until it is left, and sums up', async () => {
    const dir = freshDir('tui');
    using pty = open(['-H', '127.0.0.[1-3]', '--output-dir', dir, 'echo "from ${SSH_CONNECTION% *}"; exit 3']);
    await pty.expect(/ended \d:\d\d[\s\S]*3 hosts: {2}✗ 3 exit 3|3 hosts: {2}✗ 3 exit 3[\s\S]*ended \d:\d\d/, 20_000);
    expect(pty.output).toMatch(/✗ 127\.0\.0\.2 {2}exit 3 +\d:\d\d {2}from \S+ \d+ 127\.0\.0\.2/);
    pty.type('d');
    await pty.expect(/> ✗ 1 {2}exit 3 {2}the majority/);
    pty.resize(40, 100);
    await pty.expect(/\x1b\[40;1H\x1b\[K \?:help q:quit/);
    pty.type('q');
    expect(await ended(pty, 1)).toMatch(/\n3 exit 3 {2}127\.0\.0\.\[1-3\]\r\n127\.0\.0\.\[1-3\]: exit 3\r\n$/);
    expect(readdirSync(dir).filter((name) => name.endsWith('.stdout'))).toHaveLength(3);
  });

  it('pauses, skips, goes on and aborts', async () => {
    using pty = open([
      '-H',
      '127.0.0.[1-4]',
      '--parallel',
      '1',
      'case $SSH_CONNECTION in *127.0.0.3*) sleep 60;; esac',
    ]);
    pty.type('p');
    await pty.expect(/PAUSED/, 20_000);
    await pty.expect(/· 3 waiting {2}✓ 1 ok/, 20_000);
    pty.type('\x1b[Bs');
    await pty.expect(/· 2 waiting {2}- 1 not-started {2}✓ 1 ok/);
    pty.type('p');
    await pty.expect(/● 127\.0\.0\.3 +running/, 20_000);
    pty.type('x');
    await pty.expect(/End everything that runs\? \(y\/n\)/);
    pty.type('y');
    await pty.expect(/ended \d:\d\d/, 20_000);
    pty.type('q');
    const said = await ended(pty, 5);
    expect(said).toMatch(/1 ok +127\.0\.0\.1\r\n/);
    expect(said).toMatch(/2 not-started +127\.0\.0\.\[2,4\]\r\n1 cancelled +127\.0\.0\.3\r\n/);
  });

  it.each(['SIGTERM', 'SIGHUP'] as const)('gives the terminal back at %s, and ends what runs', async (name) => {
    using pty = open(['-H', '127.0.0.[1-2]', 'sleep 60']);
    await pty.expect(/● 2 running/, 20_000);
    pty.signal(name);
    expect(await ended(pty, name === 'SIGTERM' ? 143 : 129)).toMatch(/2 cancelled/);
  });

  it('takes Ctrl-C as other runs do, and SIGQUIT at its word', async () => {
    using pty = open(['-H', '127.0.0.[1-2]', 'sleep 60']);
    await pty.expect(/● 2 running/, 20_000);
    pty.type('\x03');
    await pty.expect(/Interrupted: no further hosts are started/);
    pty.type('\x03');
    expect(await ended(pty, 130)).toMatch(/Interrupted: no further.*Ending what runs \.\.\.\r\n2 cancelled/s);
    using quit = open(['-H', '127.0.0.[1-2]', 'sleep 60']);
    await quit.expect(/● 2 running/, 20_000);
    quit.signal('SIGQUIT');
    await ended(quit, -3);
  });

  it('gives the terminal back after an error of its own', async () => {
    const crash = bssh.write('crash.cjs', `process.on('SIGUSR2', () => { throw new Error('planted'); });`);
    using pty = open(['-H', '127.0.0.1', 'sleep 60'], { NODE_OPTIONS: `--require ${crash}` });
    await pty.expect(/● 1 running/, 20_000);
    pty.signal('SIGUSR2');
    expect(await ended(pty, 255)).toBe('bssh: internal error: Error: planted\r\n');
  });

  it('is stopped and goes on', async () => {
    using pty = new Pty(['bash', '--norc', '--noprofile', '-i'], { env: env() });
    await pty.expect(/[#$] /);
    pty.type(`PS1='outer''> '\n`);
    await pty.expect(/outer> /);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = await pty.modes();
    pty.type(`${bssh.file} ${bssh.common.join(' ')} --tui -H 127.0.0.1 'echo on; sleep 60'\n`);
    for (let times = 0; times < 2; times++) {
      await pty.expect(/\x1b\[\?1049h[\s\S]*127\.0\.0\.1[\s\S]*127\.0\.0\.1 +running[\s\S]* on/, 20_000);
      pty.type('\x1a');
      await pty.expect(/\x1b\[\?1049l[\s\S]*Stopped[\s\S]*outer> /);
      await expect.poll(() => pty.modes(), { timeout: 10_000 }).toEqual(before);
      pty.type('fg\n');
    }
    await pty.expect(/\x1b\[\?1049h[\s\S]*127\.0\.0\.1 +running/);
    pty.type('qy');
    await pty.expect(/1 cancelled[\s\S]*outer> /, 20_000);
    await expect.poll(() => pty.modes(), { timeout: 10_000 }).toEqual(before);
    pty.type('exit\n');
    await pty.exit;
  });

  it.skipIf(!isRoot)('lends the screen to a question', async () => {
    const known = `UserKnownHostsFile=${bssh.home}/known_hosts`;
    const login = ['-p', String(bssh.server.port), '-l', TEST_USER.name, '-P', '-o', known];
    using pty = new Pty([bssh.file, '-F', 'none', ...login, '--tui', '-H', '127.0.0.[1-2]', 'id'], { env: env() });
    await pty.expect(/\x1b\[\?1049l[\s\S]*Enter password: /, 20_000);
    pty.type(`${TEST_USER.password}\r`);
    await pty.expect(/\x1b\[\?1049h[\s\S]*ended/, 20_000);
    expect(pty.output).toContain('✓ 2 ok');
    pty.type('q');
    await ended(pty, 0);
    expect(pty.output).not.toContain(TEST_USER.password);
  });

  it('makes what hosts send harmless, and stays fluid when one floods', async () => {
    using pty = open([
      '-H',
      '127.0.0.[1-2]',
      'case $SSH_CONNECTION in *127.0.0.2*) yes;; esac; printf "\\033[2J\\033]0;title\\007\\n"',
    ]);
    await pty.expect(/127\.0\.0\.1 +ok +\d:\d\d {2}\^\[\[2J\^\[\]0;title\^G/, 20_000);
    await pty.expect(/127\.0\.0\.2 +running +\d:\d\d {2}y/, 20_000);
    pty.type('\x1b[B\r');
    await pty.expect(/its beginning is not kept/);
    const [before, since] = [pty.output.length, Date.now()];
    await pty.expect(/running {2}0:0[3-9]/, 20_000);
    // At most 20 drawings a second, of a screen of 24 lines.
    expect(pty.output.length - before).toBeLessThan(((Date.now() - since) / 50 + 2) * 24 * 90);
    pty.type('qy');
    await ended(pty, 5);
  });

  it('shows shells that last, gives them commands, and compares what they answer', async () => {
    using pty = open(['-H', '127.0.0.[1-3]', 'interactive', '--work-dir', '/usr']);
    await pty.expect(/3 hosts: {2}✓ 3 idle/, 30_000);
    pty.type(':');
    pty.type('pwd; case $SSH_CONNECTION in *127.0.0.2*) cd /etc; (exit 3);; esac\r');
    await pty.expect(/✗ 1 exit 3 {2}✓ 2 idle/, 20_000);
    pty.type(':pwd\r');
    await pty.expect(/127\.0\.0\.2 {2}idle +\/etc/, 20_000);
    pty.type('d');
    await pty.expect(/✓ 2 {2}idle {2}the majority {2}127\.0\.0\.\[1,3\]/);
    pty.type('o:vim x\r');
    await pty.expect(/vim needs a terminal of its own/);
    pty.type(':sleep 60\r');
    await pty.expect(/● 3 running/);
    pty.type('\x03');
    await pty.expect(/✗ 3 exit 130/, 20_000);
    pty.type(' :kill -9 $PPID\r');
    await pty.expect(/✗ 1 lost/, 20_000);
    pty.type(':!reconnect\r');
    await pty.expect(/(?<!✗ )✓ 3 idle|✗ 2 exit 130 {2}✓ 1 idle/, 20_000);
    pty.type(':!n2\r');
    await pty.expect(/Space marks hosts/);
    pty.type('qy');
    await ended(pty, 0);
    using again = open(['-H', '127.0.0.1', 'interactive']);
    await again.expect(/✓ 1 idle/, 20_000);
    again.type(':sleep 60\r');
    await again.expect(/● 1 running/);
    again.signal('SIGTERM');
    await ended(again, 143);
  });

  it('refuses what is no terminal, and other views at the same time', async () => {
    const plain = await bssh.on('--tui', '-H', '127.0.0.1', 'id');
    expect([plain.code, plain.out]).toEqual([2, '']);
    expect(plain.err).toMatch(/--tui needs a terminal to draw on/);
    for (const other of ['--gather', '--json', '--group', '--quiet']) {
      expect((await bssh.on('--tui', other, '-H', '127.0.0.1', 'id')).code).toBe(2);
    }
  });
});
