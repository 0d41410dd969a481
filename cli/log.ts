/**
 * Messages of ours: levels and text forms of ssh(1) (`debug1: ...`), secrets taken out, to stderr or a log file.
 *
 * Every message is made harmless before it is written: much of it quotes the peer. Nothing here touches stdout.
 */

import { closeSync, openSync } from 'node:fs';
import { writeAll } from './print.ts';
import { neutralise } from './terminal.ts';

/** LogLevel of ssh_config(5), in its order. */
export const LOG_LEVELS = ['quiet', 'fatal', 'error', 'info', 'verbose', 'debug1', 'debug2', 'debug3'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  readonly level?: LogLevel;
  /** Takes whole lines; default: synchronously to stderr. */
  readonly write?: (text: string, level: LogLevel) => void;
}

/** So short a secret would blot out half of every message. */
const SHORTEST_SECRET = 4;

export class Log {
  level: LogLevel;
  /** In raw mode the terminal needs a CR as well. */
  raw = false;
  private write: (text: string, level: LogLevel) => void;
  private readonly secrets = new Set<string>();

  constructor(options: LogOptions = {}) {
    this.level = options.level ?? 'info';
    this.write = options.write ?? writeStderr;
  }

  /** From now on lines go elsewhere: a file of `-E`, the system log, or through a status line. Gives back where they went. */
  redirect(write: (text: string, level: LogLevel) => void): (text: string, level: LogLevel) => void {
    const before = this.write;
    this.write = write;
    return before;
  }

  /** A password or passphrase that must never be seen in a message. */
  hide(secret: string): void {
    if (secret.length >= SHORTEST_SECRET) this.secrets.add(secret);
  }

  wants(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(this.level);
  }

  fatal(message: string): void {
    this.say('fatal', message);
  }

  error(message: string): void {
    this.say('error', message);
  }

  info(message: string): void {
    this.say('info', message);
  }

  verbose(message: string): void {
    this.say('verbose', message);
  }

  /** A function is called only when somebody will read it. Depth 0 is 'verbose'. */
  debug(depth: 0 | 1 | 2 | 3, message: string | (() => string)): void {
    const level = depth === 0 ? 'verbose' : (`debug${depth}` as const);
    if (this.wants(level)) this.say(level, typeof message === 'string' ? message : message());
  }

  private say(level: LogLevel, message: string): void {
    if (!this.wants(level)) return;
    const prefix = level.startsWith('debug') ? `${level}: ` : '';
    const end = this.raw ? '\r\n' : '\n';
    const lines = neutralise(this.redact(message)).split('\n');
    this.write(lines.map((line) => prefix + line + end).join(''), level);
  }

  private redact(message: string): string {
    let text = message;
    for (const secret of this.secrets) text = text.replaceAll(secret, '***');
    return text.replace(/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?(?:-----END \1-----|$)/g, '[$1]');
  }
}

/** Level of `-q` and any number of `-v`, as ssh(1) counts them. */
export const levelOf = (verbose: number, quiet: boolean, configured: LogLevel = 'info'): LogLevel => {
  if (verbose > 0) return (['debug1', 'debug2', 'debug3'] as const)[Math.min(verbose, 3) - 1]!;
  return quiet ? 'quiet' : configured;
};

export interface LogFile {
  write(text: string): void;
  close(): void;
}

/** `-E file`: appended to (O_APPEND), one write a message, so that processes can share it and a crash loses nothing. */
export function openLogFile(path: string): LogFile {
  const fd = openSync(path, 'a', 0o600);
  return { write: (text) => writeAll(fd, Buffer.from(text)), close: () => closeSync(fd) };
}

function writeStderr(text: string): void {
  try {
    writeAll(2, Buffer.from(text));
  } catch {
    // Nobody is left to be told.
  }
}
