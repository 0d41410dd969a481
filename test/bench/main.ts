// `npm run bench [-- OPTIONS]`: the command as users get it against OpenSSH's client, on a private sshd on loopback.
// Start-up against a bare Node; connect, run `true`, leave; bulk data down and up for each cipher and provider, and through
// a local and a dynamic forwarding.
// Numbers are for people to read; nothing here passes or fails.
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort, freshDir, type Server, startSshd } from '../interop/servers.ts';
import { startTarget, throughForward } from './forward.ts';
import { type Command, compare, compareBy, table } from './measure.ts';

const USAGE = `usage: npm run bench -- [--only start,connect,down,up,local,dynamic] [--runs N] [--size MiB]
  [--ciphers NAME,...] [--providers node,noble] [--kex NAME]
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'start,connect,down,up,local,dynamic' },
    runs: { type: 'string', default: '7' },
    size: { type: 'string', default: '1024' },
    ciphers: { type: 'string', default: 'aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr' },
    providers: { type: 'string', default: 'node' },
    kex: { type: 'string', default: 'curve25519-sha256' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}

const only = new Set(values.only.split(','));
const runs = Number(values.runs);
const bytes = Number(values.size) * 2 ** 20;
const providers = values.providers.split(',');
const BSSH = join(process.cwd(), 'dist', 'bssh.mjs');
const print = (text: string) => process.stdout.write(`${text}\n`);

/** The same command line for both clients: bssh takes ssh's options, and nothing of the user's own settings counts. */
function clients(server: Server, options: readonly string[], command?: string, stdin?: string): Command[] {
  const settings = [
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${server.knownHosts}`,
    `KexAlgorithms=${values.kex}`,
  ];
  const args = [
    ...['-F', 'none', '-i', server.identity, '-p', String(server.port), ...options],
    ...[...settings, 'GlobalKnownHostsFile=none', 'IdentitiesOnly=yes', 'BatchMode=yes', 'LogLevel=ERROR'].flatMap(
      (line) => ['-o', line],
    ),
    ...[`${server.user}@${server.host}`, ...(command === undefined ? [] : [command])],
  ];
  const input = stdin === undefined ? {} : { stdin };
  return [
    ...providers.map((provider) => ({
      name: provider === 'node' ? 'bssh' : `bssh (${provider})`,
      argv: [BSSH, ...args],
      env: { BSSH_MODE: 'ssh', ...(provider === 'node' ? {} : { BSSH_CRYPTO: provider }) },
      ...input,
    })),
    { name: 'ssh', argv: ['ssh', ...args], ...input },
  ];
}

function benchStart(): void {
  const bssh = { name: 'bssh -V', argv: [BSSH, '-V'] };
  const node = { name: 'node -e 0', argv: [process.execPath, '-e', '0'] };
  print(table('start-up', compare([bssh, node], runs * 3)));
}

async function benchServer(): Promise<void> {
  await using server = await startSshd({
    config: [`KexAlgorithms ${values.kex}`, 'LogLevel INFO', 'Ciphers +aes128-ctr'],
  });
  if (only.has('connect')) print(table('connect + true + exit', compare(clients(server, [], 'true'), runs * 3)));
  const sparse = join(freshDir('bench'), 'zeros');
  const file = openSync(sparse, 'w');
  ftruncateSync(file, bytes);
  closeSync(file);
  for (const cipher of values.ciphers.split(',')) {
    const options = ['-c', cipher, ...(/gcm|poly1305/.test(cipher) ? [] : ['-m', 'hmac-sha2-256-etm@openssh.com'])];
    if (only.has('down')) {
      const results = compare(clients(server, options, `head -c ${bytes} /dev/zero`), runs);
      print(table(`down ${values.size} MiB, ${cipher}`, results, bytes));
    }
    if (only.has('up')) {
      const results = compare(clients(server, options, 'cat >/dev/null', sparse), runs);
      print(table(`up ${values.size} MiB, ${cipher}`, results, bytes));
    }
    for (const kind of ['local', 'dynamic'] as const) {
      if (only.has(kind)) await benchForward(server, kind, options, cipher);
    }
  }
}

/** One stream through -L or -D: processor time is the client's while the stream runs, without its start. */
async function benchForward(server: Server, kind: 'local' | 'dynamic', options: readonly string[], cipher: string) {
  const target = await startTarget(bytes);
  const port = await freePort();
  const forward = kind === 'local' ? ['-L', `127.0.0.1:${port}:127.0.0.1:${target.port}`] : ['-D', `127.0.0.1:${port}`];
  const commands = clients(server, ['-N', ...forward, ...options]);
  const socks = kind === 'local' ? {} : { socks: target.port };
  for (const way of ['down', 'up'] as const) {
    const results = await compareBy(commands, runs, (command) =>
      throughForward(command, { port, way, bytes, ...socks }),
    );
    print(table(`${forward[0]} ${way} ${values.size} MiB, ${cipher}`, results, bytes));
  }
  target.close();
}

if (only.has('start')) benchStart();
if (['connect', 'down', 'up', 'local', 'dynamic'].some((name) => only.has(name))) await benchServer();
