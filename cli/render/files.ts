/**
 * `--output-dir`: every host's output in files of its own, written as it comes.
 *
 * The header names an exit status that is known only at the end: it is written as `running` into a field of fixed
 * width and overwritten in place, so a run that was killed says the truth. No file is ever overwritten: the run takes
 * a stamp nobody has.
 */

import { closeSync, openSync, write, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type FleetOutcome,
  type HostEvent,
  type HostResult,
  isFailure,
  type OutputStream,
} from '../../client/index.ts';
import { makeFolder } from '../folder.ts';
import { neutraliseLine } from '../terminal.ts';
import { diskError, onDisk } from './disk-error.ts';
import { classLabel, type Renderer, type RenderHost } from './renderer.ts';
import { StderrTails, summaryLines } from './summary.ts';

/** Room for the longest label, `command-timeout`, and for any signal's name. */
const STATUS_WIDTH = 24;
/** So much may wait for the disk before its host is held back. */
const HIGH = 256 * 1024;
const LONGEST_NAME = 150;

export interface FilesOptions {
  readonly dir: string;
  readonly hosts: readonly RenderHost[];
  readonly command: string;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

/** `YYYYMMDD_HHMMSS`, local time. */
export function stampOf(ms: number): string {
  const date = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}_${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

/** One file name a host, distinct even where the file system ignores case. */
export function fileNames(hosts: readonly RenderHost[]): string[] {
  const plain = hosts.map((host) => safeName(host.host ?? host.name));
  const uses = new Map<string, number>();
  for (const name of plain) uses.set(name.toLowerCase(), (uses.get(name.toLowerCase()) ?? 0) + 1);
  const taken = new Set<string>();
  return hosts.map((host, i) => {
    let name = plain[i]!;
    if (uses.get(name.toLowerCase())! > 1) {
      const user = host.user === undefined ? '' : `${host.user}@`;
      const port = host.port === undefined ? '' : `_${host.port}`;
      name = safeName(`${user}${host.host ?? host.name}${port}`);
    }
    let unique = name;
    for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${name}_${n}`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}

const safeName = (name: string): string =>
  name
    .replace(/[^\p{L}\p{N}._@%+=-]/gu, '_')
    .replace(/^[.-]/, '_')
    .slice(0, LONGEST_NAME) || '_';

export class FilesRenderer implements Renderer {
  private readonly options: FilesOptions;
  private readonly stamp: string;
  private readonly summaryFd: number;
  private readonly names: readonly string[];
  private readonly open = new Map<number, Partial<Record<OutputStream, OutFile>>>();
  private readonly tails = new StderrTails();

  constructor(options: FilesOptions) {
    this.options = options;
    this.names = fileNames(options.hosts);
    const { dir, now } = options;
    ({ stamp: this.stamp, fd: this.summaryFd } = onDisk(`no files can be made in ${dir}`, '', () => {
      makeFolder(dir);
      return claimStamp(dir, now());
    }));
  }

  event(event: HostEvent): void | Promise<void> {
    if (event.type === 'output') {
      this.tails.note(event);
      return this.fileOf(event.host, event.stream).write(event.data);
    }
    if (event.type === 'result') return this.finish(event.host, event.result);
  }

  end(outcome: FleetOutcome): void {
    const { hosts, command } = this.options;
    const failed = outcome.results.filter(isFailure).length;
    const ok = outcome.results.filter((result) => result.class === 'ok').length;
    const text = [
      `# Command: ${oneLine(command)}`,
      `# Timestamp: ${this.stamp}`,
      `# Hosts: ${hosts.length}, ok: ${ok}, failed: ${failed}, not finished: ${hosts.length - ok - failed}`,
      ...(outcome.stopped ? [`# Stopped: ${outcome.stopped}`] : []),
      '',
      ...summaryLines(hosts, outcome, this.tails, false),
      '',
    ].join('\n');
    onDisk(`the summary in ${this.options.dir} cannot be written`, '', () => writeFileSync(this.summaryFd, text));
    closeSync(this.summaryFd);
  }

  private fileOf(host: number, stream: OutputStream): OutFile {
    let files = this.open.get(host);
    if (!files) {
      files = {};
      this.open.set(host, files);
    }
    files[stream] ??= new OutFile(this.pathOf(host, stream), this.header(host, 'running'));
    return files[stream];
  }

  private async finish(host: number, result: HostResult): Promise<void> {
    const files = this.open.get(host);
    this.open.delete(host);
    const status = result.exitStatus === undefined ? classLabel(result) : String(result.exitStatus);
    const { before, field } = this.header(host, status);
    await Promise.all([files?.stdout?.finish(before.length, field), files?.stderr?.finish(before.length, field)]);
    const isError = result.class !== 'ok' && result.class !== 'exit';
    const header = this.headerText(host, status);
    if (isError) {
      const message = result.error ? `: ${neutraliseLine(result.error.message)}` : '';
      const gone = result.gone === false ? 'The remote process may still run.\n' : '';
      writeNew(this.pathOf(host, 'error'), `${header}${classLabel(result)}${message}\n${gone}`);
    } else if (!files) {
      writeNew(this.pathOf(host, 'empty'), header);
    }
  }

  private pathOf(host: number, kind: OutputStream | 'error' | 'empty'): string {
    return join(this.options.dir, `${this.names[host]}_${this.stamp}.${kind}`);
  }

  private header(host: number, status: string): Header {
    const { hosts, command } = this.options;
    const { name, host: address, user } = hosts[host]!;
    const lines = `# Command: ${oneLine(command)}\n# Host: ${oneLine(address ?? name)}\n# User: ${oneLine(user ?? '')}\n`;
    return {
      before: Buffer.from(`${lines}# Exit Status: `),
      field: Buffer.from(status.slice(0, STATUS_WIDTH).padEnd(STATUS_WIDTH)),
      rest: Buffer.from(`\n# Timestamp: ${this.stamp}\n\n`),
    };
  }

  /** Where the status is known from the start, no room is left for another. */
  private headerText(host: number, status: string): string {
    const { before, rest } = this.header(host, status);
    return `${before}${status}${rest}`;
  }
}

interface Header {
  readonly before: Buffer;
  readonly field: Buffer;
  readonly rest: Buffer;
}

const oneLine = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');

const writeNew = (path: string, text: string): void =>
  onDisk(`${path} cannot be written`, '', () => writeFileSync(path, text, { flag: 'wx' }));

/** The summary's file is created first: whoever has it has the stamp. */
function claimStamp(dir: string, now: number): { stamp: string; fd: number } {
  for (let ms = now; ; ms += 1000) {
    const stamp = stampOf(ms);
    try {
      return { stamp, fd: openSync(join(dir, `summary_${stamp}.txt`), 'wx') };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

const writeAt = promisify(write);

/** One file that grows while its host works. */
class OutFile {
  private readonly path: string;
  private readonly fd: number;
  private end: number;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private writing: Promise<void> | undefined;
  private failure: unknown;

  constructor(path: string, { before, field, rest }: Header) {
    this.path = path;
    const header = Buffer.concat([before, field, rest]);
    this.fd = onDisk(`${path} cannot be written`, '', () => {
      const fd = openSync(path, 'wx');
      writeSync(fd, header, 0, header.length, 0);
      return fd;
    });
    this.end = header.length;
  }

  write(data: Uint8Array): void | Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.waiting.push(data);
    this.waitingBytes += data.length;
    this.writing ??= this.flush();
    if (this.waitingBytes > HIGH) return this.writing.then(() => this.check());
  }

  async finish(statusAt: number, status: Uint8Array): Promise<void> {
    try {
      await this.writing;
      this.check();
      await writeAt(this.fd, status, 0, status.length, statusAt);
    } finally {
      closeSync(this.fd);
    }
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Never rejects: the failure is met by the next writer. */
  private async flush(): Promise<void> {
    try {
      while (this.waiting.length > 0) {
        // What else comes in this tick goes with it.
        await new Promise<void>((resolve) => setImmediate(resolve));
        const bytes = Buffer.concat(this.waiting);
        this.waiting = [];
        this.waitingBytes = 0;
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await writeAt(this.fd, bytes, done, bytes.length - done, this.end + done);
          done += bytesWritten;
        }
        this.end += bytes.length;
      }
    } catch (error) {
      this.failure = diskError(`${this.path} cannot be written`, '', error);
    } finally {
      this.writing = undefined;
    }
  }
}
