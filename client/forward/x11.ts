/**
 * X11 forwarding (RFC 4254 section 6.3): the server is told a cookie of our own making; connections that show it reach
 * the display named by $DISPLAY with the display's real one, which never leaves this machine.
 *
 * Untrusted forwarding asks xauth(1) for a cookie of the X security extension and ends with its time.
 */

import { execFile } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenFailure, X11Req } from '../../protocol/index.ts';
import { type ChannelIo, monotonicNow } from '../../transport/index.ts';
import type { ForwardEnd } from '../config/forward-spec.ts';
import type { Connection, OpenHandler } from '../connection.ts';
import { systemError } from '../system-error.ts';
import { bridge, forwardChannel } from './bridge.ts';
import { connectEnd, Sockets } from './sockets.ts';
import type { ForwardOptions } from './types.ts';
import { COOKIE_PROTOCOL, type X11Cookies, X11Greeting } from './x11-cookie.ts';

export interface X11Options extends Pick<ForwardOptions, 'log' | 'warn'> {
  /** $DISPLAY. */
  readonly display: string | undefined;
  /** Path of xauth(1). */
  readonly xauth: string;
  readonly trusted: boolean;
  /** Seconds after which untrusted forwarding refuses new connections; 0 = never. */
  readonly timeout: number;
}

export interface X11Forwarding {
  /** For `ExecOptions.before`: asks for forwarding in a session, best effort. */
  readonly request: (io: ChannelIo) => void;
  /** The body of somebody else's x11-req, with our cookie and screen: the server's channels then come to our display. */
  readonly adopt: (body: Uint8Array) => Uint8Array;
  readonly connections: number;
  /** Refuses further channels and ends those that are open. */
  close(): void;
}

export interface Display {
  readonly end: ForwardEnd;
  readonly screen: number;
}

/** X displays listen at 6000 plus their number; RFC 4254 and ssh(1) allow no more than this many. */
const DISPLAY_MAX = 65_535 - 6000;
const XAUTH_PATIENCE = 10_000;
/** Seconds by which a cookie outlives our own refusal, so that the display never is what fails first. */
const COOKIE_SLACK = 60;

/**
 * Asks for X11 forwarding in a session on a connection that somebody else holds, whose display it will be: the holder
 * puts in the cookie.
 */
export function requestHoldersX11(io: ChannelIo): void {
  io.notify('x11-req', X11Req.encode({ single: false, protocol: COOKIE_PROTOCOL, cookie: '', screen: 0 }));
}

/** `host:number.screen`, `:number`, `unix:number`, or a path to a socket; undefined when it is none of them. */
export function parseDisplay(display: string): Display | undefined {
  if (!/^[A-Za-z0-9:/._-]+$/.test(display)) return undefined;
  const [, host, digits, screen] = /^(.*):(\d{1,5})(?:\.(\d{1,3}))?$/s.exec(display) ?? [];
  if (host === undefined || Number(digits) > DISPLAY_MAX || Number(screen ?? 0) > 400) return undefined;
  const end: ForwardEnd = host.startsWith('/')
    ? { kind: 'unix', path: `${host}:${digits}` }
    : host === '' || host === 'unix'
      ? { kind: 'unix', path: `/tmp/.X11-unix/X${digits}` }
      : { kind: 'tcp', host, port: 6000 + Number(digits) };
  return { end, screen: Number(screen ?? 0) };
}

/** Prepares the cookies and takes the server's X11 channels; undefined, with the reason said, when there is no way. */
export async function forwardX11(connection: Connection, options: X11Options): Promise<X11Forwarding | undefined> {
  const { log, warn, trusted, timeout } = options;
  const display = options.display === undefined ? undefined : parseDisplay(options.display);
  if (options.display === undefined || display === undefined) {
    if (options.display !== undefined) warn?.(`DISPLAY "${options.display}" invalid; disabling X11 forwarding`);
    else log?.(1, 'DISPLAY not set; X11 forwarding disabled');
    return undefined;
  }
  const { random } = connection.session.crypto;
  const refuseAt = !trusted && timeout > 0 ? monotonicNow() + (timeout + 1) * 1000 : Number.POSITIVE_INFINITY;
  const found = await displayCookie(options.display, options);
  if (found === undefined && !trusted) {
    warn?.('Warning: untrusted X11 forwarding setup failed: xauth key data not generated');
    return undefined;
  }
  if (found === undefined) warn?.('Warning: No xauth data; using fake authentication data for X11 forwarding.');
  const { protocol, cookie } = found ?? { protocol: COOKIE_PROTOCOL, cookie: random(16) };
  const cookies: X11Cookies = { protocol, real: cookie, fake: random(cookie.length) };
  const sockets = new Sockets();
  connection.onOpen('x11', taker(display.end, cookies, sockets, refuseAt, options));
  const ours = { protocol, cookie: Buffer.from(cookies.fake).toString('hex'), screen: display.screen };
  return {
    request: (io) => {
      log?.(1, 'Requesting X11 forwarding with authentication spoofing.');
      io.notify('x11-req', X11Req.encode({ single: false, ...ours }));
    },
    adopt: (body) => X11Req.encode({ ...X11Req.decode(body), ...ours }),
    get connections() {
      return sockets.size;
    },
    close() {
      connection.onOpen('x11', undefined);
      sockets.destroy();
    },
  };
}

function taker(
  display: ForwardEnd,
  cookies: X11Cookies,
  sockets: Sockets,
  refuseAt: number,
  { log, warn }: X11Options,
): OpenHandler {
  return async (_, accept) => {
    if (monotonicNow() >= refuseAt) {
      log?.(1, 'Rejected X11 connection after ForwardX11Timeout expired');
      return { reason: OpenFailure.administrativelyProhibited, text: 'the time for X11 connections is over' };
    }
    let socket: Socket;
    try {
      socket = await connectEnd(display, sockets);
    } catch (error) {
      const text = systemError(error);
      warn?.(`connect ${display.kind === 'unix' ? display.path : `${display.host} port ${display.port}`}: ${text}`);
      return { reason: OpenFailure.connectFailed, text };
    }
    let io: ChannelIo;
    try {
      io = accept(forwardChannel);
    } catch (error) {
      socket.destroy();
      throw error;
    }
    greet(io, socket, cookies, (reason) => {
      log?.(2, reason);
      warn?.('X11 connection rejected because of wrong authentication.');
    });
    return undefined;
  };
}

/** Holds the channel back until its first packet is whole and its cookie replaced. */
function greet(io: ChannelIo, socket: Socket, cookies: X11Cookies, rejected: (reason: string) => void): void {
  const greeting = new X11Greeting(cookies);
  const hangUp = (): void => {
    socket.destroy();
    io.discard();
    io.close();
  };
  io.onEof = hangUp;
  io.sink(true, () => undefined);
  io.sink(false, (chunk) => {
    const step = greeting.receive(chunk);
    if (step.kind === 'more') return;
    if (step.kind === 'reject') {
      rejected(step.reason);
      return hangUp();
    }
    if (!socket.destroyed) socket.write(step.bytes);
    void bridge(io, socket);
  });
}

/** The cookie of `xauth list`; for untrusted use, one made for it. */
async function displayCookie(
  display: string,
  { xauth, trusted, timeout, log }: X11Options,
): Promise<{ protocol: string; cookie: Uint8Array } | undefined> {
  try {
    accessSync(xauth, constants.X_OK);
  } catch {
    log?.(1, 'No xauth program.');
    return undefined;
  }
  // An entry for this machine's own display stands under its local name.
  const name = display.startsWith('localhost:') ? `unix:${display.slice('localhost:'.length)}` : display;
  if (trusted) return parseXauth(await run(xauth, ['list', name]));
  const folder = mkdtempSync(join(tmpdir(), 'bssh-x11-'));
  try {
    const file = ['-f', join(folder, 'xauthfile')];
    const lifetime = timeout === 0 ? [] : ['timeout', String(Math.min(timeout + COOKIE_SLACK, 0xffff_ffff))];
    const made = await run(xauth, [...file, 'generate', name, COOKIE_PROTOCOL, 'untrusted', ...lifetime]);
    return made === undefined ? undefined : parseXauth(await run(xauth, [...file, 'list', name]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Its output, or undefined when it failed. */
function run(program: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: XAUTH_PATIENCE, maxBuffer: 1024 * 1024, encoding: 'utf8' as const };
    execFile(program, args, options, (error, stdout) => resolve(error === null ? stdout : undefined));
  });
}

/** The first line: display, protocol, cookie in hex. */
function parseXauth(output: string | undefined): { protocol: string; cookie: Uint8Array } | undefined {
  const [, protocol, hex] = /^\S+\s+(\S{1,511})\s+((?:[0-9a-fA-F]{2}){1,255})\s*$/m.exec(output ?? '') ?? [];
  return protocol === undefined || hex === undefined ? undefined : { protocol, cookie: Buffer.from(hex, 'hex') };
}
