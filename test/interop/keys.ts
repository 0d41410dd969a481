// Keys and certificates made by ssh-keygen, each kind once per process: making them is slow, and no test minds
// sharing. They live in the run's own folder and go with it.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshDir, runDir } from './process.ts';

export type KeyKind = 'ed25519' | 'rsa' | 'rsa4096' | 'ecdsa256' | 'ecdsa384' | 'ecdsa521' | 'dsa';

const ARGUMENTS: Readonly<Record<KeyKind, readonly string[]>> = {
  ed25519: ['-t', 'ed25519'],
  rsa: ['-t', 'rsa', '-b', '3072'],
  rsa4096: ['-t', 'rsa', '-b', '4096'],
  ecdsa256: ['-t', 'ecdsa', '-b', '256'],
  ecdsa384: ['-t', 'ecdsa', '-b', '384'],
  ecdsa521: ['-t', 'ecdsa', '-b', '521'],
  dsa: ['-t', 'dsa'],
};

export interface KeyFile {
  /** The private key's file; the public one stands beside it as PATH.pub. */
  readonly path: string;
  /** The public key as one line, without the line break. */
  readonly publicLine: string;
}

export interface KeyRequest {
  /** Keys of one kind and another purpose are different keys. */
  readonly purpose?: string;
  readonly passphrase?: string;
  readonly format?: 'openssh' | 'PEM' | 'PKCS8';
}

export function makeKey(kind: KeyKind, request: KeyRequest = {}): KeyFile {
  const { purpose = 'user', passphrase = '', format = 'openssh' } = request;
  const path = join(runDir(), `key-${kind}-${purpose}-${format}-${Buffer.from(passphrase).toString('hex')}`);
  if (!existsSync(path)) {
    const shape = format === 'openssh' ? [] : ['-m', format];
    execFileSync('ssh-keygen', ['-q', ...ARGUMENTS[kind], ...shape, '-N', passphrase, '-C', purpose, '-f', path]);
  }
  return { path, publicLine: readFileSync(`${path}.pub`, 'utf8').trim() };
}

export interface CertificateRequest {
  readonly ca: KeyFile;
  readonly host?: boolean;
  readonly identity?: string;
  readonly principals?: readonly string[];
  /** As ssh-keygen -V takes it. */
  readonly validity?: string;
  readonly options?: readonly string[];
}

/** A copy of the key with a certificate beside it as PATH-cert.pub. */
export function certify(key: KeyFile, request: CertificateRequest): KeyFile & { readonly certificate: string } {
  const path = join(freshDir('certified'), 'key');
  writeFileSync(path, readFileSync(key.path), { mode: 0o600 });
  writeFileSync(`${path}.pub`, `${key.publicLine}\n`);
  const args = ['-q', '-s', request.ca.path, '-I', request.identity ?? 'test'];
  if (request.host) args.push('-h');
  if (request.principals) args.push('-n', request.principals.join(','));
  if (request.validity) args.push('-V', request.validity);
  for (const option of request.options ?? []) args.push('-O', option);
  execFileSync('ssh-keygen', [...args, `${path}.pub`]);
  return { path, publicLine: key.publicLine, certificate: readFileSync(`${path}-cert.pub`, 'utf8').trim() };
}
