/**
 * The environment of this process as resolve.ts wants it: user, home, host name, files, the shell for `Match exec`,
 * interface addresses, and the algorithm sets of the stack. The one place where the evaluation meets the machine.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces, userInfo } from 'node:os';
import type { AlgorithmPreferences } from '../../protocol/index.ts';
import { ConfigFiles } from './files.ts';
import type { AlgorithmSet } from './pattern.ts';
import type { ResolveEnv } from './resolve.ts';
import type { Environment } from './tokens.ts';
import type { AlgorithmKind } from './values.ts';

/** What the stack offers, in the shape the keywords ask for. CAs sign with plain keys only (PROTOCOL.certkeys). */
export function algorithmSets(
  supported: AlgorithmPreferences,
  defaults: AlgorithmPreferences,
): Record<AlgorithmKind, AlgorithmSet> {
  const set = (key: 'kex' | 'ciphers' | 'macs' | 'hostKeys'): AlgorithmSet => ({
    supported: supported[key],
    defaults: defaults[key],
  });
  const plain = (names: readonly string[]): string[] => names.filter((name) => !name.includes('-cert-v01@'));
  return {
    kex: set('kex'),
    cipher: set('ciphers'),
    mac: set('macs'),
    key: set('hostKeys'),
    signature: { supported: plain(supported.hostKeys), defaults: plain(defaults.hostKeys) },
  };
}

/** Another user's home directory, from the local user database. */
function homeOf(user: string): string | undefined {
  try {
    const rows = readFileSync('/etc/passwd', 'utf8').split('\n');
    return rows.map((row) => row.split(':')).find(([name]) => name === user)?.[5];
  } catch {
    return undefined;
  }
}

export interface LocalEnvOptions {
  readonly algorithms: Readonly<Record<AlgorithmKind, AlgorithmSet>>;
  /** For `Match version`. */
  readonly version: string;
  readonly env?: Environment;
  /** How long parsed files are trusted, in milliseconds. */
  readonly ttl?: number;
}

/** Make it once and use it for every host: it holds the cache of parsed files. */
export function localResolveEnv(options: LocalEnvOptions): ResolveEnv & { readonly files: ConfigFiles } {
  const env = options.env ?? process.env;
  const { username, homedir, uid } = userInfo();
  const context = { algorithms: options.algorithms, env, platform: process.platform };
  return {
    home: homedir,
    user: username,
    uid,
    hostName: hostname(),
    context,
    files: new ConfigFiles({ context, uid, ...(options.ttl === undefined ? {} : { ttl: options.ttl }) }),
    version: options.version,
    run: (command) =>
      spawnSync(env.SHELL || '/bin/sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit'] }).status ?? 1,
    addresses: () => Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
    homeOf,
  };
}
