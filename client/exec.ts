/** Sessions: a command, a shell or a subsystem on the server, its streams and its end (RFC 4254 section 6). */

import {
  type ChannelOptions,
  Env,
  Exec,
  ExitSignal,
  ExitStatus,
  encodeTerminalModes,
  encodeUtf8,
  PtyReq,
  Signal,
  Subsystem,
  type TerminalMode,
  WindowChange,
} from '../protocol/index.ts';
import {
  abortable,
  abortError,
  type ChannelIo,
  ChannelStream,
  offAbort,
  onAbort,
  type Sink,
} from '../transport/index.ts';

export interface PtyOptions {
  readonly term: string;
  readonly columns: number;
  readonly rows: number;
  readonly widthPixels?: number;
  readonly heightPixels?: number;
  readonly modes?: Readonly<Partial<Record<TerminalMode, number>>>;
}

export interface ExecOptions {
  readonly pty?: PtyOptions | undefined;
  /** In order; servers ignore what they do not allow. */
  readonly env?: readonly (readonly [name: string, value: string])[];
  /** Further requests before the command starts (agent forwarding, X11), each best effort. */
  readonly before?: (io: ChannelIo) => void;
  readonly stdout?: Sink;
  readonly stderr?: Sink;
  readonly channel?: ChannelOptions;
  /** Nothing is written to its stdin: EOF leaves together with the request. */
  readonly noInput?: boolean;
  /** Closes the channel; whatever is waited for ends with SshError 'aborted' at once. */
  readonly signal?: AbortSignal;
}

/** How a command ended. Neither field: the channel closed without saying (RFC 4254 section 6.10 makes both optional). */
export interface Exit {
  readonly status?: number;
  readonly signal?: string;
  readonly coreDumped?: boolean;
  readonly message?: string;
}

/** What `exec` needs of a connection. */
export interface SessionOpener {
  openSession(options?: ChannelOptions): Promise<ChannelIo>;
}

export class ExecHandle {
  readonly io: ChannelIo;
  /** Settles when the channel is over and its output was taken; rejects with the connection's error when that died first. */
  readonly exit: Promise<Exit>;
  /** Whether the server gave us the pty we asked for; true when none was asked for. */
  readonly ptyGranted: Promise<boolean>;
  #exit: Exit | undefined;
  #stream: ChannelStream | undefined;

  constructor(io: ChannelIo, ptyGranted: Promise<boolean>, signal?: AbortSignal) {
    this.io = io;
    this.ptyGranted = ptyGranted;
    io.onRequest = ({ request, body }) => {
      if (request === 'exit-status') {
        this.#exit = { status: ExitStatus.decode(body).status };
        return true;
      }
      if (request === 'exit-signal') {
        const { name, coreDumped, message } = ExitSignal.decode(body);
        this.#exit = { signal: name, coreDumped, message };
        return true;
      }
      return false;
    };
    const end = io.closed.then((): Exit => {
      if (this.#exit !== undefined) return this.#exit;
      if (io.failure !== undefined) throw io.failure;
      return {};
    });
    this.exit = abortable(end, signal);
    this.exit.catch(() => {});
  }

  /** The streams as a Node Duplex (stdout and stdin) with `stderr`. Instead of sinks, not beside them. */
  get stream(): ChannelStream {
    this.#stream ??= new ChannelStream(this.io);
    return this.#stream;
  }

  /** Sends to the command's stdin; a promise means "wait". `taken`: the memory of `data` is the caller's again. */
  write(data: Uint8Array, taken?: () => void): Promise<void> | undefined {
    return this.io.write(data, 0, taken);
  }

  /** Ends the command's stdin. */
  end(): void {
    this.io.eof();
  }

  /** RFC 4254 section 6.9; `name` without SIG. */
  kill(name: string): void {
    this.io.notify('signal', Signal.encode({ name }));
  }

  resize(size: {
    readonly columns: number;
    readonly rows: number;
    readonly widthPixels?: number;
    readonly heightPixels?: number;
  }): void {
    this.io.notify('window-change', WindowChange.encode({ widthPixels: 0, heightPixels: 0, ...size }));
  }

  close(): void {
    this.io.close();
  }
}

/** Runs a command, or the shell when there is none. */
export async function exec(
  connection: SessionOpener,
  what: { command?: string | Uint8Array },
  options: ExecOptions = {},
): Promise<ExecHandle> {
  const { command } = what;
  return start(connection, options, (io) =>
    command === undefined
      ? io.request('shell', new Uint8Array(0))
      : io.request('exec', Exec.encode({ command: typeof command === 'string' ? encodeUtf8(command) : command })),
  );
}

export async function subsystem(
  connection: SessionOpener,
  name: string,
  options: ExecOptions = {},
): Promise<ExecHandle> {
  return start(connection, options, (io) => {
    if (!options.stdout && !options.stderr) io.sink(true, drop);
    return io.request('subsystem', Subsystem.encode({ name }));
  });
}

const drop: Sink = () => undefined;

async function start(
  connection: SessionOpener,
  options: ExecOptions,
  run: (io: ChannelIo) => Promise<void>,
): Promise<ExecHandle> {
  const { signal, pty, env = [] } = options;
  if (signal?.aborted) throw abortError(signal);
  const io = await abortable(connection.openSession(options.channel), signal, (late) => late.close());
  const { stdout, stderr } = options;
  // Who takes one of the two does not come for the other: unread, it would stop the window and the end.
  if (stdout || stderr) {
    io.sink(false, stdout ?? drop);
    io.sink(true, stderr ?? drop);
  }
  const give = (): void => {
    io.discard();
    io.close();
  };
  onAbort(signal, give);
  void io.closed.then(() => offAbort(signal, give));
  // Everything leaves in one flight; the answers come in order.
  const ptyGranted =
    pty === undefined
      ? Promise.resolve(true)
      : io.request('pty-req', encodePty(pty)).then(
          () => true,
          () => false,
        );
  options.before?.(io);
  for (const [name, value] of env) io.notify('env', Env.encode({ name, value }));
  const handle = new ExecHandle(io, ptyGranted, signal);
  try {
    const started = run(io);
    if (options.noInput) io.eof();
    await abortable(started, signal);
  } catch (error) {
    io.discard();
    io.close();
    throw error;
  }
  return handle;
}

function encodePty(pty: PtyOptions): Uint8Array {
  return PtyReq.encode({
    term: pty.term,
    columns: pty.columns,
    rows: pty.rows,
    widthPixels: pty.widthPixels ?? 0,
    heightPixels: pty.heightPixels ?? 0,
    modes: encodeTerminalModes(pty.modes ?? {}),
  });
}
