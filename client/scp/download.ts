/**
 * Files and directories from `scp -f` of the server. Its names are single components or refused, what it sends beyond
 * what was asked for is refused too, and every local file appears when it is complete. Links are followed on the server:
 * SCP knows none.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { encodeName, type ScpEntry, ScpSink, type ScpSinkEvent, SshError } from '../../protocol/index.ts';
import { BLOCK_BYTES, giveBlock, takeBlock } from '../sftp/blocks.ts';
import { finishLocal, type LocalDirectory, makeLocal } from '../sftp/local-directory.ts';
import { fileError, writeAll } from '../sftp/local-file.ts';
import { finishTarget, giveUp, openTarget, type SourceStat, type Target } from '../sftp/local-target.ts';
import { safeName } from '../sftp/safe-names.ts';
import { checkTree, Tally, type TreeOptions, type TreeResult } from '../sftp/tree.ts';
import { type CommandOpener, ScpSession } from './session.ts';

/** Something that came, in full or as far as it would. */
export interface ScpArrival {
  readonly to: string;
  readonly bytes: number;
  /** Absent for a single file. */
  readonly tree?: TreeResult | undefined;
}

export interface ScpDownloadOptions
  extends Pick<TreeOptions, 'signal' | 'preserve' | 'rate' | 'onProgress' | 'onAction' | 'onFailure'> {
  /** Where something that was asked for goes; throws to refuse it. Its name is the server's, and nobody checked it. */
  place(entry: ScpEntry): Promise<string>;
  /** A link in the place of a file that was asked for is written through. */
  readonly followTarget: boolean;
  onArrival(arrival: ScpArrival): void;
  /** Called with the session, to see how long it is quiet. */
  onStart?(session: ScpSession): void;
}

/** `word` is a word of a command line, as `shellWord` and `shellPattern` make them. Failures are told, not thrown. */
export async function scpDownload(connection: CommandOpener, word: string, options: ScpDownloadOptions): Promise<void> {
  const sink = new ScpSink();
  const copy = new Download(sink, options);
  let broken: unknown;
  let busy: Promise<void> = Promise.resolve();
  const take = async (session: ScpSession, bytes: Uint8Array): Promise<void> => {
    if (broken !== undefined) return;
    try {
      sink.receive(bytes);
      for (let event = sink.poll(); event; event = sink.poll()) await copy.take(event);
      // Waited for: a server that reads no answers gets none to keep here.
      for (const answer of sink.takeOutput()) await session.send(answer).catch(() => {});
    } catch (error) {
      broken = error;
      session.close();
    }
  };
  const receive = (session: ScpSession, bytes: Uint8Array): Promise<void> => {
    busy = take(session, bytes);
    return busy;
  };
  const flags = `-r${options.preserve ? ' -p' : ''}`;
  const command = encodeName(`scp ${flags} -f -- ${word}`);
  const session = await ScpSession.start(connection, command, receive, options.signal);
  options.onStart?.(session);
  for (const bytes of sink.takeOutput()) await session.send(bytes);
  const ended: SshError = await session.wait(session.ended).catch((error) => error);
  // An abort does not wait for what is under way here.
  await busy;
  await copy.end();
  if (broken !== undefined) throw broken;
  // Its exit status is 1 after any failure; those are told already.
  if (!sink.isAtRest || copy.isSilent || ended.code !== 'scp') throw ended;
  session.close();
}

interface Incoming {
  readonly target: Target;
  readonly from: string;
  readonly stat: SourceStat;
  readonly size: number;
  at: number;
  block: Uint8Array | undefined;
  held: number;
  failed: unknown;
}

interface Directory extends LocalDirectory {
  readonly from: string;
}

class Download {
  readonly #sink: ScpSink;
  readonly #options: ScpDownloadOptions;
  #tally: Tally;
  readonly #path: Directory[] = [];
  #file: Incoming | undefined;
  #entries = 0;
  #heard = false;

  constructor(sink: ScpSink, options: ScpDownloadOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#tally = new Tally(options);
  }

  /** The server said nothing at all. */
  get isSilent(): boolean {
    return !this.#heard;
  }

  async take(event: ScpSinkEvent): Promise<void> {
    this.#heard = true;
    switch (event.type) {
      case 'entry':
        return this.#entry(event);
      case 'data':
        return this.#data(event.data);
      case 'complete':
        return this.#complete(event.problem);
      case 'leave':
        return this.#leave();
      case 'problem':
        // Names in what a server says are for people; which file it is about cannot be known.
        this.#failed(new SshError('scp', event.text, { by: 'peer', detail: { text: event.text } }), '');
        if (event.fatal) throw new SshError('lost', `scp on the server gave up: ${event.text}`, { by: 'peer' });
    }
  }

  /** Nothing more comes: what is half is no file. */
  async end(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    if (file.block) giveBlock(file.block);
    await giveUp(file.target, 0, {});
  }

  async #entry({ entry, times, depth }: Extract<ScpSinkEvent, { type: 'entry' }>): Promise<void> {
    const above = this.#path.at(-1);
    const from = above ? `${above.from}/${entry.name}` : entry.name;
    checkTree(++this.#entries, depth);
    try {
      const to = above ? `${above.to}/${safeName(entry.name)}` : await this.#options.place(entry);
      const { mode, size } = entry;
      if (entry.kind === 'directory') {
        const directory = { from, to, mode, times };
        await makeLocal(directory, above === undefined);
        this.#path.push(directory);
        this.#tally.directories++;
      } else {
        const stat = { size, mode, atime: times?.atime, mtime: times?.mtime };
        const followTarget = above === undefined && this.#options.followTarget;
        const target = openTarget(to, stat, { followTarget });
        this.#file = { target, from, stat, size, at: 0, block: undefined, held: 0, failed: undefined };
      }
    } catch (cause) {
      const error = this.#failed(cause, from);
      this.#sink.refuse(error.message);
      return;
    }
    this.#sink.accept();
  }

  async #data(data: Uint8Array): Promise<void> {
    const file = this.#file!;
    for (let at = 0; at < data.length; ) {
      file.block ??= takeBlock();
      const part = data.subarray(at, at + BLOCK_BYTES - file.held);
      file.block.set(part, file.held);
      file.held += part.length;
      at += part.length;
      if (file.held === BLOCK_BYTES) await this.#flush(file);
    }
    const { rate, onProgress, signal } = this.#options;
    onProgress?.({ path: file.from, done: file.at + file.held, total: file.size });
    rate?.took(data.length, performance.now());
    const wait = rate?.wait(performance.now()) ?? 0;
    if (wait > 0) await delay(wait, undefined, { signal }).catch(() => {});
  }

  async #flush(file: Incoming): Promise<void> {
    const { block, held, at, target } = file;
    file.held = 0;
    file.at += held;
    if (!block || file.failed !== undefined) return;
    await new Promise<void>((resolve) => {
      writeAll(target.file.fd, block.subarray(0, held), at, (error) => {
        if (error) file.failed = fileError(error, target.path);
        resolve();
      });
    });
  }

  async #complete(problem: string | undefined): Promise<void> {
    const file = this.#file!;
    const { target, stat, size, from } = file;
    if (file.held > 0) await this.#flush(file);
    this.#file = undefined;
    if (file.block) giveBlock(file.block);
    try {
      if (problem !== undefined) throw new SshError('scp', problem, { by: 'peer', detail: { text: problem } });
      if (file.failed !== undefined) throw file.failed;
      await finishTarget(target, stat, size, { preserve: this.#options.preserve });
    } catch (cause) {
      await giveUp(target, 0, {});
      const error = this.#failed(cause, from);
      this.#sink.refuse(error.message);
      return;
    }
    this.#sink.accept();
    if (this.#path.length > 0) this.#tally.copied({ from, to: target.path, size });
    else this.#options.onArrival({ to: target.path, bytes: size });
  }

  async #leave(): Promise<void> {
    const directory = this.#path.pop()!;
    await this.#tally.attempt(directory.to, () => finishLocal(directory, this.#options.preserve === true));
    if (this.#path.length > 0) return;
    const tree = this.#tally.result();
    this.#tally = new Tally(this.#options);
    this.#options.onArrival({ to: directory.to, bytes: tree.bytes, tree });
  }

  #failed(cause: unknown, from: string): SshError {
    const error = fileError(cause, from);
    this.#tally.fail(from, error);
    if (this.#tally.fatal) throw this.#tally.fatal;
    return error;
  }
}
