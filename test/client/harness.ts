// What the tests of the client layer share: a demo server to talk to, a way in, and bounds on how long anything takes.

import type { AuthPlan, Identity } from '../../client/auth.ts';
import { type ConnectOptions, connect } from '../../client/connect.ts';
import type { Connection } from '../../client/connection.ts';
import type { ExecOptions, Exit } from '../../client/exec.ts';
import type { Prompter, PromptRequest } from '../../client/prompter.ts';
import { generateKey, type PrivateKey, SshError, sign, signatureAlgorithmsFor } from '../../protocol/index.ts';
import { nodeCrypto } from '../../transport/index.ts';
import type { DemoServer, DemoUser } from '../demo-server/index.ts';

export const crypto = nodeCrypto();

export const alice: DemoUser = { name: 'alice', password: 'wonderland' };

/** Everything a log-in could need, and nothing that answers by itself. */
export const noAuth: AuthPlan = {
  methods: ['publickey', 'keyboard-interactive', 'password'],
  identities: async function* () {},
  accepted: ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'],
  passwordPrompts: 3,
  hostLabel: 'alice@demo',
};

export const withPassword = (password = 'wonderland'): AuthPlan => ({ ...noAuth, password: async () => password });

export function keyIdentity(key: PrivateKey, costly = false): Identity {
  const { blob, type } = key.publicKey;
  return {
    label: key.comment || type,
    source: 'file',
    blob,
    type,
    algorithms: signatureAlgorithmsFor(type),
    costly,
    sign: async (algorithm, data) => sign(crypto, key, algorithm, data),
  };
}

export const withKeys = (...keys: readonly Identity[]): AuthPlan => ({
  ...noAuth,
  identities: async function* () {
    yield* keys;
  },
});

export const newKey = (comment = ''): PrivateKey => generateKey(crypto, 'ed25519', { comment });

/** Answers from a list, and a record of what was asked. */
export class Script implements Prompter {
  readonly asked: PromptRequest[] = [];
  readonly told: string[] = [];
  readonly #answers: (string | undefined)[];

  constructor(...answers: (string | undefined)[]) {
    this.#answers = answers;
  }
  async ask(request: PromptRequest): Promise<string | undefined> {
    this.asked.push(request);
    return this.#answers.shift();
  }
  tell(text: string): void {
    this.told.push(text);
  }
}

/** Options for a connection to `server`, whose key is checked. */
export function to(server: DemoServer, more: Partial<ConnectOptions> = {}): ConnectOptions {
  return {
    host: server.host,
    port: server.port,
    user: 'alice',
    auth: withPassword(),
    crypto,
    hostKey: ({ hostKey }) => server.hostKeys.some((key) => Buffer.compare(key.blob, hostKey.blob) === 0),
    ...more,
  };
}

export const login = (server: DemoServer, more: Partial<ConnectOptions> = {}): Promise<Connection> =>
  within(5000, connect(to(server, more)));

/** Fails when `promise` is not settled after `ms`: nothing here may hang. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not settled after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The SshError that `promise` is rejected with, in time. */
export async function failure(promise: Promise<unknown>, ms = 3000): Promise<SshError> {
  try {
    await within(ms, promise);
  } catch (error) {
    if (error instanceof SshError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

export interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: Exit;
}

/** Runs a command to its end, its output collected. */
export async function run(
  connection: Connection,
  command: string,
  options: ExecOptions & { stdin?: string } = {},
): Promise<Run> {
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const handle = await connection.exec(command, {
    stdout: (chunk) => void out.push(chunk),
    stderr: (chunk) => void err.push(chunk),
    ...options,
  });
  if (options.stdin !== undefined) await handle.write(Buffer.from(options.stdin));
  handle.end();
  const exit = await handle.exit;
  return { stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString(), exit };
}
