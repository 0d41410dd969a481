/**
 * Key files of the user's, read once a process: public parts without a passphrase, private keys when they are needed.
 *
 * One passphrase is asked for once, however many hosts want the key; a key that cannot be had is left out, and why is
 * said when it would have been used.
 */

import { lstatSync, readFileSync, statSync } from 'node:fs';
import {
  type Certificate,
  type CryptoProvider,
  limits,
  type PrivateKey,
  type PublicKey,
  type PublicKeyLine,
  parsePrivateKey,
  parsePublicKeyFile,
  peekPublicKey,
  SshError,
} from '../protocol/index.ts';
import type { Prompter } from './prompter.ts';
import { systemError } from './system-error.ts';

export interface KeyStoreOptions {
  readonly crypto: CryptoProvider;
  readonly prompter?: Prompter | undefined;
  /** How often a passphrase is asked for, where a request does not say. */
  readonly attempts?: number;
  /** Text for the user: a key that is unprotected, broken or unreadable. */
  readonly warn?: (text: string) => void;
}

export interface KeyFile {
  readonly path: string;
  /** Known without a passphrase; undefined when only decrypting tells (PEM without a .pub beside it). */
  readonly publicKey: PublicKey | undefined;
  /** The file itself, or KEY.pub, is a certificate: what is offered instead of the key. */
  readonly certificate: Certificate | undefined;
  /** The file holds a public key only: an agent may have the private one. */
  readonly publicOnly: boolean;
  readonly encrypted: boolean;
}

export interface PrivateKeyRequest {
  /** False: nobody may be asked for a passphrase (BatchMode). */
  readonly ask?: boolean;
  /** NumberOfPasswordPrompts. */
  readonly attempts?: number;
  readonly log?: ((level: 0 | 1 | 2 | 3, text: string) => void) | undefined;
}

/** What a look at a private key file found. */
type Contents =
  | { readonly state: 'open'; readonly key: PrivateKey }
  | { readonly state: 'encrypted'; readonly bytes: Uint8Array }
  | { readonly state: 'unusable'; readonly reason: string };

/** Reads a file of at most `limits.keyFileBytes`. */
export function readBounded(path: string): Uint8Array {
  if (statSync(path).size > limits.keyFileBytes)
    throw new SshError('key-format', 'file too large for a key', { detail: { path } });
  return readFileSync(path);
}

/** As ssh(1) puts it. */
function reasonOf(error: unknown): string {
  if (error instanceof SshError) {
    return error.code === 'key-format'
      ? 'invalid format'
      : error.code === 'key-unsupported'
        ? 'unknown or unsupported key type'
        : error.message;
  }
  return systemError(error);
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

export class KeyStore {
  readonly #options: KeyStoreOptions;
  readonly #files = new Map<string, KeyFile | undefined>();
  readonly #contents = new Map<string, Contents>();
  readonly #asked = new Map<string, Promise<PrivateKey | undefined>>();
  readonly #certificates = new Map<string, Certificate | undefined>();
  readonly #warned = new Set<string>();
  /** Files whose permissions were right when their key was first used: the key is in memory since. */
  readonly #private = new Set<string>();

  constructor(options: KeyStoreOptions) {
    this.#options = options;
  }

  /** Says once why the keys of `path` cannot be had, however many hosts want them. */
  warn(path: string, text: string): void {
    if (this.#warned.has(path)) return;
    this.#warned.add(path);
    this.#options.warn?.(text);
  }

  /** What a key file holds, or undefined when there is none; `explicit`: that is worth a warning. */
  file(path: string, explicit: boolean): KeyFile | undefined {
    if (!this.#files.has(path)) this.#files.set(path, this.#look(path, explicit));
    return this.#files.get(path);
  }

  #look(path: string, explicit: boolean): KeyFile | undefined {
    const beside = this.#public(`${path}.pub`);
    let bytes: Uint8Array;
    try {
      bytes = readBounded(path);
    } catch (error) {
      const missing = isMissing(error);
      if (!missing) this.#contents.set(path, { state: 'unusable', reason: reasonOf(error) });
      else if (beside === undefined) {
        if (explicit) this.warn(path, `Warning: Identity file ${path} not accessible: ${reasonOf(error)}.`);
        return undefined;
      }
      // The agent may hold a key whose public half is all that lies here.
      return {
        path,
        publicKey: beside?.key,
        certificate: beside?.certificate,
        publicOnly: missing,
        encrypted: false,
      };
    }
    return this.#classify(path, bytes, beside);
  }

  #classify(path: string, bytes: Uint8Array, beside: PublicKeyLine | undefined): KeyFile {
    try {
      const { key, certificate } = parsePublicKeyFile(bytes);
      return { path, publicKey: key, certificate, publicOnly: true, encrypted: false };
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
    }
    const contents = this.#parse(bytes);
    this.#contents.set(path, contents);
    const publicKey = contents.state === 'open' ? contents.key.publicKey : (this.#peek(bytes) ?? beside?.key);
    const certificate = beside?.certificate;
    const isOurs = publicKey !== undefined && certificate !== undefined && sameKey(certificate.key, publicKey);
    return {
      path,
      publicKey,
      certificate: isOurs ? certificate : undefined,
      publicOnly: false,
      encrypted: contents.state === 'encrypted',
    };
  }

  #parse(bytes: Uint8Array): Contents {
    try {
      return { state: 'open', key: parsePrivateKey(this.#options.crypto, bytes) };
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      if (error.code === 'key-encrypted') return { state: 'encrypted', bytes };
      return { state: 'unusable', reason: reasonOf(error) };
    }
  }

  #peek(bytes: Uint8Array): PublicKey | undefined {
    try {
      return peekPublicKey(bytes);
    } catch (error) {
      if (error instanceof SshError) return undefined;
      throw error;
    }
  }

  #public(path: string): PublicKeyLine | undefined {
    try {
      return parsePublicKeyFile(readBounded(path));
    } catch {
      return undefined;
    }
  }

  /** ssh(1) ignores private keys that others can read. */
  #isPrivate(path: string): boolean {
    if (this.#private.has(path)) return true;
    const info = statSync(path);
    if (process.platform === 'win32' || info.uid !== process.getuid?.() || (info.mode & 0o077) === 0) {
      this.#private.add(path);
      return true;
    }
    const mode = (info.mode & 0o777).toString(8).padStart(4, '0');
    this.warn(
      path,
      [
        '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
        '@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @',
        '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
        `Permissions ${mode} for '${path}' are too open.`,
        'It is required that your private key files are NOT accessible by others.',
        'This private key will be ignored.',
        `Load key "${path}": bad permissions`,
      ].join('\n'),
    );
    return false;
  }

  /** The private key, its passphrase asked for when needed; undefined when it cannot be had, and the user knows why. */
  async privateKey(path: string, request: PrivateKeyRequest = {}): Promise<PrivateKey | undefined> {
    if (!this.#contents.has(path)) this.file(path, false);
    const contents = this.#contents.get(path);
    if (contents === undefined) return undefined;
    if (contents.state === 'unusable') {
      this.warn(path, `Load key "${path}": ${contents.reason}`);
      return undefined;
    }
    if (!this.#isPrivate(path)) return undefined;
    if (contents.state === 'open') return contents.key;
    let key = this.#asked.get(path);
    if (key === undefined && request.ask !== false) {
      key = this.#decrypt(path, contents.bytes, request);
      this.#asked.set(path, key);
    }
    return key;
  }

  async #decrypt(path: string, bytes: Uint8Array, request: PrivateKeyRequest): Promise<PrivateKey | undefined> {
    const { crypto, prompter } = this.#options;
    const { attempts = this.#options.attempts ?? 3, log } = request;
    for (let i = 0; i < attempts; i++) {
      const passphrase = await prompter?.ask({
        text: `Enter passphrase for key '${path}': `,
        echo: false,
        purpose: `passphrase ${path}`,
      });
      if (passphrase === undefined || passphrase === '') {
        log?.(2, 'no passphrase given, try next key');
        return undefined;
      }
      try {
        return parsePrivateKey(crypto, bytes, { passphrase });
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        if (error.code !== 'key-passphrase') {
          this.warn(path, `Load key "${path}": ${reasonOf(error)}`);
          return undefined;
        }
        log?.(2, 'bad passphrase given, try again...');
      }
    }
    this.warn(path, `Load key "${path}": incorrect passphrase supplied to decrypt private key`);
    return undefined;
  }

  /** The certificate in a file, or undefined when there is none (`explicit`: that is worth a warning). */
  certificate(path: string, explicit: boolean): Certificate | undefined {
    if (this.#certificates.has(path)) return this.#certificates.get(path);
    let certificate: Certificate | undefined;
    try {
      if (explicit || lstatSync(path, { throwIfNoEntry: false }) !== undefined)
        certificate = parsePublicKeyFile(readBounded(path)).certificate;
    } catch (error) {
      if (explicit) this.warn(path, `Warning: Certificate file ${path} not accessible: ${reasonOf(error)}.`);
    }
    this.#certificates.set(path, certificate);
    return certificate;
  }
}

const sameKey = (a: PublicKey, b: PublicKey): boolean => Buffer.compare(a.blob, b.blob) === 0;
