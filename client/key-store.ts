/**
 * Key files of the user's, read once a process: public parts without a passphrase, private keys when they are needed.
 *
 * One passphrase is asked for once, however many hosts want the key; a key that cannot be had is left out with a reason.
 */

import { lstatSync, readFileSync, statSync } from 'node:fs';
import {
  type Certificate,
  type CryptoProvider,
  limits,
  type PrivateKey,
  type PublicKey,
  parsePrivateKey,
  parsePublicKeyFile,
  peekPublicKey,
  SshError,
} from '../protocol/index.ts';
import type { Prompter } from './prompter.ts';

export interface KeyStoreOptions {
  readonly crypto: CryptoProvider;
  readonly prompter?: Prompter | undefined;
  /** How often a passphrase is asked for; ssh takes NumberOfPasswordPrompts. */
  readonly attempts?: number;
  /** Text for the user: a key that is unprotected, broken or unreadable. */
  readonly warn?: (text: string) => void;
}

export interface KeyFile {
  readonly path: string;
  /** Known without a passphrase; undefined when only decrypting tells (PEM without a .pub beside it). */
  readonly publicKey: PublicKey | undefined;
  /** The file holds a public key only: an agent may have the private one. */
  readonly publicOnly: boolean;
  readonly encrypted: boolean;
}

/** Reads a file of at most `limits.keyFileBytes`. */
function readBounded(path: string): Uint8Array {
  if (statSync(path).size > limits.keyFileBytes)
    throw new SshError('key-format', 'file too large for a key', { detail: { path } });
  return readFileSync(path);
}

export class KeyStore {
  readonly #options: KeyStoreOptions;
  readonly #files = new Map<string, KeyFile | undefined>();
  readonly #private = new Map<string, Promise<PrivateKey | undefined>>();
  readonly #certificates = new Map<string, Certificate | undefined>();
  readonly #warned = new Set<string>();

  constructor(options: KeyStoreOptions) {
    this.#options = options;
  }

  #warn(path: string, text: string): void {
    if (this.#warned.has(path)) return;
    this.#warned.add(path);
    this.#options.warn?.(text);
  }

  /** What a key file holds, or undefined when it is missing or unusable. */
  file(path: string, explicit: boolean): KeyFile | undefined {
    if (!this.#files.has(path)) this.#files.set(path, this.#look(path, explicit));
    return this.#files.get(path);
  }

  #look(path: string, explicit: boolean): KeyFile | undefined {
    let bytes: Uint8Array;
    try {
      bytes = readBounded(path);
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (explicit) {
        const why = missing
          ? 'No such file or directory'
          : error instanceof SshError
            ? error.message
            : ((error as NodeJS.ErrnoException).code ?? 'cannot be read');
        this.#warn(path, `Warning: Identity file ${path} not accessible: ${why}.`);
      }
      // The agent may hold a key whose public half is all that lies here.
      const publicKey = this.#publicBeside(path);
      return missing && publicKey !== undefined ? { path, publicKey, publicOnly: true, encrypted: false } : undefined;
    }
    return this.#classify(path, bytes);
  }

  #classify(path: string, bytes: Uint8Array): KeyFile | undefined {
    try {
      const { key } = parsePublicKeyFile(bytes);
      return { path, publicKey: key, publicOnly: true, encrypted: false };
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
    }
    if (!this.#private600(path)) return undefined;
    try {
      const key = parsePrivateKey(this.#options.crypto, bytes);
      this.#private.set(path, Promise.resolve(key));
      return { path, publicKey: key.publicKey, publicOnly: false, encrypted: false };
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      if (error.code !== 'key-encrypted') {
        this.#warn(path, `Load key "${path}": ${error.message}`);
        return undefined;
      }
      return { path, publicKey: this.#peek(bytes) ?? this.#publicBeside(path), publicOnly: false, encrypted: true };
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

  #publicBeside(path: string): PublicKey | undefined {
    try {
      return parsePublicKeyFile(readBounded(`${path}.pub`)).key;
    } catch {
      return undefined;
    }
  }

  /** ssh(1) ignores private keys that others can read. */
  #private600(path: string): boolean {
    const info = statSync(path);
    if (process.platform === 'win32' || info.uid !== process.getuid?.() || (info.mode & 0o077) === 0) return true;
    const mode = (info.mode & 0o777).toString(8).padStart(4, '0');
    this.#warn(
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

  /** The private key, its passphrase asked for when needed; undefined when it cannot be had. */
  privateKey(path: string): Promise<PrivateKey | undefined> {
    let key = this.#private.get(path);
    if (key === undefined) {
      key = this.#decrypt(path);
      this.#private.set(path, key);
    }
    return key;
  }

  async #decrypt(path: string): Promise<PrivateKey | undefined> {
    const { crypto, prompter, attempts = 3 } = this.#options;
    const bytes = readBounded(path);
    for (let i = 0; i < attempts; i++) {
      const passphrase = await prompter?.ask({
        text: `Enter passphrase for key '${path}': `,
        echo: false,
        purpose: `passphrase ${path}`,
      });
      if (passphrase === undefined || passphrase === '') return undefined;
      try {
        return parsePrivateKey(crypto, bytes, { passphrase });
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        if (error.code === 'key-passphrase') {
          if (i === attempts - 1)
            this.#warn(path, `Load key "${path}": incorrect passphrase supplied to decrypt private key`);
          continue;
        }
        this.#warn(path, `Load key "${path}": ${error.message}`);
        return undefined;
      }
    }
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
      if (explicit)
        this.#warn(
          path,
          `Warning: Certificate file ${path} not accessible: ${error instanceof SshError ? error.message : 'No such file or directory'}.`,
        );
    }
    this.#certificates.set(path, certificate);
    return certificate;
  }
}
