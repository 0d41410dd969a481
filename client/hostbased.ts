/**
 * Host-based log-in (RFC 4252 section 9, ssh_config(5) HostbasedAuthentication): this host vouches for its user with its
 * own host keys. They are signed with here where they may be read (root); for everybody else ssh-keysign signs, a setuid
 * helper of OpenSSH that reads EnableSSHKeysign from /etc/ssh/ssh_config by itself. Which user and host are believed is
 * the server's business.
 */

import { spawn } from 'node:child_process';
import { lookupService } from 'node:dns/promises';
import { accessSync, constants } from 'node:fs';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type CryptoProvider,
  fingerprint,
  type HostbasedInputs,
  keyTypeLabel,
  limits,
  type PrivateKey,
  type PublicKeyLine,
  parsePrivateKey,
  parsePublicKeyFile,
  sign,
  signatureRow,
} from '../protocol/index.ts';
import { readBounded } from './key-store.ts';

export interface HostbasedOptions {
  readonly crypto: CryptoProvider;
  /** HostbasedAcceptedAlgorithms, in the order they are tried. */
  readonly accepted: readonly string[];
  /** Who asks, on this host. */
  readonly user: string;
  /** The connection, whose own end tells this host's name; undefined through a proxy. */
  readonly socket?: Socket | undefined;
  /** Where the host keys are; default `/etc/ssh`. */
  readonly folder?: string | undefined;
  /** ssh-keysign; default: where systems put it. */
  readonly keysign?: string | undefined;
  readonly warn?: ((text: string) => void) | undefined;
  readonly log?: ((level: 0 | 1 | 2 | 3, text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A host key that may vouch for the user. */
export interface HostIdentity extends HostbasedInputs {
  readonly label: string;
  /** Undefined when nobody can sign with it. */
  sign(data: Uint8Array): Promise<Uint8Array | undefined>;
}

const TYPES = ['ecdsa', 'ed25519', 'rsa', 'dsa'] as const;

const HELPERS = [
  '/usr/lib/openssh/ssh-keysign',
  '/usr/libexec/openssh/ssh-keysign',
  '/usr/libexec/ssh-keysign',
  '/usr/lib/ssh/ssh-keysign',
  '/usr/local/libexec/ssh-keysign',
] as const;

/** Of ssh-keysign's messages, both ways. */
const KEYSIGN_VERSION = 2;

/** This host's keys and certificates, one for each algorithm that one of them can do, in the order of the algorithms. */
export async function* hostIdentities(options: HostbasedOptions): AsyncGenerator<HostIdentity> {
  const { folder = '/etc/ssh', accepted, user, crypto, log } = options;
  const files = TYPES.map((type) => join(folder, `ssh_host_${type}_key`));
  const found = files.flatMap((path) => [publicFile(`${path}-cert.pub`, path), publicFile(`${path}.pub`, path)]);
  const name = await localName(options.socket);
  for (const algorithm of accepted) {
    const type = signatureRow(algorithm)?.blobType;
    for (const entry of found) {
      if (entry === undefined || entry.type !== type) continue;
      const print = `${keyTypeLabel(entry.line.key)} ${fingerprint(crypto, entry.line.key.blob)}`;
      log?.(1, `userauth_hostbased: trying hostkey ${print} using sigalg ${algorithm}`);
      yield {
        label: entry.path,
        algorithm,
        blob: entry.line.certificate?.blob ?? entry.line.key.blob,
        clientHost: `${name}.`,
        clientUser: user,
        sign: (data) => signWith(options, entry.path, algorithm, data),
      };
    }
  }
  log?.(1, 'No more client hostkeys for hostbased authentication.');
}

interface PublicFile {
  /** The private key's file. */
  readonly path: string;
  readonly line: PublicKeyLine;
  readonly type: string;
}

function publicFile(file: string, path: string): PublicFile | undefined {
  try {
    const line = parsePublicKeyFile(readBounded(file));
    return { path, line, type: line.certificate?.type ?? line.key.type };
  } catch {
    // A key this host has not got, or one that is none: the others may do.
    return undefined;
  }
}

/** This host as the server will see it, if its address has a name. */
async function localName(socket: Socket | undefined): Promise<string> {
  const { localAddress, localPort } = socket ?? {};
  if (localAddress === undefined || localPort === undefined) return hostname();
  try {
    return (await lookupService(localAddress, localPort)).hostname;
  } catch {
    return hostname();
  }
}

async function signWith(
  options: HostbasedOptions,
  path: string,
  algorithm: string,
  data: Uint8Array,
): Promise<Uint8Array | undefined> {
  const key = readable(options.crypto, path);
  if (key !== undefined) return sign(options.crypto, key, algorithm, data);
  const program = options.keysign ?? HELPERS.find(isExecutable);
  if (program === undefined) {
    options.warn?.(`Host-based log-in: ${path} cannot be read, and ssh-keysign is not installed.`);
    return undefined;
  }
  const signature = await keysign(options, program, data);
  if (signature === undefined) options.warn?.(`sign using hostkey ${path} failed`);
  return signature;
}

function readable(crypto: CryptoProvider, path: string): PrivateKey | undefined {
  try {
    return parsePrivateKey(crypto, readBounded(path));
  } catch {
    return undefined;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * One signature by ssh-keysign: `uint32 length | byte version | ...` both ways. It checks that the data is a host-based
 * request of this user from this host, whose name it takes from the socket that it inherits.
 */
function keysign(options: HostbasedOptions, program: string, data: Uint8Array): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const { socket } = options;
    const wasReading = socket !== undefined && !socket.isPaused();
    const child = spawn(program, [], {
      stdio: ['pipe', 'pipe', 'pipe', socket ?? 'ignore'],
      ...(options.signal && { signal: options.signal }),
    });
    // Node takes a socket that it hands on for the child's alone.
    if (wasReading) socket.resume();
    const { stdin, stdout, stderr } = child as typeof child & Record<'stdin' | 'stdout' | 'stderr', Socket>;
    const answer: Buffer[] = [];
    let size = 0;
    stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limits.packetLength) answer.push(chunk);
    });
    let said = '';
    stderr.on('data', (chunk: Buffer) => {
      if (said.length < limits.packetLength) said += chunk.toString();
    });
    // One that goes before it has read everything says why itself.
    stdin.on('error', () => {});
    child.once('error', (error) => {
      options.warn?.(`ssh-keysign: ${program}: ${error.message}`);
      resolve(undefined);
    });
    child.once('close', () => {
      for (const line of said.split(/\r?\n/)) if (line !== '') options.warn?.(line);
      resolve(size <= limits.packetLength ? signatureIn(Buffer.concat(answer)) : undefined);
    });
    stdin.end(keysignRequest(data));
  });
}

function keysignRequest(data: Uint8Array): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(9 + data.length);
  head.writeUInt8(KEYSIGN_VERSION, 4);
  head.writeUInt32BE(3, 5);
  head.writeUInt32BE(data.length, 9);
  return Buffer.concat([head, data]);
}

function signatureIn(answer: Buffer): Uint8Array | undefined {
  if (answer.length < 9 || answer.readUInt8(4) !== KEYSIGN_VERSION) return undefined;
  const length = answer.readUInt32BE(5);
  return answer.length === 9 + length ? answer.subarray(9) : undefined;
}
