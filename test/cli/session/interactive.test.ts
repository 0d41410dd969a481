import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireServer } from '../../interop/process.ts';
import { type Server, startSshd } from '../../interop/servers.ts';
import { bundleProgram, type Ended, ended, shell } from './programs.ts';
import { hasPty, Pty } from './pty.ts';

const hasSshd = requireServer('sshd');

describe.skipIf(!hasSshd)('a session', () => {
  let server: Server;
  let program: string;
  beforeAll(async () => {
    [server, program] = await Promise.all([
      startSshd({ config: ['LogLevel DEBUG1'] }),
      bundleProgram(new URL('./session-program.ts', import.meta.url)),
    ]);
  });
  afterAll(() => server?.stop());

  const argv = (command: string | undefined, more: object = {}): string[] => {
    const { host, port, user, identity, knownHosts } = server;
    return [process.execPath, program, JSON.stringify({ host, port, user, identity, knownHosts, command, ...more })];
  };
  const quoted = (command: string, more: object = {}): string =>
    argv(command, more)
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      .join(' ');
  const start = (command: string, more: object = {}, input: string | Buffer = ''): Promise<Ended> => {
    const [file, ...args] = argv(command, more) as [string, ...string[]];
    const child = spawn(file, args);
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    return ended(child);
  };

  describe('without a terminal', () => {
    it('passes bytes and the status', async () => {
      const data = randomBytes(2_000_003);
      const { code, stdout, stderr } = await start('cat; echo oops >&2; exit 42', {}, data);
      expect([code, stderr]).toEqual([42, 'oops\n']);
      expect(stdout.equals(data)).toBe(true);
    });

    it.each([
      ['kill -TERM $$', 255],
      ['kill -KILL $$', 255],
      ['exit 255', 255],
      ['true', 0],
    ])('answers with what ssh(1) answers with: %s', async (command, status) => {
      expect(await start(command)).toMatchObject({ code: status, stderr: '' });
    });

    it('says that the connection was lost, even when quiet', async () => {
      const { code, stderr } = await start('sleep 0.5; kill -9 $PPID; sleep 5', { quiet: true });
      expect([code, stderr]).toEqual([255, 'Connection to 127.0.0.1 closed by remote host.\r\n']);
    });

    it('reads nothing under -n', async () => {
      const { stdout } = await shell(`printf 'mine\\n' | { ${quoted('cat; echo end', { noStdin: true })}; cat; }`);
      expect(stdout.toString()).toBe('end\nmine\n');
    });

    it('ends when its reader goes', async () => {
      const { stdout, stderr } = await shell(`${quoted('exec yes')} | head -n 1; echo \${PIPESTATUS[0]}`);
      expect([stdout.toString(), stderr]).toEqual(['y\n255\n', '']);
    });

    it('goes on with stderr when only stdout has lost its reader', async () => {
      const { stderr } = await shell(
        `${quoted('trap "" PIPE; echo a; sleep 1; echo b 2>/dev/null; echo c 2>/dev/null; echo late >&2')} | true`,
      );
      expect(stderr).toBe('late\n');
    });

    it('stops reading what the command will not read', async () => {
      const line = `yes | ${quoted('exec <&-; sleep 1; echo done')}; echo \${PIPESTATUS[0]}`;
      expect((await shell(line)).stdout.toString()).toBe('done\n141\n');
    });

    it('holds a fast command at the pace of a slow reader', async () => {
      const line = `${quoted('head -c 20000000 /dev/zero')} | { sleep 1; md5sum; }`;
      const want = createHash('md5').update(Buffer.alloc(20_000_000)).digest('hex');
      expect((await shell(line)).stdout.toString()).toBe(`${want}  -\n`);
    });

    it.each([
      ['SIGINT', 2],
      ['SIGTERM', 15],
      ['SIGHUP', 1],
    ] as const)('ends on %s', async (name, number) => {
      const [file, ...args] = argv('echo here; sleep 20', { verbose: 1 }) as [string, ...string[]];
      const child = spawn(file, args);
      child.stdout.once('data', () => child.kill(name));
      const { code, stderr } = await ended(child);
      expect([code, stderr.includes(`Killed by signal ${number}.`)]).toEqual([255, true]);
    });

    it('knows no escapes', async () => {
      expect((await start('cat', {}, '~.\n~?\n')).stdout.toString()).toBe('~.\n~?\n');
    });
  });

  describe.skipIf(!hasPty)('on a terminal', () => {
    const open = (command: string, more: object = {}, size?: { rows: number; columns: number }): Pty =>
      new Pty(argv(command, { tty: true, ...more }), size);

    it('has the modes and the size of ours, follows the window, and restores the terminal', async () => {
      using pty = new Pty(
        ['bash', '-c', 'stty -echoctl erase ^H -imaxbel; "$@"', '-', ...argv('stty -a; cat', { tty: true })],
        {
          rows: 33,
          columns: 101,
        },
      );
      await pty.expect(/rows 33; columns 101/);
      await pty.expect(/erase = \^H/);
      await pty.expect(/-imaxbel/);
      await pty.expect(/ -echoctl/);
      pty.type('\x04');
      await pty.expect(/Connection to 127\.0\.0\.1 closed\./);
      expect(await pty.exit).toBe(0);
      expect(server.log()).not.toContain('Setting tty modes failed');
    });

    it('tells of a new size', async () => {
      using pty = open('trap "stty size" WINCH; echo ready; while :; do sleep 0.1; done');
      await pty.expect(/ready/);
      pty.resize(50, 132);
      await pty.expect(/50 132/);
      pty.type('\r~.');
      expect(await pty.exit).toBe(255);
    });

    it('is raw while it lasts: bytes pass both ways as they are', async () => {
      // Without output processing of ours, a line feed from a raw remote stays one.
      using pty = open("stty raw -echo; printf 'a\\nb'; head -c 3 | od -An -tx1; echo end");
      await pty.expect(/a\nb/);
      pty.type('\x03\x1a\x1c');
      await pty.expect(/03 1a 1c/);
      expect(await pty.exit).toBe(0);
    });

    it.each([
      ['the end', 'echo up; read x', (pty: Pty) => pty.type('\r'), 0],
      ['~.', 'echo up; read x', (pty: Pty) => pty.type('\r~.'), 255],
      ['a lost connection', 'echo up; read x; kill -9 $PPID; sleep 2', (pty: Pty) => pty.type('\r'), 255],
      ['SIGTERM', 'echo up; sleep 20', (pty: Pty) => pty.signal('SIGTERM'), [255, -15]],
      ['SIGINT', 'echo up; sleep 20', (pty: Pty) => pty.signal('SIGINT'), [255, -2]],
      ['SIGHUP', 'echo up; sleep 20', (pty: Pty) => pty.signal('SIGHUP'), [255, -1]],
      ['SIGQUIT', 'echo up; sleep 20', (pty: Pty) => pty.signal('SIGQUIT'), -3],
    ] as const)('gives the terminal back after %s', async (_how, command, end, status) => {
      const [usual, bare] = typeof status === 'number' ? [status, status] : status;
      for (const without of usual === bare ? [true] : [false, true]) {
        using pty = open(command, { bare: without });
        await pty.expect(/up/);
        expect(await pty.modes()).not.toEqual(pty.begin);
        end(pty);
        expect(await pty.exit).toBe(without ? bare : usual);
        expect(pty.end).toEqual(pty.begin);
      }
    });

    it('says what ssh(1) says at the end, unless it is to be quiet', async () => {
      using loud = open('exit 3');
      expect(await loud.exit).toBe(3);
      expect(loud.output).toContain('Connection to 127.0.0.1 closed.\r');
      using quiet = open('exit 3', { quiet: true });
      expect(await quiet.exit).toBe(3);
      expect(quiet.output).toBe('');
      using lost = open('sleep 0.5; kill -9 $PPID; sleep 5', { quiet: true });
      expect(await lost.exit).toBe(255);
      expect(lost.output).toBe('Connection to 127.0.0.1 closed by remote host.\r\r\n');
    });

    it('takes the escapes of ssh(1)', async () => {
      using pty = open('stty -echo; echo up; cat', { verbose: 0 });
      await pty.expect(/up/);
      pty.type('\r~?');
      await pty.expect(/Supported escape sequences:\r\n ~\. {3}- terminate/);
      await pty.expect(/~~ {3}- send the escape/);
      pty.type('~#');
      await pty.expect(/The following connections are open:\r\n {2}#0 client-session \(t4 \[session\] r0 /);
      pty.type('~v~v~V~V~V');
      await pty.expect(
        /~v \[LogLevel VERBOSE\]\r\n~v \[LogLevel DEBUG\]\r\n~V \[LogLevel VERBOSE\]\r\n~V \[LogLevel INFO\]\r\n~V \[LogLevel ERROR\]/,
      );
      pty.type('~B');
      await pty.expect(/~B\r\n/);
      const before = server.log().length;
      pty.type('~R');
      while (!/SSH2_MSG_NEWKEYS received/.test(server.log().slice(before)))
        await new Promise((resolve) => setTimeout(resolve, 20));
      pty.type('~C');
      await pty.expect(/commandline disabled\r\n/);
      pty.type('~~tilde\r');
      await pty.expect(/~tilde/);
      pty.type('x~.\r');
      await pty.expect(/x~\./);
      pty.type('~.');
      expect(await pty.exit).toBe(255);
    });

    it('opens a command line', async () => {
      using pty = open('stty -echo; echo up; while read line; do echo "[$line]"; done', {
        commandLine: true,
        permitLocalCommand: true,
      });
      await pty.expect(/up/);
      const command = async (line: string, answer: RegExp): Promise<void> => {
        pty.type('~C');
        await pty.expect(/\r\nssh> $/);
        pty.type(`${line}\r`);
        await pty.expect(answer);
      };
      await command('-h', /Commands:\r\n {6}-L\[bind_address:\]port:host:hostport {4}Request local forward\r\n/);
      await command('-L80x\x7f80:localhost:80', /80x\x08 \x0880:localhost:80\r\nForwarding port\.\r\n/);
      await command('-Lfoo', /Bad local forwarding specification\.\r\n/);
      await command('-Rfoo', /Bad remote forwarding specification\.\r\n/);
      await command('-KD 1080', /Unknown port forwarding\.\r\n/);
      await command('nonsense', /Invalid command\.\r\n/);
      // The local terminal is not raw meanwhile: a line feed gets its carriage return.
      await command('!printf "loc""al\\n"; stty -a | grep -o " icanon"', /local\r\n icanon\r\n/);
      await command('-L1:b:2\x15-L3:c:4', /Forwarding port/);
      await command('gone\x03', /\^C\r\n/);
      pty.type('~#');
      await pty.expect(/#1 add local 8080:localhost:80\r\n/);
      await pty.expect(/cancel dynamic 1080\r\n {2}#5 add local 3:c:4\r\n/);
      pty.type('\rback\r');
      await pty.expect(/\[back\]/);
      pty.type('~.');
      expect(await pty.exit).toBe(255);
    });

    it('holds output while a command is typed', async () => {
      using pty = open('echo up; sleep 1; echo later; sleep 20', { commandLine: true });
      await pty.expect(/up/);
      pty.type('~C');
      await pty.expect(/ssh> $/);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(pty.output).not.toContain('later');
      pty.type('\r');
      await pty.expect(/later/);
      pty.type('~.');
      expect(await pty.exit).toBe(255);
    });

    it('stops and goes on with ~^Z, under a shell with job control', async () => {
      const line = argv('stty -echo; echo up; cat', { tty: true })
        .map((word) => `'${word}'`)
        .join(' ');
      using pty = new Pty(['bash', '--norc', '--noprofile', '-i'], {
        env: { ...process.env, PS1: 'local> ', TERM: 'dumb' },
      });
      await pty.expect(/[#$>] $/);
      pty.type("PS1='lo''cal> '\r");
      await pty.expect(/local> $/);
      pty.type(`${line}\r`);
      await pty.expect(/up\r\n/);
      const raw = await pty.modes();
      pty.type('\r~\x1a');
      await pty.expect(/~\^Z \[suspend ssh\]\r\n/);
      await pty.expect(/Stopped[\s\S]*local> $/);
      pty.resize(44, 111);
      pty.type('fg\r');
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(await pty.modes()).toEqual(raw);
      pty.type('again\r');
      await pty.expect(/again/);
      // Stopped from outside and continued: raw again, whatever the shell did to the terminal meanwhile.
      pty.type('\r~\x1a');
      await pty.expect(/Stopped[\s\S]*local> $/);
      pty.type('stty size; kill -TSTP %1; fg\r');
      await pty.expect(/44 111/);
      await new Promise((resolve) => setTimeout(resolve, 700));
      pty.type('third\r');
      await pty.expect(/third/);
      pty.type('\r~.');
      await pty.expect(/closed\.[\s\S]*local> $/);
      pty.type('exit\r');
      await pty.exit;
    });

    it('waits for its connections after ~&, when the shell lets it go on', async () => {
      const line = argv('stty -echo; echo up; cat; exit 5', { tty: true, linger: 1500 })
        .map((word) => `'${word}'`)
        .join(' ');
      using pty = new Pty(['bash', '--norc', '--noprofile', '-i'], {
        env: { ...process.env, PS1: 'local> ', TERM: 'dumb' },
      });
      await pty.expect(/[#$>] $/);
      pty.type("PS1='lo''cal> '\r");
      await pty.expect(/local> $/);
      pty.type(`${line}\r`);
      await pty.expect(/up\r\n/);
      pty.type('\r~&');
      await pty.expect(/~& \[stopped: type bg to let it wait/);
      await pty.expect(/local> $/);
      pty.type('bg; wait %1; echo "status $?"\r');
      await pty.expect(/status 5/);
      pty.type('exit\r');
      await pty.exit;
    });

    it('goes on without a pty where the server refuses one, unless it was asked for', async () => {
      const refusing = await startSshd({ config: ['PermitTTY no'] });
      try {
        const { port, knownHosts } = refusing;
        using pty = open('test -t 0 || echo none; exit 4', { port, knownHosts });
        await pty.expect(/PTY allocation request failed on channel 0/);
        await pty.expect(/none/);
        expect(await pty.exit).toBe(4);
        using asked = open('sleep 5', { port, knownHosts, ttyRequired: true });
        expect(await asked.exit).toBe(255);
      } finally {
        await refusing.stop();
      }
    });
  });
});
