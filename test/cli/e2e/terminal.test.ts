// The command on a real terminal: a shell as a person uses it, and the terminal as it was after every way out.
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort, requireServer, startSshd } from '../../interop/servers.ts';
import { hasPty, Pty } from '../session/pty.ts';
import { Box, served } from './box.ts';

describe.skipIf(!requireServer('sshd') || !hasPty)('on a terminal', () => {
  const box = served(new Box(), startSshd);

  const start = (args: readonly string[], to: Box = box) =>
    new Pty([`${box.bin}/bssh`, '-F', to.config, ...args], { env: box.env });

  /** A shell with a prompt that nothing else prints. */
  const shell = async (to: Box = box): Promise<Pty> => {
    const pty = start(['box'], to);
    await pty.expect(/\$ /, 20_000);
    pty.type(`PS1='[''ready] '\n`);
    await pty.expect(/\[ready\] /);
    return pty;
  };

  /** Ends with this status, and with the modes of before. */
  const ended = async (pty: Pty, code: number) => {
    expect(await pty.exit).toBe(code);
    expect(pty.end).toEqual(pty.begin);
  };

  it('is a shell: prompt, window, interrupts, exit status', async () => {
    using pty = await shell();
    expect(await pty.modes()).not.toEqual(pty.begin);
    pty.type('stty size; tty | cut -c1-9; echo $TERM\n');
    await pty.expect(/24 80\r\n\/dev\/pts\/\r\nxterm\r\n/);
    pty.resize(50, 132);
    pty.type('sleep 0.2; stty size\n');
    await pty.expect(/50 132\r\n/);
    pty.type('sleep 60; echo not re""ached\n');
    await new Promise((resolve) => setTimeout(resolve, 300));
    pty.type('\x03');
    await pty.expect(/\[ready\] /);
    pty.type('exit 7\n');
    await pty.expect(/Connection to 127\.0\.0\.1 closed\.\r+\n/);
    await ended(pty, 7);
    expect(pty.output).not.toContain('not reached');
  });

  it('takes 100 kB that are pasted at once', async () => {
    using pty = await shell();
    // A line discipline keeps 4096 bytes of an unfinished line: what is pasted is lines.
    const line = `${'0123456789abcdef'.repeat(6)}xyz\n`;
    pty.type(`stty -echo; echo re''ady; head -c ${1000 * line.length} | sha256sum\n`);
    await pty.expect(/ready\r\n/);
    const { createHash } = await import('node:crypto');
    const text = line.repeat(1000);
    for (let at = 0; at < text.length; at += 4000) pty.type(text.slice(at, at + 4000));
    await pty.expect(new RegExp(createHash('sha256').update(text).digest('hex')), 20_000);
    pty.type('exit\n');
    await ended(pty, 0);
  });

  it('suspends with ~^Z and goes on with fg', async () => {
    using pty = new Pty(['bash', '--norc', '--noprofile', '-i'], { env: box.env });
    await pty.expect(/[#$] /);
    pty.type(`PS1='outer''> '\n`);
    await pty.expect(/outer> /);
    // A shell's line editor changes the modes a moment after it shows its prompt.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = await pty.modes();
    pty.type(`bssh -F ${box.config} box\n`);
    await pty.expect(/\n\$ /, 20_000);
    pty.type('echo inn""er\n');
    await pty.expect(/inner\r\n\$ /);
    pty.type('~\x1a');
    await pty.expect(/Stopped.*outer> /s);
    await expect.poll(() => pty.modes(), { timeout: 10_000 }).toEqual(before);
    pty.type('echo out""side; fg\n');
    await pty.expect(/outside\r\n.*bssh -F/s);
    pty.type('\necho ag""ain\n');
    await pty.expect(/again\r\n/);
    pty.type('exit 3\n');
    await pty.expect(/Connection to 127\.0\.0\.1 closed\.\r+\n.*outer> /s);
    pty.type('echo "status $?"\n');
    await pty.expect(/status 3\r\n/);
    await expect.poll(() => pty.modes(), { timeout: 10_000 }).toEqual(before);
    pty.type('exit\n');
    await pty.exit;
  });

  it('has the command line of ~C, and lists with ~#', async () => {
    const port = await freePort();
    using pty = start(['-o', 'EnableEscapeCommandline=yes', 'box']);
    await pty.expect(/\$ /, 20_000);
    pty.type('\r~C');
    await pty.expect(/\r\nssh> $/);
    pty.type(`-D ${port}\r`);
    await pty.expect(/Forwarding port\.\r\n/);
    const banner = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(Uint8Array.of(5, 1, 0)));
      socket.once('error', reject);
      socket.once('data', () => {
        const to = Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, box.server.port >> 8, box.server.port & 0xff]);
        socket.write(to);
        socket.on('data', (data: Buffer) => {
          if (!data.includes('SSH-2.0')) return;
          resolve(data.subarray(data.indexOf('SSH-2.0')).toString().slice(0, 7));
          pty.type('\r~#');
        });
      });
    });
    expect(banner).toBe('SSH-2.0');
    await pty.expect(/The following connections are open:\r\n {2}#0 client-session .*\r\n.*:\d+: 1 connection\r\n/);
    pty.type('\r~C');
    await pty.expect(/ssh> $/);
    pty.type(`-KD${port}\r`);
    await pty.expect(/Canceled forwarding\.\r\n/);
    pty.type('\r~.');
    await ended(pty, 255);
  });

  it('has no terminal over there with -t -f, and gives the one here back at once', async () => {
    using pty = start(['-t', '-f', 'box', 'tty; sleep 0.5; echo la""ter']);
    await pty.expect(/Pseudo-terminal will not be allocated because stdin is not a terminal\.\r\n/, 20_000);
    await ended(pty, 0);
    expect(pty.output).not.toContain('/dev/pts');
  });

  it('leaves at ~. though the command hears nothing', async () => {
    using pty = start(['-t', 'box', 'trap "" INT HUP; echo de""af; sleep 2; sleep 2']);
    await pty.expect(/deaf\r\n/, 20_000);
    pty.type('\r~.');
    await pty.expect(/Connection to 127\.0\.0\.1 closed\.\r+\n/);
    await ended(pty, 255);
  });

  it.skipIf(!requireServer('vi', 'less')).each([
    ['vi', 'vi -u NONE', 'G:.=\r', /\b200\b/, ':q!\r'],
    ['less', 'less', 'G', /line number 200/, 'q'],
  ])('gives %s the screen and the keys', async (_name, command, keys, shown, quit) => {
    const file = `${box.shared}/text`;
    writeFileSync(file, Array.from({ length: 200 }, (_, i) => `line number ${i + 1}\n`).join(''), { mode: 0o644 });
    using pty = await shell();
    pty.type(`${command} ${file}\n`);
    await pty.expect(/line number 20/);
    pty.type(keys);
    await pty.expect(shown);
    pty.type(quit);
    await pty.expect(/\[ready\] /);
    pty.type('stty -a | grep -o " echo "; exit\n');
    await pty.expect(/ echo \r\n/);
    await ended(pty, 0);
  });

  it('puts the terminal back when the connection is lost', async () => {
    const mortal = await startSshd();
    const to = new Box(mortal);
    try {
      using pty = await shell(to);
      pty.type('kill -9 $PPID\n');
      await pty.expect(
        /(Connection to 127\.0\.0\.1 closed by remote host\.|Read from remote host 127\.0\.0\.1: Connection reset by peer)\r+\nConnection to 127\.0\.0\.1 closed\.\r+\n/,
      );
      await ended(pty, 255);
    } finally {
      await mortal.stop();
    }
  });

  it.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)('puts the terminal back at %s', async (name) => {
    using pty = await shell();
    pty.signal(name);
    const code = await pty.exit;
    expect(code).not.toBe(0);
    expect(pty.end).toEqual(pty.begin);
  });

  it('puts the terminal back after an error of its own, and says it in a line', async () => {
    const crash = box.write('crash.cjs', `process.on('SIGUSR2', () => { throw new Error('planted'); });`);
    using pty = new Pty([`${box.bin}/bssh`, '-F', box.config, 'box'], {
      env: { ...box.env, NODE_OPTIONS: `--require ${crash}` },
    });
    await pty.expect(/\$ /, 20_000);
    pty.signal('SIGUSR2');
    await pty.expect(/bssh: internal error: Error: planted\r\n$/);
    await ended(pty, 255);
  });

  it('leaves the terminal alone without a pty, and where nothing answers', async () => {
    using plain = start(['-T', 'box', 'exit 4']);
    await ended(plain, 4);
    using refused = start(['-p', String(await freePort()), 'box']);
    await refused.expect(/Connection refused\r\n/, 20_000);
    await ended(refused, 255);
  });
});
