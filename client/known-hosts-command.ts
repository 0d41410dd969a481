/**
 * KnownHostsCommand (ssh_config(5)): a program that prints lines of known_hosts. Run without a shell, its output bounded;
 * one that fails or is killed ends the connection, one that cannot be started has no lines.
 */

import { spawn } from 'node:child_process';
import { isAbsolute } from 'node:path';
import { type CryptoProvider, encodeBase64, type FingerprintHash, fingerprint, SshError } from '../protocol/index.ts';
import { type KnownHostLine, parseKnownHosts } from './config/known-hosts.ts';
import { splitArguments } from './config/lexer.ts';
import { type Environment, expandPath, type Tokens } from './config/tokens.ts';

/** Why the command is run: to order algorithms, to look up the name, to look up the address. */
export type KnownHostsReason = 'ORDER' | 'HOSTNAME' | 'ADDRESS';

export interface KnownHostsCommandOptions {
  readonly command: string;
  readonly tokens: Tokens;
  readonly env: Environment;
  readonly crypto: CryptoProvider;
  readonly fingerprintHash: FingerprintHash;
  readonly warn?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface KnownHostsQuestion {
  readonly reason: KnownHostsReason;
  /** The name or address that is looked up, `%H`. */
  readonly name: string;
  /** What the server showed: a key or a certificate; missing before it did. */
  readonly shown?: { readonly type: string; readonly blob: Uint8Array; readonly keyBlob: Uint8Array };
}

/** Lines past this are a program gone wild: a known_hosts of ten thousand hosts has a few MiB. */
const OUTPUT_BYTES = 16 * 1024 * 1024;

const tagOf = (reason: KnownHostsReason): string => `KnownHostsCommand-${reason}`;

/** Whether a line came from a command: it stands in no file that could be changed. */
export const isFromCommand = (line: KnownHostLine): boolean => line.file.startsWith('KnownHostsCommand-');

export async function runKnownHostsCommand(
  options: KnownHostsCommandOptions,
  question: KnownHostsQuestion,
): Promise<KnownHostLine[]> {
  const tag = tagOf(question.reason);
  const words = splitArguments(options.command);
  if (words === undefined || words.length === 0) {
    const what = words === undefined ? 'contains invalid quotes' : 'yielded no arguments';
    options.warn?.(`${tag} "${options.command}" ${what}`);
    return [];
  }
  const [program, ...rest] = words as [string, ...string[]];
  if (!isAbsolute(program)) {
    options.warn?.(`${tag} path is not absolute: ${program}`);
    return [];
  }
  const tokens = { ...options.tokens, ...tokensOf(options, question) };
  const args = rest.map((word) => expandPath(word, tokens, options.env));
  const text = await output(options, tag, program, args);
  return text === undefined ? [] : parseKnownHosts(text, tag);
}

function tokensOf({ crypto, fingerprintHash }: KnownHostsCommandOptions, question: KnownHostsQuestion): Tokens {
  const { reason, name, shown } = question;
  return {
    H: name,
    I: reason,
    t: shown?.type ?? 'NONE',
    f: shown === undefined ? 'NONE' : fingerprint(crypto, shown.keyBlob, fingerprintHash),
    K: shown === undefined ? 'NONE' : encodeBase64(shown.blob),
  };
}

/** What the program prints; undefined when it cannot be started. */
function output(
  { env, warn, signal }: KnownHostsCommandOptions,
  tag: string,
  program: string,
  args: readonly string[],
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...env }, signal });
    const chunks: Buffer[] = [];
    let bytes = 0;
    const failed = (why: string): void =>
      reject(new SshError('host-key', 'KnownHostsCommand failed', { detail: { reason: 'command', why, program } }));
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= OUTPUT_BYTES) chunks.push(chunk);
      else child.kill('SIGKILL');
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (signal?.aborted) return reject(new SshError('aborted', 'aborted', { cause: signal.reason }));
      warn?.(`${tag}: cannot run "${program}": ${error.code ?? error.message}`);
      resolve(undefined);
    });
    child.on('close', (code, killedBy) => {
      if (bytes > OUTPUT_BYTES) failed('too much output');
      else if (code === 0) resolve(Buffer.concat(chunks).toString());
      else failed(killedBy === null ? `exit status ${code}` : `signal ${killedBy}`);
    });
  });
}
