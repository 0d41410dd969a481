// Fifty nodes behind one prompt, as a person would try them: answers of all, a node that dies, one that floods, Ctrl-C,
// a paste, another size of the window, and the history of the run before.
import { describe, expect, it } from 'vitest';
import { requireServer } from '../../interop/servers.ts';
import { Bssh, served } from '../e2e/bssh.ts';
import { hasPty, Pty } from '../session/pty.ts';

const NODES = 50;
/** Fifty log-ins at once are much for a small machine. */
const PATIENCE = 60_000;

describe.skipIf(!requireServer('sshd') || !hasPty)('bssh interactive on fifty nodes', () => {
  const bssh = served(new Bssh());

  const open = (hosts: string): Pty =>
    new Pty([bssh.file, ...bssh.common, '-o', 'LogLevel=error', '-H', hosts, 'interactive'], {
      columns: 120,
      env: { PATH: process.env.PATH, HOME: bssh.home, USER: 'root', LANG: 'C.UTF-8', TERM: 'xterm', NO_COLOR: '1' },
    });

  it('holds', { timeout: 240_000 }, async () => {
    using pty = open(`127.0.0.[1-${NODES}]`);
    await pty.expect(/Connecting: \d+ of 50 \.\.\./, PATIENCE);
    await pty.expect(/Connected to 50 nodes\r\n/, PATIENCE);
    pty.type('!gather on\r');
    await pty.expect(/shown once/);
    pty.type('cd /tmp\r');
    await pty.expect(/==> node\[1-50\] \(50\), no output <==/, PATIENCE);
    pty.type('pwd\r');
    await pty.expect(/==> node\[1-50\] \(50\) <==\r\n\r?\S*\/tmp\r\n/, PATIENCE);
    await pty.expect(/\[All 50\/50\] bssh> /);

    pty.type('case $SSH_CONNECTION in *127.0.0.7\\ *) kill -9 $PPID;; esac; echo al""ive\r');
    await pty.expect(/\[node7\] .*\(!reconnect connects it again\)/, PATIENCE);
    await pty.expect(/==> node\[1-6,8-50\] \(49\) <==\r\n\r?\S*alive\r\n/, PATIENCE);
    await pty.expect(/\[Nodes 1,2,3\.\.\. \+46\] \(49\/49\) bssh> /);

    pty.type('sleep 100\r');
    await new Promise((resolve) => setTimeout(resolve, 500));
    pty.type('\x03');
    await pty.expect(/==> node\[1-6,8-50\] \(49\): exit status 130, no output <==/, PATIENCE);

    pty.type('!gather off\r!n3\r');
    await pty.expect(/Switched to node 3\r\n/);
    pty.type('yes\r');
    await pty.expect(/(\[node3\] y\r\n){100}/, PATIENCE);
    pty.type('\x03');
    await pty.expect(/\[node3\] exit status 130\r\n/, PATIENCE);
    await pty.expect(/\[Nodes 3\] \(1\/49\) bssh> /);

    pty.resize(24, 40);
    pty.type(Array.from({ length: 200 }, (_, i) => `echo pasted ${i + 1}\r`).join(''));
    await pty.expect(/\[node3\] pasted 200\r\n/, PATIENCE);
    const pasted = [...pty.output.matchAll(/\[node3\] pasted (\d+)\r\n/g)].map(([, number]) => Number(number));
    expect(pasted).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));

    pty.type(`echo ${'wide '.repeat(20)}end\r`);
    await pty.expect(/\[node3\] (wide ){20}end\r\n/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
    expect(pty.end).toEqual(pty.begin);
    expect(pty.output.match(/!reconnect connects it again/g)).toHaveLength(1);

    using again = open('127.0.0.1');
    await again.expect(/\[●\] bssh> /, PATIENCE);
    for (const line of ['exit', `echo ${'wide '.repeat(20)}end`, 'echo pasted 200']) {
      again.type('\x1b[A');
      await again.expect(new RegExp(`${line}`));
    }
    again.type('\r');
    await again.expect(/\[node1\] pasted 200\r\n/);
    again.type('\x04');
    expect(await again.exit).toBe(0);
  });
});
