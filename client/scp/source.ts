/**
 * Files to `scp -t` of the server, one after the other: SCP asks for an answer to each line, and knows no other order.
 * Whether a name becomes visible at once is up to whoever chose it (`upload.ts`).
 */

import { setTimeout as delay } from 'node:timers/promises';
import {
  encodeName,
  encodeRecord,
  GO_ON,
  LineInput,
  type ScpAnswer,
  type ScpRecord,
  type ScpTimes,
  SshError,
} from '../../protocol/index.ts';
import type { RateLimit } from '../sftp/rate.ts';
import type { SharedFile } from '../sftp/shared-file.ts';
import { type CommandOpener, refusal, remotePath, ScpSession, shellWord } from './session.ts';

export interface SourceOptions {
  readonly signal?: AbortSignal | undefined;
  /** The target has to be a directory. */
  readonly intoDirectory: boolean;
  readonly preserve: boolean;
  readonly rate?: RateLimit | undefined;
}

export class ScpSource {
  readonly #session: ScpSession;
  readonly #options: SourceOptions;
  readonly #answers: Answers;

  private constructor(session: ScpSession, answers: Answers, options: SourceOptions) {
    this.#session = session;
    this.#answers = answers;
    this.#options = options;
  }

  static async start(connection: CommandOpener, target: string, options: SourceOptions): Promise<ScpSource> {
    const flags = `-r${options.preserve ? ' -p' : ''}${options.intoDirectory ? ' -d' : ''}`;
    const command = encodeName(`scp ${flags} -t -- ${shellWord(remotePath(target))}`);
    const answers = new Answers();
    const receive = (session: ScpSession, bytes: Uint8Array): void => {
      try {
        answers.receive(bytes);
      } catch (error) {
        session.close(error as SshError);
      }
    };
    const session = await ScpSession.start(connection, command, receive, options.signal);
    const source = new ScpSource(session, answers, options);
    try {
      await source.#answered(target);
    } catch (error) {
      session.close();
      throw error;
    }
    return source;
  }

  get quietSince(): number | undefined {
    return this.#session.quietSince;
  }

  /** All of `file` under `name`; the server has it when this settles well. `path` is what errors are about. */
  async file(file: SharedFile, name: string, path: string, onSent: (bytes: number) => void): Promise<void> {
    await this.#times(file, path);
    await this.#record({ kind: 'file', mode: file.mode & 0o777, size: file.size, name }, path);
    let problem: unknown;
    for (let index = 0; index < file.blocks; index++) {
      let bytes: Uint8Array | undefined;
      try {
        const block = problem === undefined ? await file.block(index) : undefined;
        // A copy: the channel keeps what it takes until there is room for it, and says nothing when it is gone.
        bytes = block && Buffer.from(block.bytes);
        block?.release();
      } catch (error) {
        problem = error;
      }
      // Promised is promised: what cannot be read any more is filled up, and said to be wrong at the end.
      bytes ??= new Uint8Array(file.blockLength(index));
      await this.#send(bytes, onSent);
    }
    await this.#session.send(problem === undefined ? GO_ON : Buffer.from('\u0001could not be read to its end\n'));
    const answered = this.#answered(path);
    if (problem === undefined) return answered;
    await answered.catch(() => {});
    throw problem;
  }

  /** Everything up to `leave` goes inside. */
  async enter(name: string, mode: number, times: ScpTimes, path: string): Promise<void> {
    await this.#times(times, path);
    await this.#record({ kind: 'directory', mode: mode & 0o777, size: 0, name }, path);
  }

  async leave(path: string): Promise<void> {
    await this.#record({ kind: 'end' }, path);
  }

  end(): Promise<void> {
    return this.#session.end();
  }

  close(): void {
    this.#session.close();
  }

  async #times({ mtime, atime }: ScpTimes, path: string): Promise<void> {
    if (!this.#options.preserve) return;
    const seconds = (time: number): number => Math.max(0, Math.floor(time));
    await this.#record({ kind: 'times', mtime: seconds(mtime), atime: seconds(atime) }, path);
  }

  async #record(record: ScpRecord, path: string): Promise<void> {
    await this.#session.send(encodeRecord(record));
    await this.#answered(path);
  }

  async #send(bytes: Uint8Array, onSent: (bytes: number) => void): Promise<void> {
    const { rate, signal } = this.#options;
    const most = rate?.request ?? bytes.length;
    for (let at = 0; at < bytes.length; at += most) {
      const part = bytes.subarray(at, at + most);
      const wait = rate?.wait(performance.now()) ?? 0;
      if (wait > 0) await delay(wait, undefined, { signal }).catch(() => {});
      rate?.took(part.length, performance.now());
      await this.#session.send(part);
      onSent(part.length);
    }
  }

  async #answered(path: string): Promise<void> {
    const answer = await this.#session.wait(this.#answers.next());
    if (!answer.ok) throw refusal(answer, path);
  }
}

/** The answers of the other side, in order. */
class Answers {
  readonly #input = new LineInput();
  #come: ScpAnswer | undefined;
  #waiting: ((answer: ScpAnswer) => void) | undefined;

  receive(bytes: Uint8Array): void {
    this.#input.receive(bytes);
    for (let answer = this.#input.answer(); answer; answer = this.#input.answer()) {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting) waiting(answer);
      // One may come early: an error while the content is on its way.
      else if (this.#come) throw new SshError('protocol', 'scp answers what it was not asked', { by: 'peer' });
      else this.#come = answer;
    }
  }

  next(): Promise<ScpAnswer> {
    const come = this.#come;
    this.#come = undefined;
    if (come) return Promise.resolve(come);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}
