// `npm run demo`: three servers on loopback ports with fresh keys, and the real command against them as cluster `demo`:
// `uptime` everywhere, then a command that fails on one node, with the summary and the exit status. Everything it made
// is removed; the exit status is 0 when all went as it should.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatPrivateKey, formatPublicKeyLine, generateKey } from '../../protocol/index.ts';
import { nodeCrypto } from '../../transport/index.ts';
import { type DemoServer, startDemoServer } from './index.ts';

const BSSH = join(process.env.BSSH_BUNDLE_DIR ?? join(process.cwd(), 'dist'), 'bssh.mjs');
const USER = 'demo';
const HOUR = 3600;
const MACHINES = [
  { hostname: 'node1', uptime: 41 * 24 * HOUR + 3 * HOUR + 1500, load: [0.21, 0.18, 0.12] },
  { hostname: 'node2', uptime: 41 * 24 * HOUR + 3 * HOUR + 1440, load: [1.87, 1.52, 1.44] },
  { hostname: 'node3', uptime: 5 * HOUR + 720, load: [0.02, 0.04, 0.0] },
] as const;

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** The files a user would have: a key, the hosts' keys, where the hosts are, and the cluster. */
function writeFiles(home: string, servers: readonly DemoServer[], privateKey: string): void {
  const names = MACHINES.map(({ hostname }) => hostname);
  const known = servers.map(({ host, port, hostKeys }) => `[${host}]:${port} ${formatPublicKeyLine(hostKeys[0]!)}`);
  const hosts = servers.map(
    ({ host, port }, i) => `Host ${names[i]}\n  HostName ${host}\n  Port ${port}\n  User ${USER}\n`,
  );
  mkdirSync(join(home, '.ssh'), { mode: 0o700 });
  writeFileSync(join(home, 'id_ed25519'), privateKey, { mode: 0o600 });
  writeFileSync(join(home, 'known_hosts'), `${known.join('\n')}\n`);
  writeFileSync(join(home, 'ssh_config'), hosts.join('\n'));
  const nodes = names.map((name) => `      - ${name}\n`).join('');
  writeFileSync(join(home, 'config.yaml'), `clusters:\n  demo:\n    nodes:\n${nodes}`);
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as a user would, shows what it prints, and returns that too. */
function bssh(home: string, words: readonly string[]): Promise<Outcome> {
  const files = ['--config', join(home, 'config.yaml'), '-F', join(home, 'ssh_config'), '-i', join(home, 'id_ed25519')];
  const strict = ['-o', `UserKnownHostsFile=${join(home, 'known_hosts')}`, '--strict-host-key-checking', 'yes'];
  print(`$ bssh -C demo ${words.map((word) => JSON.stringify(word)).join(' ')}`);
  const { SSH_AUTH_SOCK: _, BSSH_MODE: __, ...env } = process.env;
  const child = spawn(process.execPath, [BSSH, ...files, ...strict, '-C', 'demo', ...words], {
    env: { ...env, HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A demo that hangs is a demo that failed.
    timeout: 30_000,
  });
  const seen = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      seen[name] += text;
      process[name].write(text);
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      print(`exit status ${status}\n`);
      resolve({ status, ...seen });
    });
  });
}

/** What does not look as it should, in words. */
function faults(uptime: Outcome, failing: Outcome): string[] {
  const wrong: string[] = [];
  const expect = (is: boolean, what: string): void => {
    if (!is) wrong.push(what);
  };
  expect(uptime.status === 0, `uptime ended with ${uptime.status} in place of 0`);
  for (const { hostname } of MACHINES) {
    expect(new RegExp(`^${hostname}: .* up .*load average: `, 'm').test(uptime.stdout), `no uptime of ${hostname}`);
  }
  expect(failing.status === 1, `a failing command ended with ${failing.status} in place of 1`);
  expect(/^node2: .*disk/m.test(failing.stderr), 'the failing node said nothing');
  expect(/1 exit 3\s+node2/.test(failing.stderr), 'the summary does not name the failure');
  expect(/2 ok\s+node\[1,3\]/.test(failing.stderr), 'the summary does not name the rest');
  return wrong;
}

async function demo(home: string): Promise<string[]> {
  const crypto = nodeCrypto();
  const key = generateKey(crypto, 'ed25519', { comment: 'bssh demo' });
  const servers = await Promise.all(
    MACHINES.map((machine) => {
      const check = (): number => (machine.hostname === 'node2' ? 3 : 0);
      return startDemoServer({
        machine,
        users: [{ name: USER, keys: [key.publicKey] }],
        commands: {
          'check-disk': async ({ stdout, stderr }) => {
            if (check() === 0) await stdout('disk is fine\n');
            else await stderr('check-disk: /dev/sda1: disk is 97% full\n');
            return check();
          },
        },
      });
    }),
  );
  try {
    writeFiles(home, servers, formatPrivateKey(crypto, key));
    print(
      `three servers: ${MACHINES.map(({ hostname }, i) => `${hostname} = 127.0.0.1:${servers[i]!.port}`).join(', ')}\n`,
    );
    return faults(await bssh(home, ['uptime']), await bssh(home, ['check-disk']));
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}

const home = mkdtempSync(join(tmpdir(), 'bssh-demo-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const wrong = await demo(home);
for (const what of wrong) print(`WRONG: ${what}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
