// The session of the manual, typed at a pseudo-terminal, on real servers: every 127.0.0.x is a node.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireServer, type Server, startSshd } from '../../interop/servers.ts';
import { Bssh } from '../e2e/bssh.ts';
import { hasPty, Pty } from '../session/pty.ts';

describe.skipIf(!requireServer('sshd') || !hasPty)('bssh interactive', () => {
  let server: Server;
  let bssh: Bssh;

  beforeAll(async () => {
    server = await startSshd({ address: '0.0.0.0' });
    bssh = new Bssh(server);
  });
  afterAll(() => server?.stop());

  const open = (args: readonly string[], columns = 200): Pty =>
    new Pty([bssh.file, ...bssh.common, ...args], {
      columns,
      env: { PATH: process.env.PATH, HOME: bssh.home, USER: 'root', LANG: 'C.UTF-8', TERM: 'xterm', NO_COLOR: '1' },
    });

  /** Types a line at the prompt given, and waits for the patterns that follow it. */
  const say = async (pty: Pty, prompt: string, line: string, ...then: readonly RegExp[]): Promise<void> => {
    await pty.expect(new RegExp(`\\x1b\\[0J${prompt.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\x1b\\[`));
    pty.type(`${line}\r`);
    for (const pattern of then) await pty.expect(pattern);
  };

  it('replays the example of the manual', async () => {
    using pty = open(['-H', '127.0.0.[1-3]', 'interactive']);
    await pty.expect(/Connected to 3 nodes\r\n/);
    await say(pty, '[● ● ●] bssh> ', '!status', /Active nodes: 127\.0\.0\.1, 127\.0\.0\.2, 127\.0\.0\.3\r\n/);
    await say(pty, '[● ● ●] bssh> ', '!node1', /Switched to node 1\r\n/);
    await say(pty, '[● ○ ○] (1/3) bssh> ', 'echo on $SSH_CONNECTION', /\[node1\] on 127\.\S+ \d+ 127\.0\.0\.1 /);
    const before = pty.output.length;
    await say(pty, '[● ○ ○] (1/3) bssh> ', '!broadcast echo everywhere', /Broadcasting command to all connected nodes/);
    await say(pty, '[● ○ ○] (1/3) bssh> ', '!all', /All nodes activated\r\n/);
    const broadcast = pty.output.slice(before);
    for (const node of [1, 2, 3]) expect(broadcast).toContain(`[node${node}] everywhere\r\n`);
    await say(pty, '[● ● ●] bssh> ', 'exit', /Goodbye!\r\n/);
    expect(await pty.exit).toBe(0);
    expect(pty.end).toEqual(pty.begin);
  });
});
