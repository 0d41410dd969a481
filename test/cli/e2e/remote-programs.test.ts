// What runs on the hosts beyond a plain command: scripts that are brought there, commands that name their host, and sudo.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  freshDir,
  isRoot,
  requireServer,
  type Server,
  startDropbear,
  startSshd,
  TEST_USER,
} from '../../interop/servers.ts';
import { Bssh, lines, served } from './bssh.ts';

/** The folders that programs are brought into, of this test. */
const folders = (): string[] =>
  ['/tmp', '/var/tmp', TEST_USER.home]
    .filter((dir) => existsSync(dir))
    .flatMap((dir) => readdirSync(dir).flatMap((name) => (name.startsWith('.bssh-') ? [join(dir, name)] : [])));

let before: string[] = [];
beforeEach(() => {
  before = folders();
});
const leftovers = (): string[] => folders().filter((path) => !before.includes(path));

const running = (command: string): boolean =>
  execFileSync('ps', ['-eo', 'args']).toString().split('\n').includes(command);

describe.skipIf(!requireServer('sshd'))('programs on the hosts', () => {
  const bssh = served(new Bssh());

  const script = (name: string, text: string): string => bssh.write(name, text);
  it('runs a script with its arguments as they were typed, in a private folder, and removes it', async () => {
    const file = script(
      'check it.sh',
      '#!/bin/sh\nstat -c %a "${0%/*}" "$0"; echo "${0##*/}"; printf "[%s]" "$@"; echo; exit 5\n',
    );
    const { code, out, err } = await bssh.on('-H', '127.0.0.1', '--script', file, 'a b', "it's", '$HOME', '');
    expect(lines(out)).toEqual(
      ['700', '700', 'check_it.sh', "[a b][it's][$HOME][]"].map((line) => `127.0.0.1: ${line}`),
    );
    expect(err).toMatch(/^1 exit 5 +127\.0\.0\.1$/m);
    expect(code).toBe(1);
    expect(leftovers()).toEqual([]);
  });

  it('runs any program, whatever interprets it, and gives it --stdin', async () => {
    const file = script(
      'sum.py',
      '#!/usr/bin/env python3\nimport sys\nprint(sum(map(int, sys.stdin)), sys.argv[1:])\n',
    );
    const args = [...bssh.common, '-H', '127.0.0.[1-2]', '--script', file, '--stdin', '--', '-x'];
    const { out } = await bssh.run(args, { input: '1\n2\n39\n' });
    expect(lines(out).sort()).toEqual(["127.0.0.1: 42 ['-x']", "127.0.0.2: 42 ['-x']"]);
  });

  it('removes a script that is ended, its processes with it', async () => {
    const mark = `34${process.pid}`;
    const stubborn = script('stubborn', `#!/bin/sh\ntrap '' TERM\necho up\nsleep ${mark}\nsleep ${mark}\n`);
    const timeout = await bssh.on('-H', '127.0.0.[1-2]', '--timeout', '2', '--script', stubborn);
    expect(timeout.err).toMatch(/^2 command-timeout +127\.0\.0\.\[1,2\]$/m);
    expect(timeout.err).toContain('(the remote process is gone)');
    expect(running(`sleep ${mark}`)).toBe(false);
    expect(leftovers()).toEqual([]);
    const plain = script('plain', `#!/bin/sh\necho up\nexec sleep ${mark}\n`);
    const { code } = await bssh.run([...bssh.common, '-H', '127.0.0.1', '--script', plain], {
      started: (child) =>
        child.stdout!.once('data', () => {
          child.kill('SIGTERM');
        }),
    });
    expect(code).toBe(143);
    expect(running(`sleep ${mark}`)).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  it('says why a script cannot be read or brought there', async () => {
    const missing = await bssh.on('-H', '127.0.0.1', '--script', join(bssh.home, 'nowhere'));
    expect([missing.code, missing.err]).toEqual([
      2,
      expect.stringMatching(/the script .*nowhere cannot be read: No such file or directory/),
    ]);
    const ping = await bssh.on('-H', '127.0.0.1', '--script', 'x', 'ping');
    expect([ping.code, ping.err]).toEqual([2, expect.stringContaining('--script goes with a command, not with ping')]);
    const file = script('x.sh', 'echo x');
    const nowhere = ['-o', 'SetEnv=TMPDIR=/proc HOME=/proc'];
    // There is always one place that works.
    expect((await bssh.on(...nowhere, '-H', '127.0.0.1', '--script', file)).out).toBe('127.0.0.1: x\n');
  });

  it('fills in what is known of the host, only when asked to and only what is harmless', async () => {
    const command = 'echo {node} {host} {port} {user} {index} {other} "{index}" \'{index}\'';
    const plain = await bssh.on('-H', '127.0.0.2', command);
    expect(plain.out).toBe('127.0.0.2: {node} {host} {port} {user} {index} {other} {index} {index}\n');
    const filled = await bssh.on('-H', '127.0.0.[1-2]', '--vars', command);
    expect(lines(filled.out).sort()).toEqual(
      [0, 1].map((index) => {
        const host = `127.0.0.${index + 1}`;
        return `${host}: ${host} ${host} ${bssh.server.port} ${bssh.server.user} ${index} {other} ${index} ${index}`;
      }),
    );
    const file = script('args.sh', 'echo "$@"');
    expect((await bssh.on('-H', '127.0.0.1', '--vars', '--script', file, '{index}: {node}')).out).toBe(
      '127.0.0.1: 0: 127.0.0.1\n',
    );
    // Windows' names of users are not for shells of Unix.
    const args = ['-H', '127.0.0.1,DOM\\me@127.0.0.2', '--vars', 'echo {user}'];
    const { code, err, out } = await bssh.on(...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain("127.0.0.2: {user} is 'DOM\\me', which a shell would not take as it is");
  });
});

describe.skipIf(!requireServer('dropbear') || !isRoot)('programs on a host without SFTP', () => {
  it('get there all the same', async () => {
    await using server = await startDropbear();
    const bssh = new Bssh(server);
    const file = bssh.write('hello.sh', 'echo "hello $1"; exit 4');
    const { code, out } = await bssh.on('-H', '127.0.0.1', '--script', file, 'you');
    expect([code, out]).toEqual([1, '127.0.0.1: hello you\n']);
    expect(leftovers()).toEqual([]);
  });
});

const SUDOERS = '/etc/sudoers.d/bssh-test';

describe.skipIf(!requireServer('sshd') || !requireServer('sudo') || !isRoot)('sudo with a password', () => {
  let server: Server;
  let bssh: Bssh;
  const dir = freshDir('askpass');
  const asked = join(dir, 'asked');

  beforeAll(async () => {
    server = await startSshd({ address: '0.0.0.0' });
    bssh = new Bssh(server);
    writeFileSync(SUDOERS, `${TEST_USER.name} ALL=(ALL) ALL\nDefaults:${TEST_USER.name} timestamp_timeout=0\n`, {
      mode: 0o440,
    });
    writeFileSync(join(dir, 'askpass'), `#!/bin/sh\necho "$1" >> ${asked}\necho "$ANSWER"\n`);
    chmodSync(join(dir, 'askpass'), 0o755);
  });
  afterAll(async () => {
    rmSync(SUDOERS, { force: true });
    await server?.stop();
  });

  const sudo = (args: readonly string[], answer: string = TEST_USER.password) =>
    bssh.run([...bssh.common, '--sudo-password', ...args], {
      env: { SSH_ASKPASS: join(dir, 'askpass'), SSH_ASKPASS_REQUIRE: 'force', ANSWER: answer },
    });

  it('is asked for once and answers every question on every host, however the command is wired', async () => {
    rmSync(asked, { force: true });
    const command =
      'sudo id -un 2>/dev/null; echo fed | sudo cat; sudo -u daemon id -un; sh -c "sudo id -un </dev/null"; cat; echo err >&2';
    const { code, out, err } = await sudo(['-H', '127.0.0.[1-2]', command]);
    expect(lines(out).sort()).toEqual(
      ['127.0.0.1', '127.0.0.2'].flatMap((host) => ['daemon', 'fed', 'root', 'root'].map((line) => `${host}: ${line}`)),
    );
    expect(lines(err).filter((line) => /: err$/.test(line))).toHaveLength(2);
    expect(err).not.toContain('bssh-');
    expect(code).toBe(0);
    expect(lines(readFileSync(asked, 'utf8'))).toHaveLength(1);
    expect(leftovers()).toEqual([]);
  });

  it('shows the password to nobody: no argument, environment or file has it', async () => {
    // The pattern comes in over a pipe: who looks must not find itself.
    const look = `printf "correct hor%s" se | grep -D skip -laF -f - /proc/[0-9]*/cmdline /proc/self/environ /proc/$PPID/environ /tmp/.bssh-*/*`;
    const shown = 'while read -r f; do echo "$f"; tr "\\000" " " <"$f"; echo; done';
    const { out, err } = await sudo(['-vvv', '-H', '127.0.0.1', `sudo sh -c '${look} | ${shown}'; echo looked`]);
    // Tests of others may be at work, and they do give passwords away.
    expect(lines(out).filter((line) => /bssh|sudo|askpass|environ/.test(line))).toEqual([]);
    expect(lines(out).at(-1)).toBe('127.0.0.1: looked');
    expect(err).not.toContain(TEST_USER.password);
  });

  it('that is wrong ends the host at once, in so many words', async () => {
    const started = Date.now();
    const { code, out, err } = await sudo(['-H', '127.0.0.1', 'sudo id -un; echo after; sleep 30'], 'wrong');
    expect(out).toBe('');
    expect(err).toMatch(/^1 auth +127\.0\.0\.1$/m);
    expect(err).toContain('auth: sudo does not accept the password');
    expect(code).toBe(4);
    expect(Date.now() - started).toBeLessThan(25_000);
    expect(leftovers()).toEqual([]);
  });

  it('works inside a script, and from BSSH_SUDO_PASSWORD', async () => {
    const file = bssh.write('as-root.sh', '#!/bin/sh\nsudo id -un\nsudo true && echo still "$1"\n');
    const { out } = await bssh.run([...bssh.common, '--sudo-password', '-H', '127.0.0.1', '--script', file, 'here'], {
      env: { BSSH_SUDO_PASSWORD: TEST_USER.password },
    });
    expect(lines(out)).toEqual(['127.0.0.1: root', '127.0.0.1: still here']);
  });

  it('is no obstacle to what needs none, and leaves no process', async () => {
    const mark = `35${process.pid}`;
    expect((await sudo(['-H', '127.0.0.1', 'echo plain'])).out).toBe('127.0.0.1: plain\n');
    const args = ['-H', '127.0.0.[1-2]', '--timeout', '3'];
    const { err } = await sudo([
      ...args,
      `sudo id -u; case $SSH_CONNECTION in *127.0.0.2*) exec sleep ${mark};; *) sudo sleep ${mark};; esac`,
    ]);
    expect(err).toMatch(/^2 command-timeout +127\.0\.0\.\[1,2\]$/m);
    expect(err).toContain('(the remote process is gone)');
    expect(running(`sleep ${mark}`)).toBe(false);
    const left = execFileSync('ps', ['-o', 'args=', '-u', TEST_USER.name]).toString();
    expect(left).not.toContain('.bssh-');
    expect(leftovers()).toEqual([]);
  });

  it('is not asked for in vain: without an answer nothing is begun', async () => {
    const { code, err, out } = await bssh.run([...bssh.common, '--sudo-password', '-H', '127.0.0.1', 'echo x'], {
      env: { SSH_ASKPASS: '/bin/false', SSH_ASKPASS_REQUIRE: 'force' },
    });
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain("sudo's password was asked for and not given");
  });
});
