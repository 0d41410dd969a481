/**
 * What a demo server is told: who may log in and how, which commands it knows, and what it is to get wrong.
 *
 * Faults are for tests of the other side; several may be set at once.
 */

import type {
  AlgorithmPreferences,
  CryptoProvider,
  HostKeySigner,
  PublicKey,
  RekeyLimits,
} from '../../protocol/index.ts';
import type { ChannelIo } from '../../transport/index.ts';

/** One round of keyboard-interactive: what is asked, and the answers that are right. */
export interface KeyboardRound {
  readonly title?: string;
  readonly instruction?: string;
  readonly prompts: readonly { readonly text: string; readonly answer: string; readonly echo?: boolean }[];
}

export interface DemoUser {
  readonly name: string;
  readonly password?: string;
  /** The password is right, but a new one is wanted (RFC 4252 section 8); what is then given becomes the password. */
  readonly passwordExpired?: boolean;
  readonly keys?: readonly PublicKey[];
  /** Keys whose certificates for this user's name are welcome. */
  readonly authorities?: readonly PublicKey[];
  readonly keyboardInteractive?: readonly KeyboardRound[];
  /** Let in by `none`. */
  readonly open?: boolean;
}

/** How a command ended; `undefined` closes the channel without a word about it. */
export type CommandResult =
  | number
  | { readonly signal: string; readonly coreDumped?: boolean; readonly message?: string }
  | undefined;

export interface Pty {
  term: string;
  columns: number;
  rows: number;
  readonly modes: Uint8Array;
}

/** Writes settle once their bytes went into packets, so that awaiting them is the back-pressure. */
export type Output = (data: string | Uint8Array) => Promise<void>;

/** What a command may read: whole chunks, or line by line. `undefined` is the end. */
export interface CommandInput {
  read(): Promise<Uint8Array | undefined>;
  readLine(): Promise<string | undefined>;
}

export interface CommandContext {
  readonly args: readonly string[];
  readonly stdin: CommandInput;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Map<string, string>;
  /** Live: columns and rows follow the client's window. */
  readonly pty: Pty | undefined;
  readonly user: string;
  readonly host: HostFacts;
  /** Fires when the client's signal or the end of the channel ends the command. */
  readonly signal: AbortSignal;
  /** Takes the client's signals instead of dying of them (KILL excepted). */
  onSignal(handler: (name: string) => void): void;
  /** Opens a channel to the client: its agent, its X server, whatever it allows. */
  open(channelType: string, body?: Uint8Array): Promise<ChannelIo>;
}

export type Command = (context: CommandContext) => CommandResult | Promise<CommandResult>;

/** What the built-in commands say about the machine. */
export interface HostFacts {
  readonly hostname: string;
  /** Seconds the machine claims to be up. */
  readonly uptime: number;
  readonly load: readonly [number, number, number];
}

/** Places in a connection's life where a fault can strike. */
export type FaultPoint = 'banner' | 'kexinit' | 'newkeys' | 'auth' | 'open' | 'exec';

export interface Faults {
  /** The connection is closed at this point, or once this many bytes have left. */
  readonly closeAt?: FaultPoint | { readonly afterBytes: number };
  /** From this point on nothing is sent and nothing handled, while the socket stays open. */
  readonly stallAt?: FaultPoint;
  /** A DISCONNECT with this reason and text at this point. */
  readonly disconnectAt?: { readonly point: FaultPoint; readonly reason: number; readonly text: string };
  /** Accepts the socket and never says a word. */
  readonly neverSpeak?: boolean;
  /** Every write reaches the client this much later. */
  readonly delayMs?: number;
  /** Bytes arrive in pieces of this size. */
  readonly splitBytes?: number;
  /** A slow trickle: so many bytes, so often. */
  readonly trickle?: { readonly bytes: number; readonly everyMs: number };
  /** The lowest bit of this byte of what we send is wrong. */
  readonly flipBitAt?: number;
  /** Bytes from this one on are lost on the way; the socket stays open. */
  readonly dropAfter?: number;
  /** A log-in banner of this many bytes. */
  readonly hugeBanner?: number;
  /** This many lines before the identification (RFC 4253 section 4.2). */
  readonly preamble?: number;
  /** Channels are refused, with this reason number (`true` stands for 2). */
  readonly refuseChannels?: boolean | number;
  /** exec, shell and subsystem requests are refused. */
  readonly refuseRequests?: boolean;
  /** Commands end without an exit status. */
  readonly noExitStatus?: boolean;
  /** The exit status overtakes the output. */
  readonly exitBeforeEof?: boolean;
  /** Ends the channel without EOF before CLOSE. */
  readonly noEof?: boolean;
  /** Channel data is never read, so that the window runs dry. */
  readonly stallReads?: boolean;
  /** Every command prints without end. */
  readonly flood?: boolean;
}

export interface SubsystemContext {
  readonly io: ChannelIo;
  readonly user: string;
  readonly env: ReadonlyMap<string, string>;
}

/** Runs until the subsystem is over; its channel is closed then. */
export type Subsystem = (context: SubsystemContext) => Promise<CommandResult>;

/** Where a connection asked for by the client really goes; undefined refuses it. */
export type Route = (host: string, port: number) => { readonly host: string; readonly port: number } | undefined;

export interface DemoServerOptions {
  /** Default 127.0.0.1, and a port of the system's choice. */
  readonly host?: string;
  readonly port?: number;
  /** Default: a fresh ed25519 key. */
  readonly hostKeys?: readonly HostKeySigner[];
  readonly users?: readonly DemoUser[];
  /** Methods named in failures; default: those that some user can use. */
  readonly methods?: readonly string[];
  /** Several steps, in this order, each answered with partial success. */
  readonly requireMethods?: readonly string[];
  readonly maxAuthAttempts?: number;
  /** Connections in the middle of logging in that are suffered; more are turned away as sshd does it. */
  readonly maxStartups?: number;
  /** Session channels one connection may have at a time, like sshd's MaxSessions. */
  readonly maxSessions?: number;
  readonly banner?: string;
  /** Beside the built-in ones; a name of theirs replaces them. */
  readonly commands?: Readonly<Record<string, Command>>;
  /** Commands are given to `/bin/sh -c`. */
  readonly realProcesses?: boolean;
  /** Beside `sftp`, which is there when `sftpRoot` is. */
  readonly subsystems?: Readonly<Record<string, Subsystem>>;
  /** A folder that clients see as `/`. */
  readonly sftpRoot?: string;
  /** Default: everything is refused. `true` allows all; a function says where it goes. */
  readonly forwarding?: boolean | Route;
  readonly agentForwarding?: boolean;
  /** Answers to global requests of other names. */
  readonly globalRequests?: Readonly<Record<string, (body: Uint8Array) => Uint8Array | undefined>>;
  readonly rekey?: RekeyLimits;
  readonly algorithms?: Partial<AlgorithmPreferences>;
  /** Default: node's. */
  readonly crypto?: CryptoProvider;
  /** Software version in the identification. */
  readonly software?: string;
  readonly machine?: Partial<HostFacts>;
  /** For every connection, or by its number from 0: a server that fails once and then works. */
  readonly faults?: Faults | ((connection: number) => Faults | undefined);
}
