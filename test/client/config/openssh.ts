/** The installed OpenSSH as the other opinion: its `-G` output and its lists of algorithms. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { ConfigFiles } from '../../../client/config/files.ts';
import type { KeywordName } from '../../../client/config/keywords.ts';
import type { Override, ResolveEnv, ResolveRequest } from '../../../client/config/resolve.ts';
import type { AlgorithmKind, ParseContext } from '../../../client/config/values.ts';

const ssh = '/usr/bin/ssh';
export const haveSsh = existsSync(ssh);

const query = (what: string): string[] => execFileSync(ssh, ['-Q', what], { encoding: 'utf8' }).trim().split('\n');

export const parseDump = (text: string): Map<string, string[]> => {
  const out = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const blank = line.indexOf(' ');
    const [keyword, value] = blank < 0 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
    out.set(keyword, [...(out.get(keyword) ?? []), value]);
  }
  return out;
};

export interface Answer {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export function runSsh(args: readonly string[], env: NodeJS.ProcessEnv): Answer {
  const { status, stdout, stderr } = spawnSync(ssh, ['-G', ...args], {
    encoding: 'utf8',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { ok: status === 0, stdout, stderr };
}

/** A parse context with the names and defaults of the installed ssh. */
export function sshContext(env: NodeJS.ProcessEnv): ParseContext {
  const dump = parseDump(runSsh(['-F', 'none', 'x'], env).stdout);
  const defaults = (keyword: string): string[] => dump.get(keyword)![0]!.split(',');
  const keys = query('HostKeyAlgorithms');
  const algorithms: Record<AlgorithmKind, { supported: string[]; defaults: string[] }> = {
    kex: { supported: query('kex'), defaults: defaults('kexalgorithms') },
    cipher: { supported: query('cipher'), defaults: defaults('ciphers') },
    mac: { supported: query('mac'), defaults: defaults('macs') },
    key: { supported: keys, defaults: defaults('hostkeyalgorithms') },
    signature: { supported: query('sig'), defaults: defaults('casignaturealgorithms') },
  };
  return { algorithms, env };
}

export function sshEnvironment(env: NodeJS.ProcessEnv, systemConfig: string): ResolveEnv {
  const context = sshContext(env);
  const { username, homedir, uid } = userInfo();
  return {
    home: homedir,
    user: username,
    uid,
    hostName: hostname(),
    context,
    files: new ConfigFiles({ context, uid, ttl: 0 }),
    systemConfig,
    version: 'OpenSSH_9.2',
    run: (command) => spawnSync('/bin/sh', ['-c', command], { stdio: 'ignore' }).status ?? 1,
  };
}

const flagKeywords: Readonly<Record<string, readonly [KeywordName, string, boolean]>> = {
  '-4': ['addressfamily', 'inet', true],
  '-6': ['addressfamily', 'inet6', true],
  '-C': ['compression', 'yes', true],
  '-A': ['forwardagent', 'yes', true],
  '-a': ['forwardagent', 'no', true],
  '-x': ['forwardx11', 'no', true],
  '-X': ['forwardx11', 'yes', true],
  '-g': ['gatewayports', 'yes', true],
  '-n': ['stdinnull', 'yes', true],
};

const argumentKeywords: Readonly<Record<string, KeywordName>> = {
  '-p': 'port',
  '-i': 'identityfile',
  '-c': 'ciphers',
  '-m': 'macs',
  '-b': 'bindaddress',
  '-B': 'bindinterface',
  '-S': 'controlpath',
  '-e': 'escapechar',
  '-J': 'proxyjump',
};

/** `-N` and `-W`. */
const noSession: readonly Override[] = [
  { keyword: 'sessiontype', args: ['none'], force: true },
  { keyword: 'requesttty', args: ['no'], force: true },
];

/** The few options the comparison uses, one per word or with its argument in the next word. */
export function toRequest(args: readonly string[]): ResolveRequest {
  const before: Override[] = [];
  const after: Override[] = [];
  let destination: string | undefined;
  const request: { configFile?: string; stdioForward?: boolean } = {};
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    const list = destination === undefined ? before : after;
    const argument = (): string => args[++at]!;
    if (!word.startsWith('-')) destination = word;
    else if (word === '-o') list.push(argument());
    else if (word === '-N') list.push(...noSession);
    else if (word === '-l') list.push({ user: argument() });
    else if (word === '-F') request.configFile = argument();
    else if (word === '-W') {
      argument();
      request.stdioForward = true;
      list.push(...noSession);
    } else if (word === '-L' || word === '-R' || word === '-D') {
      list.push({ forward: ({ '-L': 'local', '-R': 'remote', '-D': 'dynamic' } as const)[word], spec: argument() });
    } else if (flagKeywords[word] !== undefined) {
      const [keyword, value, force] = flagKeywords[word];
      list.push({ keyword, args: [value], force });
    } else if (argumentKeywords[word] !== undefined) {
      list.push({ keyword: argumentKeywords[word], args: [argument()] });
    } else throw new Error(`the comparison does not know ${word}`);
  }
  return { destination: destination ?? '', overrides: before, laterOverrides: after, ...request };
}
