/**
 * What SCP cannot ask or do, asked of a POSIX shell on the server: whether a path is a directory, and the rename that
 * makes a file visible when it is complete. Many servers without SFTP have such a shell, network devices have none.
 */

import { encodeName, SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import { type CommandOpener, remotePath, ScpSession, shellWord } from './session.ts';

/** A device that takes any command and says nothing is not waited for longer (milliseconds). */
const PROBE_MS = 5000;
const OUTPUT_MAX = 64 * 1024;
/** Begins the line that ends what one command printed. */
const MARK = 'bssh-did-this';

/**
 * `place PART TARGET [KEEP]`: PART becomes TARGET, with the permissions of the file that was there unless KEEP is said.
 * A link is written through. `words` turns one third of what ls(1) shows of them into what chmod(1) takes.
 */
const FUNCTIONS = `
words() { printf %.3s "$1" | tr -dc rwx; }
place() {
  if [ -d "$2" ]; then echo "Is a directory"; return 1; fi
  if [ -e "$2" ] && [ -z "$3" ]; then
    u=$(ls -ldL "$2") && u=\${u#?} && g=\${u#???} && o=\${g#???} || return 1
    chmod "u=$(words "$u"),g=$(words "$g"),o=$(words "$o")" "$1" || return 1
  fi
  if [ -L "$2" ]; then cat <"$1" >"$2" && rm -f "$1"; else mv -f "$1" "$2"; fi
}
`;

export class RemoteShell {
  readonly #session: ScpSession;
  readonly #release: () => void;
  #output = '';
  #done: ((output: string) => void) | undefined;

  private constructor(session: ScpSession, release: () => void) {
    this.#session = session;
    this.#release = release;
  }

  /** Nothing when the server has no such shell, or gives us no second channel. */
  static async start(connection: CommandOpener, signal?: AbortSignal): Promise<RemoteShell | undefined> {
    let shell: RemoteShell | undefined;
    const receive = (bytes: Uint8Array): void => {
      if (shell) shell.#receive(bytes);
    };
    const probing = new AbortController();
    const timer = setTimeout(() => probing.abort(), PROBE_MS);
    const abort = (): void => probing.abort(signal!.reason);
    if (signal?.aborted) abort();
    else onAbort(signal, abort);
    const release = (): void => offAbort(signal, abort);
    try {
      const session = await ScpSession.start(connection, 'sh', (_, bytes) => receive(bytes), probing.signal);
      shell = new RemoteShell(session, release);
      const { status } = await shell.#run(FUNCTIONS);
      if (status === 0) return shell;
    } catch (error) {
      const isOver = error instanceof SshError && ['lost', 'disconnected', 'protocol'].includes(error.code);
      release();
      if (signal?.aborted || isOver) throw error;
    } finally {
      clearTimeout(timer);
    }
    // What is no shell may not end by itself.
    probing.abort();
    release();
    return undefined;
  }

  get quietSince(): number | undefined {
    return this.#session.quietSince;
  }

  async kind(path: string): Promise<'directory' | 'other' | 'none'> {
    const word = quoted(path);
    const { status } = await this.#run(`if [ -d ${word} ]; then (exit 10); elif [ -e ${word} ]; then (exit 11); fi`);
    return status === 10 ? 'directory' : status === 11 ? 'other' : 'none';
  }

  /** `part` becomes `target`; `keepMode`: with the permissions that it has. */
  async place(part: string, target: string, keepMode: boolean): Promise<void> {
    const { status, output } = await this.#run(`place ${quoted(part)} ${quoted(target)} ${keepMode ? 'keep' : ''}`);
    if (status === 0) return;
    const text = output.trim().split('\n').at(-1)!.split(': ').at(-1) || `status ${status}`;
    throw new SshError('scp', `${target}: ${text}`, { by: 'peer', detail: { path: target, text } });
  }

  async remove(path: string): Promise<void> {
    await this.#run(`rm -f ${quoted(path)}`);
  }

  /** Lets the shell go by itself: Dropbear 2022 shuts the next channel when this one is closed under its program. */
  async end(): Promise<void> {
    await this.#session.end();
    this.#session.close();
    this.#release();
  }

  async #run(script: string): Promise<{ readonly status: number; readonly output: string }> {
    const answer = new Promise<string>((resolve) => {
      this.#done = resolve;
    });
    this.#output = '';
    // What a command reads is not the script.
    const wrapped = `{ ${script}\n} </dev/null 2>&1; printf '\\n%s:%d:\\n' ${MARK} $?\n`;
    await this.#session.send(encodeName(wrapped));
    const text = await this.#session.wait(answer);
    const at = text.lastIndexOf(`\n${MARK}:`);
    return { status: Number(text.slice(at + MARK.length + 2).split(':')[0]), output: text.slice(0, at) };
  }

  #receive(bytes: Uint8Array): void {
    this.#output = (this.#output + Buffer.from(bytes).toString()).slice(-OUTPUT_MAX);
    if (!new RegExp(`\n${MARK}:\\d+:\n$`).test(this.#output)) return;
    this.#done?.(this.#output);
    this.#done = undefined;
  }
}

const quoted = (path: string): string => shellWord(remotePath(path));
