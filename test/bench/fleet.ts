// `npm run bench:fleet [-- OPTIONS]`: one command on many hosts, beside clush, pdsh and xargs with ssh in the same run.
// The hosts are addresses of one private sshd on loopback, so wall time is mostly the server's; what tells is the
// client's processor time for each host, its children's included, and its peak memory. Tools that are not installed
// are left out. Nothing here passes or fails.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findProgram, freshDir, type Server, startSshd } from '../interop/servers.ts';
import { type Command, compare, formatRows, type Result, runOnce } from './measure.ts';

const USAGE = `usage: npm run bench:fleet -- [--hosts 50,200,500] [--commands true,"seq 1 2000"] [--window N] [--runs N] [--kex NAME]
  [--held N] (connections held open at once for the last table; 0 for none)
`;
const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '50,200,500' },
    commands: { type: 'string', default: 'true,seq 1 2000' },
    window: { type: 'string', default: '64' },
    runs: { type: 'string', default: '3' },
    held: { type: 'string', default: '1000' },
    kex: { type: 'string', default: 'curve25519-sha256' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const BSSH = join(process.cwd(), 'dist', 'bssh.mjs');
const print = (text: string) => process.stdout.write(`${text}\n`);

/** 127.1.0.1 and on: every address is a host of its own. */
const addresses = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `127.1.${Math.trunc(index / 250)}.${(index % 250) + 1}`);

function tools(server: Server, count: number, command: string, window = values.window): Command[] {
  const hosts = addresses(count);
  const list = join(freshDir('fleet'), 'hosts');
  writeFileSync(list, hosts.map((host) => `${host}\n`).join(''));
  const settings = [
    `Port=${server.port}`,
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${server.knownHosts}`,
    'GlobalKnownHostsFile=none',
    `KexAlgorithms=${values.kex}`,
    'IdentitiesOnly=yes',
    'BatchMode=yes',
    'ConnectTimeout=120',
  ].flatMap((line) => ['-o', line]);
  const ssh = ['-F', 'none', '-i', server.identity, ...settings];
  const spare: Command[] = [
    {
      name: 'clush',
      argv: [
        'clush',
        '-q',
        '-f',
        values.window,
        '-l',
        server.user,
        '-o',
        ssh.join(' '),
        '-w',
        hosts.join(','),
        command,
      ],
    },
    {
      name: 'pdsh -R ssh',
      argv: ['pdsh', '-R', 'ssh', '-f', window, '-l', server.user, '-w', hosts.join(','), command],
      env: { PDSH_SSH_ARGS: `${ssh.join(' ')} -l%u %h` },
    },
    {
      name: 'xargs ssh',
      argv: ['xargs', '-a', list, '-P', window, '-I{}', 'ssh', ...ssh, '-l', server.user, '{}', command],
    },
  ];
  return [
    {
      name: 'bssh',
      argv: [BSSH, '--hostfile', list, '--parallel', window, ...ssh, '-l', server.user, command],
      env: { BSSH_CONFIG: '/dev/null' },
    },
    ...spare.filter(({ argv }) => findProgram(argv[0]!) !== undefined),
  ];
}

function perHost(results: readonly Result[], count: number): string {
  const head = ['', 'wall s', 'cpu s', 'cpu ms/host', 'peak MiB'];
  const lines = results.map(({ name, wall, cpu, peak }) => [
    name,
    wall.toFixed(2),
    cpu.toFixed(2),
    ((cpu * 1000) / count).toFixed(1),
    peak > 0 ? peak.toFixed(0) : '-',
  ]);
  return formatRows([head, ...lines]);
}

await using server = await startSshd({
  address: '0.0.0.0',
  config: [`KexAlgorithms ${values.kex}`, 'LogLevel INFO', 'MaxStartups 2000:30:2000', 'LoginGraceTime 600'],
});
for (const command of values.commands.split(',')) {
  for (const count of values.hosts.split(',').map(Number)) {
    const results = compare(tools(server, count, command), Number(values.runs));
    print(`${count} hosts, window ${values.window}, ${command}\n${perHost(results, count)}\n`);
  }
}
const held = Number(values.held);
if (held > 0) {
  // Long enough for the last connection to stand while the first still does.
  const [bssh] = tools(server, held, `sleep ${Math.ceil(held / 20)}`, String(held));
  const { peak, cpu } = runOnce(bssh!);
  print(`${held} connections held open: peak ${peak.toFixed(0)} MiB, ${cpu.toFixed(1)} s of processor time`);
}
