/**
 * Messages to the system log (`-y`, SyslogFacility). Node has no way to /dev/log, so logger(1) takes them there, one
 * process for each severity that comes up. What it cannot be told is told on standard error.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { LogLevel } from './log.ts';
import { printErr } from './print.ts';

type Severity = 'crit' | 'err' | 'info' | 'debug';

const SEVERITIES: Readonly<Partial<Record<LogLevel, Severity>>> = { fatal: 'crit', error: 'err' };

const severityOf = (level: LogLevel): Severity => SEVERITIES[level] ?? (level.startsWith('debug') ? 'debug' : 'info');

export class Syslog {
  readonly #tag: string;
  readonly #loggers = new Map<string, ChildProcess>();
  /** As logger(1) spells it. */
  facility = 'user';

  constructor(program: string) {
    this.#tag = `${program}[${process.pid}]`;
  }

  readonly write = (text: string, level: LogLevel): void => {
    const { stdin } = this.#logger(`${this.facility}.${severityOf(level)}`);
    // The terminal being raw is no business of the log's.
    if (stdin?.writable) stdin.write(text.replaceAll('\r', ''));
    else printErr(text);
  };

  #logger(priority: string): ChildProcess {
    const known = this.#loggers.get(priority);
    if (known !== undefined) return known;
    const child = spawn('logger', ['-t', this.#tag, '-p', priority], { stdio: ['pipe', 'ignore', 'inherit'] });
    this.#loggers.set(priority, child);
    child.once('error', (error) => printErr(`cannot reach the system log: logger(1): ${error.message}\n`));
    child.stdin.on('error', () => {});
    // It ends when its input does, which is when we end.
    child.unref();
    return child;
  }
}
