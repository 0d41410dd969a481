// What is asked on the terminal: passwords, passphrases and host keys; and what is never asked.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isRoot, requireServer, startSshd, TEST_USER } from '../../interop/servers.ts';
import { hasPty, Pty } from '../session/pty.ts';
import { Box, served } from './box.ts';

describe.skipIf(!requireServer('sshd') || !hasPty)('questions', () => {
  const box = served(new Box());

  const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    new Pty([join(box.bin, 'bssh'), '-F', box.config, ...args], { env: { ...box.env, ...env } });

  const ended = async (pty: Pty, code: number) => {
    expect(await pty.exit).toBe(code);
    expect(pty.end).toEqual(pty.begin);
  };

  const BY_PASSWORD = ['-o', 'PubkeyAuthentication=no'];
  const ASKED = new RegExp(`${TEST_USER.name}@127\\.0\\.0\\.1's password: `);

  describe.skipIf(!isRoot)('for a password', () => {
    it('are put again after a wrong one, and never echoed', async () => {
      using pty = start([...BY_PASSWORD, '127.0.0.1', 'echo in as $(id -un)']);
      await pty.expect(ASKED, 20_000);
      pty.type('not this\n');
      await pty.expect(/Permission denied, please try again\.\r+\n/);
      await pty.expect(ASKED);
      pty.type(`${TEST_USER.password}\n`);
      await pty.expect(new RegExp(`in as ${TEST_USER.name}\r\n`));
      await ended(pty, 0);
      expect(pty.output).not.toMatch(new RegExp(`not this|${TEST_USER.password}`));
    });

    it('end at Ctrl-C, with the terminal as it was', async () => {
      using pty = start([...BY_PASSWORD, '127.0.0.1', 'true']);
      await pty.expect(ASKED, 20_000);
      pty.type('half of it\x03');
      await ended(pty, 130);
      expect(pty.output).not.toContain('half');
    });

    it('are put on the terminal, whatever standard input and output are', async () => {
      using pty = new Pty(
        ['sh', '-c', `echo data | bssh -F ${box.config} ${BY_PASSWORD.join(' ')} 127.0.0.1 cat | tr a-z A-Z`],
        { env: box.env },
      );
      await pty.expect(ASKED, 20_000);
      pty.type(`${TEST_USER.password}\n`);
      await pty.expect(/DATA\r\n/);
      await ended(pty, 0);
    });

    it('are not put with BatchMode', async () => {
      using pty = start([...BY_PASSWORD, '-o', 'BatchMode=yes', '127.0.0.1', 'true']);
      await pty.expect(/Permission denied \(publickey,password\)\.\r+\n/, 20_000);
      await ended(pty, 255);
      expect(pty.output).not.toMatch(/password:/);
    });

    it('go to the program of SSH_ASKPASS when it must be asked', async () => {
      const program = box.write(
        'askpass',
        `#!/bin/sh\nprintf '%s\\n' "$1" >>${box.home}/asked\necho '${TEST_USER.password}'\n`,
      );
      chmodSync(program, 0o755);
      const env = { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force' };
      using pty = start([...BY_PASSWORD, '127.0.0.1', 'echo fine'], env);
      await pty.expect(/fine\r\n/, 20_000);
      await ended(pty, 0);
      expect(pty.output).not.toMatch(/password:/);
      expect(readFileSync(join(box.home, 'asked'), 'utf8')).toMatch(new RegExp(`^${ASKED.source}\n$`));
    });

    it('are put once for many hosts', async () => {
      using pty = start(['-H', '127.0.0.1,127.0.0.2,127.0.0.3', '-P', '-l', TEST_USER.name, 'echo fine']);
      await pty.expect(/Enter password: /, 20_000);
      pty.type(`${TEST_USER.password}\n`);
      for (let i = 0; i < 3; i++) await pty.expect(/127\.0\.0\.[123].*: .*fine/, 20_000);
      await ended(pty, 0);
      expect(pty.output.match(/password: /g)).toHaveLength(1);
      expect(pty.output).not.toContain(TEST_USER.password);
    });

    it('are put once to a program for many hosts, and not at all when the answer is in BSSH_PASSWORD', async () => {
      // One host after the other: the second comes when the first has long been answered.
      const many = [...BY_PASSWORD, '--parallel', '1', '-H', '127.0.0.1,127.0.0.2,127.0.0.3', '-l', TEST_USER.name];
      const asked = join(box.home, 'asked-for-many');
      const program = box.write('ask-many', `#!/bin/sh\necho asked >>${asked}\necho '${TEST_USER.password}'\n`);
      chmodSync(program, 0o755);
      const forced = { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force' };
      for (const [args, env] of [
        [['-P'], forced],
        [[], { ...forced, BSSH_PASSWORD: TEST_USER.password }],
      ] as const) {
        using pty = start([...many, ...args, 'echo fine'], env);
        expect(await pty.exit).toBe(0);
        expect(pty.output.match(/: .*fine/g)).toHaveLength(3);
        expect(pty.output).not.toMatch(/password/i);
        expect(readFileSync(asked, 'utf8')).toBe('asked\n');
      }
    });
  });

  it('for a passphrase are put again after a wrong one', async () => {
    const key = join(box.home, 'locked');
    copyFileSync(box.server.identity, key);
    chmodSync(key, 0o600);
    execFileSync('ssh-keygen', ['-q', '-p', '-f', key, '-P', '', '-N', 'open it']);
    const config = box.write('locked-config', readFileSync(box.config, 'utf8').replace(box.server.identity, key));
    using pty = new Pty([join(box.bin, 'bssh'), '-F', config, 'box', 'echo fine'], { env: box.env });
    await pty.expect(/Enter passphrase for key '.*locked': /, 20_000);
    pty.type('wrong\n');
    await pty.expect(/Enter passphrase for key '.*locked': /, 20_000);
    pty.type('open it\n');
    await pty.expect(/fine\r\n/, 20_000);
    await ended(pty, 0);
  });

  it('while a session runs leave its terminal as they found it, and keep its output to themselves', async () => {
    const two = await startSshd({ hostKeys: ['ed25519', 'ecdsa256'] });
    try {
      const known = box.write('one-key', `[127.0.0.1]:${two.port} ${two.hostKeys[0]}\n`);
      const options = ['-p', String(two.port), '-o', `UserKnownHostsFile=${known}`, '-o', 'UpdateHostKeys=ask'];
      // The question comes when the server's keys are proven, and a command could be quicker than that.
      const [go, gone] = [join(box.shared, 'begin'), join(box.shared, 'begun')];
      const work = `until test -e ${go}; do sleep 0.1; done; echo began; touch ${gone}; read line; echo "read $line"`;
      using pty = start([...options, '-t', '127.0.0.1', work]);
      await pty.expect(/Accept updated hostkeys\? \(yes\/no\): /, 20_000);
      writeFileSync(go, '');
      await expect.poll(() => existsSync(gone), { timeout: 20_000 }).toBe(true);
      expect(pty.output).not.toContain('began');
      pty.type('yes\r');
      await pty.expect(/yes\r\n.*began\r\n/s);
      pty.type('more\r');
      await pty.expect(/read more\r\n/);
      await ended(pty, 0);
      expect(readFileSync(known, 'utf8').split('\n')).toContainEqual(
        expect.stringContaining(two.hostKeys[1]!.split(' ')[1]!),
      );
    } finally {
      await two.stop();
    }
  });

  it('about who shares the connection come between the lines of its session', async () => {
    const socket = join(box.home, 'asking');
    const shared = ['-S', socket, '-o', 'ControlMaster=no', '-t', 'box', 'echo by""way'];
    using pty = start(['-S', socket, '-o', 'ControlMaster=ask', 'box']);
    await pty.expect(/\$ /, 20_000);
    const [go, gone] = [join(box.shared, 'go'), join(box.shared, 'gone')];
    pty.type(`echo fi""rst; until test -e ${go}; do sleep 0.1; done; echo sec""ond; touch ${gone}; stty size\r`);
    await pty.expect(/first\r\n/);
    const modes = await pty.modes();
    using guest = start(shared);
    await pty.expect(/Allow shared connection to box\? /, 20_000);
    writeFileSync(go, '');
    await expect.poll(() => existsSync(gone), { timeout: 20_000 }).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 500));
    // What the session says meanwhile waits, and what is typed is the answer.
    expect(pty.output).not.toContain('second');
    pty.type('yes\r');
    await pty.expect(/yes\r\n.*second\r\n24 80\r\n/s);
    await ended(guest, 0);
    expect(guest.output).toMatch(/byway\r\nShared connection to 127\.0\.0\.1 closed\.\r+\n/);
    expect(await pty.modes()).toEqual(modes);
    pty.type('exit 5\r');
    await ended(pty, 5);
  });

  describe('about a host key, in the habits of ssh', () => {
    const ask = (file: string) =>
      start(['--ssh', '-o', `UserKnownHostsFile=${join(box.home, file)}`, 'box', 'echo fine']);
    const QUESTION = /Are you sure you want to continue connecting \(yes\/no\/\[fingerprint\]\)\? /;
    const fingerprint = () => {
      const text = execFileSync('ssh-keygen', ['-l', '-f', '-'], { input: box.server.hostKeys[0]!, encoding: 'utf8' });
      return /SHA256:\S+/.exec(text)![0];
    };

    it('take no for an answer', async () => {
      using pty = ask('none');
      await pty.expect(/The authenticity of host '.*' can't be established\.\r\n/, 20_000);
      await pty.expect(QUESTION);
      pty.type('no\n');
      await pty.expect(/Host key verification failed\.\r\n/);
      await ended(pty, 255);
    });

    it('insist on an answer, and remember a yes', async () => {
      using pty = ask('remembered');
      await pty.expect(QUESTION, 20_000);
      pty.type('maybe\n');
      await pty.expect(/Please type 'yes', 'no' or the fingerprint: /);
      pty.type('yes\n');
      await pty.expect(/Permanently added '.*' \(ED25519\) to the list of known hosts\.\r+\n/);
      await pty.expect(/fine\r\n/);
      await ended(pty, 0);
      expect(readFileSync(join(box.home, 'remembered'), 'utf8')).toContain(box.server.hostKeys[0]!.split(' ')[1]);
    });

    it('take the right fingerprint for a yes, and no other', async () => {
      using pty = ask('by-fingerprint');
      await pty.expect(QUESTION, 20_000);
      pty.type(`SHA256:${'A'.repeat(43)}\n`);
      await pty.expect(/Please type 'yes', 'no' or the fingerprint: /);
      pty.type(`${fingerprint()}\n`);
      await pty.expect(/fine\r\n/);
      await ended(pty, 0);
    });
  });
});
