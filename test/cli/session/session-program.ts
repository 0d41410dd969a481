// What interactive.test.ts starts: one session of runSession on a real server, as the ssh command would run it.

import { Log, levelOf } from '../../../cli/log.ts';
import { runSession } from '../../../cli/session/interactive.ts';
import { describeTerminal } from '../../../cli/session/raw-terminal.ts';
import { FdSink, StdinReader } from '../../../cli/session/stdio.ts';
import { Interrupts } from '../../../cli/signals.ts';
import { algorithmSets, localResolveEnv } from '../../../client/config/local-env.ts';
import { resolveHost } from '../../../client/config/resolve.ts';
import { KeyStore } from '../../../client/key-store.ts';
import { openHost } from '../../../client/open.ts';
import { defaultAlgorithms, supportedAlgorithms } from '../../../protocol/index.ts';
import { nodeCrypto } from '../../../transport/index.ts';

interface Settings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identity: string;
  readonly knownHosts: string;
  readonly command?: string;
  readonly tty?: boolean;
  readonly ttyRequired?: boolean;
  readonly noStdin?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: number;
  readonly escapeChar?: number | 'none';
  readonly commandLine?: boolean;
  readonly permitLocalCommand?: boolean;
  /** Without the handlers that the command has. */
  readonly bare?: boolean;
  /** Milliseconds of forwarded connections after the session. */
  readonly linger?: number;
}

const settings = JSON.parse(process.argv[2]!) as Settings;
const { host, port, user, identity, knownHosts, command, tty = false } = settings;
const crypto = nodeCrypto();
const env = localResolveEnv({
  algorithms: algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto)),
  version: 'test',
  env: {},
});
const overrides = [
  `Port=${port}`,
  `IdentityFile=${identity}`,
  `UserKnownHostsFile=${knownHosts}`,
  'GlobalKnownHostsFile=none',
  'StrictHostKeyChecking=yes',
];
const plan = resolveHost({ destination: `${user}@${host}`, overrides, configFile: 'none' }, env);
const log = new Log({ level: levelOf(settings.verbose ?? 0, settings.quiet ?? false) });
const interrupts = settings.bare ? undefined : new Interrupts();
const { connection } = await openHost(plan, { crypto, keys: new KeyStore({ crypto }), shell: '/bin/sh' });
const options = tty ? { pty: describeTerminal(process.env.TERM ?? '') } : {};
const handle = await (command === undefined ? connection.shell(options) : connection.exec(command, options));
const calls: string[] = [];
const code = await runSession({
  handle,
  connection,
  stdin: settings.noStdin ? undefined : new StdinReader(),
  stdout: new FdSink(1),
  stderr: new FdSink(2),
  host,
  tty,
  ttyRequired: settings.ttyRequired ?? false,
  escapeChar: settings.escapeChar ?? 0x7e,
  commandLine: settings.commandLine ?? false,
  permitLocalCommand: settings.permitLocalCommand ?? false,
  forwards: {
    add: async (kind, spec) => {
      calls.push(`add ${kind} ${spec}`);
      return spec.includes(':') ? 'done' : 'bad';
    },
    cancel: async (kind, spec) => {
      calls.push(`cancel ${kind} ${spec}`);
      return 'unknown';
    },
    connections: () => calls.map((call, index) => `#${index + 1} ${call}`),
    stopListening: () => void calls.push('stop'),
    idle: () => new Promise((resolve) => setTimeout(resolve, settings.linger ?? 0)),
  },
  log,
  interrupts,
});
if (settings.verbose) process.stderr.write(`calls ${JSON.stringify(calls)}\n`);
process.exit(code);
