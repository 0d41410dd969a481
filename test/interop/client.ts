// The client as the tests of real servers use it: a plan made from options as `-o` takes them, one way to open it, data
// both ways with its checksum, and an eye on promises that nobody handles.
import { createCipheriv, createHash } from 'node:crypto';
import { afterEach, expect } from 'vitest';
import { algorithmSets, localResolveEnv } from '../../client/config/local-env.ts';
import type { HostPlan } from '../../client/config/plan.ts';
import { resolveHost } from '../../client/config/resolve.ts';
import type { Connection } from '../../client/connection.ts';
import type { Exit } from '../../client/exec.ts';
import { KeyStore } from '../../client/key-store.ts';
import { type OpenContext, openHost } from '../../client/open.ts';
import type { Prompter } from '../../client/prompter.ts';
import {
  type CryptoProvider,
  defaultAlgorithms,
  type Negotiated,
  nobleCrypto,
  supportedAlgorithms,
} from '../../protocol/index.ts';
import { nodeCrypto } from '../../transport/index.ts';
import { within } from '../client/harness.ts';
import { freshDir } from './process.ts';

export { failure, run, Script, within } from '../client/harness.ts';

export const node = nodeCrypto();
export const providers: readonly (readonly [name: string, crypto: CryptoProvider])[] = [
  ['noble', nobleCrypto],
  ['node', node],
];

/** What was thrown where nobody caught it: no test may leave any behind. */
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => void unhandled.push(reason));
process.on('uncaughtExceptionMonitor', (error) => void unhandled.push(error));
afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled.splice(0)).toEqual([]);
});

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Accepted by the server for `user`. */
  readonly identity?: string;
  readonly knownHosts: string;
}

export interface Way extends Partial<Target> {
  /** As `-o` takes them; the first one of a keyword counts. */
  readonly options?: readonly string[];
  /** Key files instead of the server's own; none for no key at all. */
  readonly identities?: readonly string[];
  readonly crypto?: CryptoProvider;
  readonly prompter?: Prompter;
  readonly password?: string;
  readonly agent?: string;
  readonly context?: Partial<OpenContext>;
}

/** A home where nothing is. */
let home: string | undefined;

export function planFor(target: Target, way: Way = {}): HostPlan {
  const { host, port, user, knownHosts, identity } = { ...target, ...way };
  const crypto = way.crypto ?? node;
  const files = way.identities ?? (identity === undefined ? [] : [identity]);
  const env = localResolveEnv({
    algorithms: algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto)),
    version: 'test',
    env: way.agent === undefined ? {} : { SSH_AUTH_SOCK: way.agent },
  });
  const overrides = [
    ...(way.options ?? []),
    `Port=${port}`,
    `UserKnownHostsFile=${knownHosts}`,
    'GlobalKnownHostsFile=none',
    'StrictHostKeyChecking=yes',
    ...(files.length === 0 ? ['IdentityFile=none'] : files.map((file) => `IdentityFile=${file}`)),
  ];
  home ??= freshDir('home');
  return resolveHost({ destination: `${user}@${host}`, overrides, configFile: 'none' }, { ...env, home });
}

export interface Opening {
  readonly connection: Connection;
  readonly distrusted: boolean;
  readonly hostKeysUpdated: () => Promise<void>;
  readonly negotiated: Negotiated[];
  readonly warnings: readonly string[];
  readonly log: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** What was said on the way, whether it led anywhere or not. */
export interface Record {
  readonly warnings: string[];
  readonly log: string[];
}

/** Opens `target` as a plan with these options says; bounded, for nothing may hang. */
export async function open(
  target: Target,
  way: Way = {},
  record: Record = { warnings: [], log: [] },
): Promise<Opening> {
  const crypto = way.crypto ?? node;
  const { warnings, log } = record;
  const negotiated: Negotiated[] = [];
  const warn = (text: string): void => void warnings.push(text);
  const { connection, distrusted, hostKeysUpdated } = await within(
    20_000,
    openHost(planFor(target, way), {
      crypto,
      keys: new KeyStore({ crypto, warn, ...(way.prompter && { prompter: way.prompter }) }),
      shell: '/bin/sh',
      warn,
      log: (_, text) => void log.push(text),
      onKeys: (algorithms) => void negotiated.push(algorithms),
      ...(way.prompter && { prompter: way.prompter }),
      ...(way.password !== undefined && { password: async () => way.password }),
      ...way.context,
    }),
  );
  connection.onRekey = (algorithms) => void negotiated.push(algorithms);
  const close = async (): Promise<void> => void (await within(5000, connection.close()));
  return { connection, distrusted, hostKeysUpdated, negotiated, warnings, log, [Symbol.asyncDispose]: close };
}

const CHUNK = 64 * 1024;

/** The same pseudo-random bytes every time, in chunks that belong to the taker: AES in counter mode over zeros. */
export function* testData(bytes: number, seed = 1): Generator<Buffer> {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  for (let at = 0; at < bytes; at += CHUNK) yield stream.update(Buffer.alloc(Math.min(CHUNK, bytes - at)));
}

export function testDigest(bytes: number, seed = 1): string {
  const hash = createHash('sha256');
  for (const chunk of testData(bytes, seed)) hash.update(chunk);
  return hash.digest('hex');
}

export interface Received {
  readonly bytes: number;
  readonly sha256: string;
}

/** A sink that keeps count and checksum only. */
export function digestSink(): { take(chunk: Uint8Array): void; readonly result: Received } {
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    take(chunk) {
      bytes += chunk.length;
      hash.update(chunk);
    },
    get result() {
      return { bytes, sha256: hash.copy().digest('hex') };
    },
  };
}

/** Feeds `bytes` of test data into `command` and gathers its output's checksum. */
export async function through(
  connection: Connection,
  command: string,
  bytes: number,
  milliseconds = 20_000,
): Promise<Received & { readonly exit: Exit; readonly stderr: string }> {
  const out = digestSink();
  const errors: Uint8Array[] = [];
  const handle = await connection.exec(command, { stdout: out.take, stderr: (chunk) => void errors.push(chunk) });
  const feed = async (): Promise<void> => {
    for (const chunk of testData(bytes)) await handle.write(chunk);
    handle.end();
  };
  const [exit] = await within(milliseconds, Promise.all([handle.exit, feed()]));
  return { ...out.result, exit, stderr: Buffer.concat(errors).toString() };
}

/** Sends data, has the server count and sum it, gets it back, and compares all of it. */
export async function bothWays(connection: Connection, bytes: number, milliseconds = 20_000): Promise<void> {
  const { exit, stderr, ...received } = await through(
    connection,
    'f=$(mktemp -u) && mkfifo $f && (sha256sum <$f >&2 & tee $f; wait); rm -f $f',
    bytes,
    milliseconds,
  );
  const sha256 = testDigest(bytes);
  expect({ ...received, atServer: stderr.split(' ')[0], exit }).toEqual({
    bytes,
    sha256,
    atServer: sha256,
    exit: { status: 0 },
  });
}
