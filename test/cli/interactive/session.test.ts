// The session of the manual, typed at a pseudo-terminal, on real servers: every 127.0.0.x is a node.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { freePort, isRoot, requireServer, startDropbear, startSshd } from '../../interop/servers.ts';
import { Bssh, lines, served } from '../e2e/bssh.ts';
import { hasPty, Pty } from '../session/pty.ts';
import { transcript } from '../session/transcript.ts';

describe.skipIf(!requireServer('sshd') || !hasPty)('bssh interactive', () => {
  const bssh = served(new Bssh());

  const env = (): NodeJS.ProcessEnv => ({
    PATH: process.env.PATH,
    HOME: bssh.home,
    USER: 'root',
    LANG: 'C.UTF-8',
    TERM: 'xterm',
    NO_COLOR: '1',
  });
  const open = (args: readonly string[], columns = 200): Pty =>
    new Pty([bssh.file, ...bssh.common, ...args], { columns, env: env() });

  /** Types a line at the prompt given, and waits for the patterns that follow it. */
  const say = async (pty: Pty, prompt: string, line: string, ...then: readonly RegExp[]): Promise<void> => {
    await pty.expect(new RegExp(`\\x1b\\[0J${prompt.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\x1b\\[`));
    pty.type(`${line}\r`);
    for (const pattern of then) await pty.expect(pattern);
  };

  it('replays the example session, word for word', async () => {
    const hosts = [1, 2, 3].map((node) => `Host node${node}.example.com\n  HostName 127.0.0.${node}\n`).join('');
    const config = bssh.write('example-config', hosts);
    const clusters = bssh.write(
      'example.yaml',
      'clusters:\n  production:\n    nodes: [node1.example.com, node2.example.com, node3.example.com]\n',
    );
    const login = bssh.common.slice(2);
    const args = ['-F', config, ...login, '--config', clusters, '-C', 'production', 'interactive'];
    // Host keys are known already: nothing is to be said of them.
    await bssh.run([...args.slice(0, -1), 'true']);
    using pty = new Pty([bssh.file, ...args], { columns: 200, env: env() });
    const type = async (prompt: string, line: string): Promise<void> => {
      await pty.expect(new RegExp(`\\x1b\\[0J${prompt.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\x1b\\[`), 30_000);
      pty.type(`${line}\r`);
    };
    await type('[● ● ●] bssh> ', '!status');
    await type('[● ● ●] bssh> ', '!node1');
    await type('[● ○ ○] (1/3) bssh> ', 'hostname');
    await type('[● ○ ○] (1/3) bssh> ', '!broadcast date');
    await type('[● ○ ○] (1/3) bssh> ', '!all');
    await type('[● ● ●] bssh> ', 'df -h /');
    await type('[● ● ●] bssh> ', 'exit');
    expect(await pty.exit).toBe(0);
    expect(pty.end).toEqual(pty.begin);
    const [head, disk] = execFileSync('df', ['-h', '/'])
      .toString()
      .trim()
      .split('\n')
      .map((each) => each.trimEnd());
    const shown = transcript(pty.output).filter((line) => line !== '');
    // Nodes answer in the order in which they are ready: what came between two prompts is put in the order of the nodes.
    const ordered: string[] = [];
    for (let at = 0; at < shown.length; ) {
      let end = at;
      while (/^\[node\d\]/.test(shown[end] ?? '')) end++;
      if (end > at) ordered.push(...shown.slice(at, end).sort((a, b) => a.slice(0, 7).localeCompare(b.slice(0, 7))));
      else ordered.push(shown[end++]!);
      at = end;
    }
    expect(ordered).toEqual([
      'Connected to 3 nodes',
      '[● ● ●] bssh> !status',
      'Active nodes: node1.example.com, node2.example.com, node3.example.com',
      '[● ● ●] bssh> !node1',
      'Switched to node 1',
      '[● ○ ○] (1/3) bssh> hostname',
      `[node1] ${hostname()}`,
      '[● ○ ○] (1/3) bssh> !broadcast date',
      'Broadcasting command to all connected nodes...',
      ...[1, 2, 3].map((node) => expect.stringMatching(new RegExp(`^\\[node${node}\\] .*\\d\\d:\\d\\d:\\d\\d`))),
      '[● ○ ○] (1/3) bssh> !all',
      'All nodes activated',
      '[● ● ●] bssh> df -h /',
      ...[1, 2, 3].flatMap((node) => [
        `[node${node}] ${head}`,
        expect.stringContaining(`[node${node}] ${disk!.split(' ')[0]}`),
      ]),
      '[● ● ●] bssh> exit',
      'Goodbye!',
    ]);
  });

  it('keeps directories and variables, and shows how commands ended', async () => {
    using pty = open(['-H', '127.0.0.[1-2]', 'interactive', '--work-dir', '/usr']);
    await say(pty, '[● ●] bssh> ', 'echo "in $PWD"', /\[node\d\] in \/usr\r\n/, /\[node\d\] in \/usr\r\n/);
    await say(pty, '[● ●] bssh> ', '!n2', /Switched to node 2/);
    await say(pty, '[○ ●] (1/2) bssh> ', 'cd /etc; x=kept');
    await say(pty, '[○ ●] (1/2) bssh> ', 'echo "$PWD $x"; echo oops >&2; (exit 7)', /\[node2\] \/etc kept\r\n/);
    await pty.expect(/\[node2\] exit status 7\r\n/);
    expect(pty.output).toContain('[node2] oops\r\n');
    await say(pty, '[○ ●] (1/2) bssh> ', '!list', /node1 {2}○ inactive .*127\.0\.0\.1\r\n.*node2 {2}● active/);
    await say(pty, '[○ ●] (1/2) bssh> ', 'vim x', /vim needs a terminal of its own.*--single-node/);
    await say(pty, '[○ ●] (1/2) bssh> ', '!nonsense', /Unknown command: !nonsense/);
    await say(pty, '[○ ●] (1/2) bssh> ', '\x04', /Goodbye!/);
    expect(await pty.exit).toBe(0);
  });

  it('sends Ctrl-C to what runs on the nodes, and a second one leaves it running', async () => {
    using pty = open(['-H', '127.0.0.[1-2]', 'interactive']);
    await say(pty, '[● ●] bssh> ', 'echo begun; sleep 60; echo NOT', /node\d\] begun/, /node\d\] begun/);
    pty.type('\x03');
    await pty.expect(/exit status 130[\s\S]*exit status 130/);
    await say(pty, '[● ●] bssh> ', "trap '' INT; echo deaf; sleep 4; echo slept", /deaf/, /deaf/);
    pty.type('\x03');
    pty.type('\x03');
    await pty.expect(/Still running on node1, node2/);
    await pty.expect(/node\d\] slept[\s\S]*node\d\] slept/);
    expect(pty.output).not.toMatch(/node\d\] NOT/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
    expect(pty.end).toEqual(pty.begin);
  });

  it('starts with the nodes that are ready, and lets the others join', async () => {
    const late = createServer((socket) => {
      socket.on('error', () => {});
      setTimeout(() => {
        const onward = connect(bssh.server.port, '127.0.0.1').on('error', () => {});
        socket.pipe(onward).pipe(socket);
      }, 8000);
    });
    await new Promise<void>((resolve) => late.listen(0, '127.0.0.1', resolve));
    const { port } = late.address() as AddressInfo;
    using pty = open(['-H', `127.0.0.1,127.0.0.1:${port}`, 'interactive']);
    await pty.expect(/Connecting: 0 of 2 \.\.\./);
    await pty.expect(/Connected to 1 of 2 nodes, the others join as they come\r\n/, 20_000);
    await say(pty, '[● ·] (1/1) bssh> ', '!reconnect', /Still connecting/);
    await say(pty, '[● ·] (1/1) bssh> ', 'echo alone', /\[node1\] alone\r\n/);
    await pty.expect(/Connected to 2 nodes\r\n/, 20_000);
    await say(pty, '[● ●] bssh> ', 'echo both', /\] both\r\n/, /\] both\r\n/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
    expect(pty.end).toEqual(pty.begin);
    late.close();
  });

  it('shows late output above the line that is being typed', async () => {
    using pty = open(['-H', '127.0.0.1', 'interactive']);
    await say(pty, '[●] bssh> ', '(sleep 1; echo late) &');
    await pty.expect(/\[●\] bssh> /);
    pty.type('echo he');
    await pty.expect(/\x1b\[0?J\[node1\] late\r\n\x1b\[1G\x1b\[0J\[●\] bssh> echo he/);
    pty.type('llo\r');
    await pty.expect(/\[node1\] hello\r\n/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
  });

  it('marks a lost node, and connects it again where it was', async () => {
    using pty = open(['-H', '127.0.0.[1-2]', 'interactive']);
    await say(pty, '[● ●] bssh> ', 'cd /usr/bin');
    await say(
      pty,
      '[● ●] bssh> ',
      'case $SSH_CONNECTION in *127.0.0.2*) kill -9 $PPID;; esac',
      /\[node2\] .*!reconnect/,
    );
    await say(pty, '[● ·] (1/1) bssh> ', 'echo one', /\[node1\] one/);
    await say(pty, '[● ·] (1/1) bssh> ', '!n2', /Node 2 is disconnected/);
    await say(pty, '[● ·] (1/1) bssh> ', '!reconnect', /Reconnected: node 2/);
    await say(pty, '[● ●] bssh> ', 'pwd', /\] \/usr\/bin/, /\] \/usr\/bin/);
    await say(pty, '[● ●] bssh> ', 'exec true', /the shell ended/, /the shell ended/);
    // What a shell says last is seen, though no line of it ends.
    await say(pty, '[● ●] bssh> ', 'printf la; exec printf st', /\[node\d\] last/, /\[node\d\] last/);
    await say(pty, '[● ●] bssh> ', 'pwd', /\] \/usr\/bin/, /\] \/usr\/bin/);
    expect(pty.output.match(/!reconnect connects it again\)/g)).toHaveLength(1);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
  });

  it('goes by the configuration, under the flags', async () => {
    const config = bssh.write(
      'interactive.yaml',
      `interactive:
  prompt_format: "global> "
  show_timestamps: true
  node_switch_prefix: "@"
  broadcast_prefix: "@all "
  history_file: ${bssh.home}/own_history
  keybindings: { switch_node: Ctrl+N, broadcast_toggle: Ctrl+B, quit: Ctrl+Q }
clusters:
  two:
    nodes: [127.0.0.1, 127.0.0.2]
    interactive: { prompt_format: "{node}:{pwd}> ", work_dir: /usr }
`,
    );
    using pty = open(['--config', config, '-C', 'two']);
    await say(pty, '● ●:/usr> ', '@n1', /Switched to node 1/);
    await say(pty, 'node1:/usr> ', '@all echo both', /\[\d\d:\d\d:\d\d\] \[node\d\] both/);
    await pty.expect(/node1:\/usr> /);
    pty.type('\x0e');
    await pty.expect(/Switched to node 2\r\n.*node2:\/usr> /s);
    pty.type('\x02');
    await pty.expect(/All nodes activated\r\n.*● ●:\/usr> /s);
    pty.type('\x11');
    await pty.expect(/Goodbye!/);
    expect(await pty.exit).toBe(0);
    expect(readFileSync(`${bssh.home}/own_history`, 'utf8')).toBe('@n1\n@all echo both\n');
    using flagged = open(['--config', config, '-C', 'two', 'interactive', '--prompt-format', 'flag> ']);
    await flagged.expect(/flag> /);
    flagged.type('\x1b[A');
    await flagged.expect(/@all echo both/);
    flagged.signal('SIGTERM');
    expect(await flagged.exit).toBe(143);
    expect(flagged.end).toEqual(flagged.begin);
  });

  it('has colours, a mode and completion of paths from the configuration', async () => {
    const config = bssh.write(
      'more.yaml',
      `interactive:
  remote_completion: true
  colors: { node1: bright_blue, 127.0.0.2: red }
clusters:
  two: { nodes: [127.0.0.1, 127.0.0.2] }
  one: { nodes: [127.0.0.1, 127.0.0.2], interactive: { default_mode: single_node } }
`,
    );
    using pty = new Pty([bssh.file, ...bssh.common, '--config', config, '-C', 'two'], {
      columns: 200,
      env: { ...env(), NO_COLOR: undefined },
    });
    await say(pty, '[● ●] bssh> ', 'cd /usr', /bssh> /);
    pty.type('echo loc');
    await pty.expect(/echo loc/);
    pty.type('\t');
    await pty.expect(/al\//, 20_000);
    pty.type('\r');
    await pty.expect(/\[node\d\]\x1b\[0m local\/\r\n[\s\S]*\[node\d\]\x1b\[0m local\/\r\n/);
    expect(pty.output).toContain('\x1b[94m[node1]\x1b[0m local/');
    expect(pty.output).toContain('\x1b[31m[node2]\x1b[0m local/');
    await pty.expect(/\[● ●\] bssh> /);
    pty.type('!st');
    pty.type('\t');
    await pty.expect(/atus/);
    pty.type('\r');
    await pty.expect(/Active nodes: 127\.0\.0\.1, 127\.0\.0\.2/);
    await say(pty, '[● ●] bssh> ', '!?', /Special commands:\r\n[\s\S]*!reconnect \[N\]/);
    await say(pty, '[● ●] bssh> ', '!help', /Special commands:\r\n/);
    await say(pty, '[● ●] bssh> ', '!nodes', /node1 {2}● active/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
    using menu = open(['--config', config, '-C', 'one']);
    await menu.expect(/Node to connect to \[1-2\]: /, 20_000);
    menu.type('\x04');
    expect(await menu.exit).toBe(130);
    using flagged = open(['--config', config, '-C', 'one', 'interactive', '--multiplex']);
    await flagged.expect(/\[● ●\] bssh> /, 20_000);
    flagged.type('\x04');
    expect(await flagged.exit).toBe(0);
  });

  it.skipIf(!isRoot)('works inside a Backend.AI session with nothing but the environment', async () => {
    // Port 2200 is Backend.AI's: an address that nobody else listens on makes it free.
    await using inside = await startSshd({
      address: '0.0.0.0',
      config: ['ListenAddress 127.22.0.1:2200', 'ListenAddress 127.22.0.2:2200'],
    });
    const trust = ['-i', inside.identity, '-o', `UserKnownHostsFile=${bssh.home}/known_hosts`];
    using pty = new Pty([bssh.file, '-F', 'none', ...trust, 'interactive'], {
      columns: 200,
      env: {
        ...env(),
        BACKENDAI_CLUSTER_HOSTS: '127.22.0.1,127.22.0.2',
        BACKENDAI_CLUSTER_HOST: '127.22.0.1',
        BACKENDAI_CLUSTER_ROLE: 'main',
      },
    });
    await say(pty, '[● ●] bssh> ', '!status', /Active nodes: 127\.22\.0\.1, 127\.22\.0\.2\r\n/);
    await say(pty, '[● ●] bssh> ', 'echo on $SSH_CONNECTION', /on \S+ \d+ 127\.22\.0\.\d 2200\r\n/);
    await say(pty, '[● ●] bssh> ', 'exit', /Goodbye!/);
    expect(await pty.exit).toBe(0);
  });

  it('shows identical output once when asked', async () => {
    using pty = open(['-H', '127.0.0.[1-2]', 'interactive']);
    await say(pty, '[● ●] bssh> ', '!gather on', /shown once/);
    await say(pty, '[● ●] bssh> ', 'echo same; (exit 3)', /==> node\[1,2\] \(2\): exit status 3 <==\r\n.*same\r\n/s);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
  });

  it('gives one node a terminal of its own', async () => {
    using pty = open(['-H', '127.0.0.[1-2]', 'interactive', '--single-node', '--work-dir', '/usr']);
    await pty.expect(/1 {2}\S+@127\.0\.0\.1\r\n.*Node to connect to \[1-2\]: /s);
    pty.type('9\r');
    await pty.expect(/no node '9'.*Node to connect to/s);
    pty.type('2\r');
    await pty.expect(/[$#] /);
    pty.type('tty; echo "$PWD ${SSH_CONNECTION}"\r');
    await pty.expect(/\/dev\/\S+\r\n[\s\S]*\/usr \S+ \d+ 127\.0\.0\.2/);
    pty.type('exit 5\r');
    expect(await pty.exit).toBe(5);
    expect(pty.end).toEqual(pty.begin);
  });

  it('runs a script from a pipe, with nothing but output on standard output', async () => {
    const input = 'cd /usr\necho "$PWD"\n!n2\necho second; echo bad >&2\nfalse\n';
    const { code, out, err } = await bssh.run([...bssh.common, '-H', '127.0.0.[1-2]', 'interactive'], { input });
    expect(code).toBe(1);
    expect(lines(out).sort()).toEqual(['[node1] /usr', '[node2] /usr', '[node2] second']);
    expect(err).toContain('[node2] bad\n');
    expect(err).not.toContain('bssh> ');
  });

  it('loses no line of much output', async () => {
    const input = 'seq 1 100000\necho end\n';
    const { code, out } = await bssh.run([...bssh.common, '-H', '127.0.0.[1-2]', 'interactive'], { input });
    expect(code).toBe(0);
    for (const node of ['[node1] ', '[node2] ']) {
      const own = lines(out).filter((line) => line.startsWith(node));
      expect(own).toHaveLength(100_001);
      expect(own.at(-2)).toBe(`${node}100000`);
      expect(own.at(-1)).toBe(`${node}end`);
    }
  });

  it('ends what runs when it is told to end', async () => {
    const running = (): boolean => execFileSync('ps', ['-eo', 'args']).toString().split('\n').includes('sleep 87.5');
    using pty = open(['-H', '127.0.0.[1-2]', 'interactive']);
    await say(pty, '[● ●] bssh> ', 'echo begun; sleep 87.5', /begun/, /begun/);
    await expect.poll(running).toBe(true);
    pty.signal('SIGHUP');
    expect(await pty.exit).toBe(129);
    expect(pty.end).toEqual(pty.begin);
    await expect.poll(running).toBe(false);
  });

  it('draws a line of several rows again under late output', async () => {
    using pty = open(['-H', '127.0.0.1', 'interactive'], 24);
    await say(pty, '[●] bssh> ', '(sleep 1; echo late) &');
    await pty.expect(/\[●\] bssh> /);
    const words = 'echo aaaa bbbb cccc dddd eeee ffff';
    pty.type(words);
    await pty.expect(/\x1b\[1A\r\x1b\[J\[node1\] late\r\n\x1b\[1G\x1b\[0J\[●\] bssh> echo aaaa bbbb/);
    pty.type('\x03');
    await pty.expect(/ffff\^C\r\n/);
    pty.type(`${words}\r`);
    await pty.expect(/\[node1\] aaaa bbbb cccc dddd eeee ffff\r\n/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
  });

  it('searches the history with Ctrl-R', async () => {
    using pty = open(['-H', '127.0.0.1', 'interactive']);
    await say(pty, '[●] bssh> ', 'echo first one', /\[node1\] first one/);
    await say(pty, '[●] bssh> ', 'echo second', /\[node1\] second/);
    await pty.expect(/\[●\] bssh> /);
    for (const key of ['\x12', 'f', 'i', 'r']) {
      pty.type(key);
      await pty.expect(key === '\x12' ? /reverse-i-search\)`': / : new RegExp(`search\\)\`\\w*${key}': `));
    }
    await pty.expect(/echo first one/);
    pty.type('\r');
    await pty.expect(/\[node1\] first one\r\n/);
    await say(pty, '[●] bssh> ', 'exit', /Goodbye!/);
    expect(await pty.exit).toBe(0);
  });

  it('plans only, with --dry-run', async () => {
    const { code, out } = await bssh.run([...bssh.common, '-H', '127.0.0.1', '--dry-run', 'interactive']);
    expect([code, out]).toEqual([0, `127.0.0.1: ${bssh.server.user}@127.0.0.1:${bssh.server.port}\n`]);
  });

  it('says which nodes it could not reach, and fails when there is none', async () => {
    const closed = await freePort();
    const some = await bssh.run([...bssh.common, '-H', `127.0.0.1,127.0.0.2:${closed}`, 'interactive'], {
      input: 'pwd\n',
    });
    expect(some.code).toBe(0);
    expect(some.err).toMatch(/\[node2\] .*refused[\s\S]*Connected to 1 of 2 nodes/);
    const none = await bssh.run([...bssh.common, '-H', `127.0.0.2:${closed}`, 'interactive']);
    expect(none.code).toBe(4);
  });
});

describe.skipIf(!requireServer('dropbear') || !hasPty || !isRoot)('bssh interactive with Dropbear', () => {
  it('keeps a shell, and interrupts what it runs', async () => {
    await using server = await startDropbear();
    const bssh = new Bssh(server);
    using pty = new Pty([bssh.file, ...bssh.common, '-H', server.host, 'interactive'], {
      columns: 200,
      env: { PATH: process.env.PATH, HOME: bssh.home, USER: 'root', TERM: 'xterm', NO_COLOR: '1' },
    });
    await pty.expect(/Connected to 1 node\r\n.*\[●\] bssh> /s);
    pty.type('cd /usr; x=kept; echo begun; sleep 60; echo NOT\r');
    await pty.expect(/\[node1\] begun\r\n/);
    pty.type('\x03');
    await pty.expect(/exit status 130\r\n.*\[●\] bssh> /s);
    pty.type('echo "$PWD $x"\r');
    await pty.expect(/\[node1\] \/usr kept\r\n/);
    pty.type('exit\r');
    expect(await pty.exit).toBe(0);
    expect(pty.output).not.toContain('[node1] NOT');
  });
});
