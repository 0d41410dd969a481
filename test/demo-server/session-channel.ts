/** One session channel (RFC 4254 section 6): its environment and terminal, the one program in it, and how that ends. */

import {
  decodeUtf8,
  Env,
  Exec,
  ExitSignal,
  ExitStatus,
  PtyReq,
  Signal,
  SshError,
  STDERR,
  Subsystem as SubsystemRequest,
  WindowChange,
} from '../../protocol/index.ts';
import type { ChannelIo, ChannelRequestEvent } from '../../transport/index.ts';
import { InputQueue, LineDiscipline } from './input.ts';
import type {
  Command,
  CommandContext,
  CommandResult,
  DemoServerOptions,
  FaultPoint,
  Faults,
  HostFacts,
  Output,
  Pty,
  Subsystem,
} from './options.ts';
import { runProcess } from './processes.ts';
import { runLine, runShell } from './shell.ts';

/** What a channel needs of its connection and server. */
export interface ChannelHome {
  readonly options: DemoServerOptions;
  readonly faults: Faults;
  readonly user: string;
  readonly host: HostFacts;
  readonly commands: ReadonlyMap<string, Command>;
  readonly subsystems: ReadonlyMap<string, Subsystem>;
  /** A fault that strikes here: true when nothing should follow. */
  strike(point: FaultPoint): boolean;
  open(channelType: string, body?: Uint8Array): Promise<ChannelIo>;
  agentSocket(): Promise<string>;
}

type Program = (context: Omit<CommandContext, 'args'>) => Promise<CommandResult>;

export class SessionChannel {
  readonly io: ChannelIo;
  readonly env = new Map<string, string>();
  pty: Pty | undefined;
  /** What was asked to run: the command line, `shell`, or `subsystem NAME`. */
  program: string | undefined;
  /** Signals the client has sent. */
  readonly signals: string[] = [];
  /** Settles when the program is over. */
  done: Promise<void> = Promise.resolve();
  readonly #home: ChannelHome;
  readonly #input = new InputQueue();
  readonly #stop = new AbortController();
  #interrupt = new AbortController();
  #inShell = false;
  #discipline: LineDiscipline | undefined;
  #onSignal: ((name: string) => void) | undefined;
  #killed: (result: CommandResult) => void = () => {};
  readonly #early: [Uint8Array, number][] = [];

  constructor(io: ChannelIo, home: ChannelHome) {
    this.io = io;
    this.#home = home;
    this.env.set('USER', home.user);
    io.onRequest = (event) => this.#request(event);
    io.onClosed = () => {
      this.#stop.abort();
      this.#input.end();
    };
  }

  #request({ request, body }: ChannelRequestEvent): boolean {
    switch (request) {
      case 'env': {
        const { name, value } = Env.decode(body);
        this.env.set(name, value);
        return true;
      }
      case 'pty-req':
        return this.#openPty(PtyReq.decode(body));
      case 'window-change': {
        const { columns, rows } = WindowChange.decode(body);
        if (this.pty !== undefined) Object.assign(this.pty, { columns, rows });
        this.#onSignal?.('WINCH');
        return this.pty !== undefined;
      }
      case 'signal':
        return this.#signal(Signal.decode(body).name);
      case 'auth-agent-req@openssh.com':
        return this.#forwardAgent();
      case 'exec':
        return this.#exec(decodeUtf8(Exec.decode(body).command));
      case 'shell':
        return this.#shell();
      case 'subsystem':
        return this.#subsystem(SubsystemRequest.decode(body).name);
      default:
        return false;
    }
  }

  #openPty({
    term,
    columns,
    rows,
    modes,
  }: {
    term: string;
    columns: number;
    rows: number;
    modes: Uint8Array;
  }): boolean {
    if (this.pty !== undefined || this.program !== undefined) return false;
    this.pty = { term, columns, rows, modes: modes.slice() };
    this.env.set('TERM', term);
    this.#discipline = new LineDiscipline(this.#input, {
      echo: (text) => void this.#output(0)(text).catch(() => {}),
      signal: (name) => void this.#terminalSignal(name),
    });
    return true;
  }

  #forwardAgent(): boolean {
    if (!this.#home.options.agentForwarding) return false;
    this.env.set('SSH_AUTH_SOCK', '');
    return true;
  }

  #signal(name: string): boolean {
    this.signals.push(name);
    if (this.program === undefined) return false;
    if (this.#onSignal !== undefined && name !== 'KILL') this.#onSignal(name);
    else {
      this.#killed({ signal: name });
      this.#stop.abort();
    }
    return true;
  }

  /** ^C at the terminal: a shell outlives it, a single command does not. */
  #terminalSignal(name: string): void {
    if (!this.#inShell) {
      this.#signal(name);
      return;
    }
    this.#interrupt.abort();
    this.#input.interrupt();
  }

  #exec(line: string): boolean {
    const { realProcesses } = this.#home.options;
    const table = this.#home.commands;
    return this.#start(line, async (context) =>
      realProcesses ? runProcess(line, context) : (await runLine(line, table, context)).result,
    );
  }

  #shell(): boolean {
    const { realProcesses } = this.#home.options;
    if (realProcesses) return this.#start('shell', (context) => runProcess(undefined, context));
    this.#inShell = true;
    return this.#start('shell', (context) =>
      runShell(this.#home.commands, context, async (step) => {
        this.#interrupt = new AbortController();
        const { signal } = this.#interrupt;
        const interrupted = new Promise<'interrupted'>((resolve) =>
          signal.addEventListener('abort', () => resolve('interrupted')),
        );
        return Promise.race([step(AbortSignal.any([signal, this.#stop.signal])), interrupted]);
      }),
    );
  }

  #subsystem(name: string): boolean {
    const subsystem = this.#home.subsystems.get(name);
    if (subsystem === undefined) return false;
    const { user } = this.#home;
    return this.#start(`subsystem ${name}`, () => subsystem({ io: this.io, user, env: this.env }), true);
  }

  /** `raw`: the program reads the channel itself. */
  #start(name: string, program: Program, raw = false): boolean {
    const { faults } = this.#home;
    if (this.program !== undefined || this.#home.strike('exec') || faults.refuseRequests) return false;
    this.program = name;
    if (!raw && !faults.stallReads) {
      const reader = this.#discipline ?? this.#input;
      this.io.sink(false, (chunk) => reader.push(chunk));
      this.io.onEof = () => this.#input.end();
    }
    this.done = this.#run(faults.flood ? flood : program).catch(() => {});
    return true;
  }

  async #run(program: Program): Promise<void> {
    if (this.env.has('SSH_AUTH_SOCK')) this.env.set('SSH_AUTH_SOCK', await this.#home.agentSocket());
    const killed = new Promise<CommandResult>((resolve) => {
      this.#killed = resolve;
    });
    const { user, host } = this.#home;
    const context: Omit<CommandContext, 'args'> = {
      stdin: this.#input,
      stdout: this.#output(0),
      stderr: this.#output(this.pty === undefined ? STDERR : 0),
      env: this.env,
      pty: this.pty,
      user,
      host,
      signal: this.#stop.signal,
      onSignal: (handler) => {
        this.#onSignal = handler;
      },
      open: (channelType, body) => this.#home.open(channelType, body),
    };
    let result: CommandResult;
    try {
      result = await Promise.race([program(context), killed]);
    } catch (error) {
      // A channel that ended under the program is no news.
      if (error instanceof SshError || this.#stop.signal.aborted) result = undefined;
      else {
        result = 255;
        await context.stderr(`${error instanceof Error ? error.message : String(error)}\n`).catch(() => {});
      }
    }
    await this.#finish(result);
  }

  async #finish(result: CommandResult): Promise<void> {
    const { noExitStatus, noEof } = this.#home.faults;
    this.#stop.abort();
    this.io.discard();
    if (!noExitStatus && typeof result === 'number')
      this.io.notify('exit-status', ExitStatus.encode({ status: result }));
    else if (!noExitStatus && result !== undefined) {
      const { signal: name, coreDumped = false, message = '' } = result as Exclude<CommandResult, number | undefined>;
      this.io.notify('exit-signal', ExitSignal.encode({ name, coreDumped, message, language: '' }));
    }
    for (const [bytes, type] of this.#early) if (!this.io.isClosed) this.io.write(bytes, type)?.catch(() => {});
    if (!noEof) this.io.eof();
    this.io.close();
  }

  #output(type: number): Output {
    return async (data) => {
      let bytes = typeof data === 'string' ? Buffer.from(data) : data;
      // The terminal's ONLCR.
      if (this.pty !== undefined)
        bytes = Buffer.from(Buffer.from(bytes).toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
      if (this.#home.faults.exitBeforeEof) this.#early.push([bytes, type]);
      else await this.io.write(bytes, type);
    };
  }
}

const flood: Program = async ({ stdout, signal }) => {
  const block = new Uint8Array(256 * 1024).fill(0x2e);
  while (!signal.aborted) await stdout(block);
  return 0;
};
