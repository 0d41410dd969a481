/**
 * One `scp` of the server, as rcp's protocol runs it over a session channel. For servers without SFTP: what it cannot do
 * (positions, names of its own, questions) has no way around it here.
 */

import { type ScpAnswer, SshError } from '../../protocol/index.ts';
import { abortError } from '../../transport/index.ts';
import type { ExecHandle, ExecOptions } from '../exec.ts';

/** What SCP needs of a connection. */
export interface CommandOpener {
  exec(command: string | Uint8Array, options?: ExecOptions): Promise<ExecHandle>;
}

/** Bytes of what the server's programs say that are kept for an error. */
const STDERR_KEPT = 1024;
/** How long an exit status may come behind the end of the output (milliseconds). */
const LAST_WORDS = 500;

export class ScpSession {
  readonly #handle: ExecHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #stderr: () => string;
  #failure: SshError | undefined;
  #quietSince = 0;
  #waiting = 0;
  /** Settles when the server's scp says no more, with the error for whoever still waits; never rejects. */
  readonly ended: Promise<SshError>;

  private constructor(handle: ExecHandle, stderr: () => string, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.#stderr = stderr;
    this.#signal = signal;
    this.ended = new Promise<void>((resolve) => {
      handle.io.onEof = resolve;
      void handle.io.closed.then(resolve);
    }).then(() => this.#farewell());
  }

  static async start(
    connection: CommandOpener,
    command: string | Uint8Array,
    onBytes: (session: ScpSession, bytes: Uint8Array) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<ScpSession> {
    let session: ScpSession | undefined;
    let begin = (): void => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const hear = (bytes: Uint8Array): void | Promise<void> => {
      session!.#quietSince = performance.now();
      return onBytes(session!, bytes);
    };
    let stderr = '';
    const handle = await connection.exec(command, {
      ...(signal && { signal }),
      // The first words may come in one piece with the answer to the request.
      stdout: (bytes) => (session ? hear(bytes) : begun.then(() => hear(bytes))),
      stderr(bytes) {
        stderr = (stderr + Buffer.from(bytes).toString()).slice(0, STDERR_KEPT);
      },
    });
    session = new ScpSession(handle, () => stderr, signal);
    begin();
    return session;
  }

  /** Since when the server owes an answer or takes nothing; undefined while it does not. */
  get quietSince(): number | undefined {
    return this.#waiting > 0 ? this.#quietSince : undefined;
  }

  /** `bytes` must not change any more; settles when the channel takes more. */
  async send(bytes: Uint8Array): Promise<void> {
    const busy = this.#handle.io.write(bytes);
    if (busy) await this.wait(busy);
    else if (this.#failure) throw this.#failure;
  }

  /** The result of `work`, or the reason why the server's scp is over. */
  async wait<T>(work: Promise<T>): Promise<T> {
    if (this.#waiting++ === 0) this.#quietSince = performance.now();
    try {
      return await Promise.race([work, this.ended.then((error) => Promise.reject(error))]);
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      this.#waiting--;
    }
  }

  /** No more is sent; settles when the server's scp has ended. */
  async end(): Promise<void> {
    this.#handle.io.eof();
    await this.wait(this.#handle.exit.then(() => undefined)).catch(() => undefined);
  }

  /** `failure` is what whoever waits gets to know. */
  close(failure?: SshError): void {
    this.#failure ??= failure;
    this.#handle.io.discard();
    this.#handle.io.close();
  }

  async #farewell(): Promise<SshError> {
    if (this.#signal?.aborted) return abortError(this.#signal);
    const { io, exit } = this.#handle;
    if (io.failure !== undefined) return io.failure;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), LAST_WORDS);
    });
    const end = await Promise.race([exit, late]).catch(() => undefined);
    clearTimeout(timer);
    const text = this.#stderr().trim().split('\n')[0] ?? '';
    const status = end?.status === undefined ? '' : ` with status ${end.status}`;
    const how = end?.signal ? ` by signal ${end.signal}` : status;
    return new SshError('scp', `scp on the server ended${how}${text === '' ? '' : `: ${text}`}`, {
      by: 'peer',
      detail: { text, status: end?.status },
    });
  }
}

/** The error for an answer that is not "go on". */
export function refusal(answer: Extract<ScpAnswer, { ok: false }>, path: string): SshError {
  const { text, fatal } = answer;
  return new SshError(fatal ? 'lost' : 'scp', text || `${path}: refused`, { by: 'peer', detail: { path, text } });
}

/** `~user` in front, which the server's shell is to expand, and the rest. */
function splitHome(path: string): [home: string, rest: string] {
  const [home = ''] = /^~[A-Za-z0-9._-]+(?:\/|$)/.exec(path) ?? [];
  return [home, path.slice(home.length)];
}

/** A word of a command line that the server's shell leaves as it is; `~user` in front is for it to expand. */
export function shellWord(path: string): string {
  const [home, rest] = splitHome(path);
  const quoted = rest === '' ? '' : `'${rest.replaceAll("'", "'\\''")}'`;
  return home + quoted || "''";
}

/** As `shellWord`, for a pattern whose wildcards are meant. */
export function shellPattern(pattern: string): string {
  const [home, rest] = splitHome(pattern);
  const each = rest.replace(/\\?./gsu, (part) => {
    if (/^[\w./:,@%+=*?[\]!^-]$/.test(part)) return part;
    const char = part.length > 1 && part.startsWith('\\') ? part.slice(1) : part;
    return char === '\n' ? "'\n'" : `\\${char}`;
  });
  return home + each;
}

/** `~` is where a command starts, and no path begins with a dash. */
export function remotePath(path: string): string {
  if (path === '~' || path === '~/') return '.';
  const inHome = path.startsWith('~/') ? path.slice(2).replace(/^\/+/, '') || '.' : path;
  return inHome.startsWith('-') ? `./${inHome}` : inHome;
}
