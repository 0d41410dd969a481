// `npm run bench [-- OPTIONS]`: the command as users get it against OpenSSH's client, on a private sshd on loopback.
// Start-up against a bare Node; connect, run `true`, leave; and bulk data down and up for each cipher and provider.
// Numbers are for people to read; nothing here passes or fails.
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freshDir, type Server, startSshd } from '../interop/servers.ts';
import { type Command, compare, table } from './measure.ts';

const USAGE = `usage: npm run bench -- [--only start,connect,down,up] [--runs N] [--size MiB]
  [--ciphers NAME,...] [--providers node,noble] [--kex NAME]
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'start,connect,down,up' },
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
function clients(server: Server, options: readonly string[], command: string, stdin?: string): Command[] {
  const settings = [
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${server.knownHosts}`,
    `KexAlgorithms=${values.kex}`,
  ];
  const args = [
    ...['-F', 'none', '-i', server.identity, '-p', String(server.port), ...options],
    ...[...settings, 'GlobalKnownHostsFile=none', 'IdentitiesOnly=yes', 'BatchMode=yes'].flatMap((line) => [
      '-o',
      line,
    ]),
    ...[`${server.user}@${server.host}`, command],
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
  }
}

if (only.has('start')) benchStart();
if (only.has('connect') || only.has('down') || only.has('up')) await benchServer();
