/**
 * Remote listeners that clients of a shared connection asked the server for themselves: which channel of the server's
 * belongs to whom (RFC 4254 section 7, OpenSSH PROTOCOL section 2.4). Our own listeners are not in here.
 */

import {
  ForwardedStreamlocal,
  ForwardedTcpip,
  type IncomingOpen,
  type SshError,
  StreamlocalForward,
  TcpipForward,
  TcpipForwardReply,
} from '../../protocol/index.ts';
import type { Connection } from '../connection.ts';

type End = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ForwardClaim {
  matches(end: End): boolean;
  /** The client is gone: the server need not listen any more. */
  withdraw(): void;
}

interface Claim extends ForwardClaim {
  readonly end: End;
  readonly take: (open: IncomingOpen) => boolean;
}

const sameEnd = (a: End, b: End): boolean =>
  'path' in a ? 'path' in b && a.path === b.path : 'host' in b && a.host === b.host && a.port === b.port;

/** What a global request asks to listen on, or to listen on no more; undefined when it is about something else. */
export function forwardClaim(request: string, body: Uint8Array): { end: End; cancels: boolean } | undefined {
  switch (request) {
    case 'tcpip-forward':
    case 'cancel-tcpip-forward':
      return { end: TcpipForward.decode(body), cancels: request.startsWith('cancel') };
    case 'streamlocal-forward@openssh.com':
    case 'cancel-streamlocal-forward@openssh.com':
      return { end: StreamlocalForward.decode(body), cancels: request.startsWith('cancel') };
    default:
      return undefined;
  }
}

export class RemoteClaims {
  readonly #claims = new Set<Claim>();

  /** Asks the server; channels for that listener then go to `take`. Throws SshError when the server refuses. */
  async request(
    connection: Connection,
    request: string,
    body: Uint8Array,
    wanted: End,
    take: (open: IncomingOpen) => boolean,
  ): Promise<{ claim: ForwardClaim; answer: Uint8Array }> {
    const answer = await connection.globalRequest(request, body);
    const chosen = 'port' in wanted && wanted.port === 0;
    const end: End = chosen ? { host: wanted.host, port: TcpipForwardReply.decode(answer).port } : wanted;
    const claim: Claim = {
      end,
      take,
      matches: (other) => sameEnd(end, other),
      withdraw: () => {
        if (!this.#claims.delete(claim) || connection.isClosed) return;
        const [cancel, text] =
          'path' in end
            ? ['cancel-streamlocal-forward@openssh.com', StreamlocalForward.encode(end)]
            : ['cancel-tcpip-forward', TcpipForward.encode(end)];
        // A server that will not stop has its channels refused.
        connection.globalRequest(cancel as string, text as Uint8Array).catch((_: SshError) => {});
      },
    };
    this.#claims.add(claim);
    return { claim, answer };
  }

  remove(claim: ForwardClaim): void {
    this.#claims.delete(claim as Claim);
  }

  /** For `Connection.claimOpen`. */
  readonly take = (open: IncomingOpen): boolean => {
    const end = this.#claims.size === 0 ? undefined : endOf(open);
    if (end === undefined) return false;
    const claim = [...this.#claims].find((each) => each.matches(end)) ?? this.#onlyOne(end);
    return claim?.take(open) ?? false;
  };

  /** Servers may name the address otherwise than the client did: the port decides when only one listener has it. */
  #onlyOne(end: End): Claim | undefined {
    if (!('port' in end)) return undefined;
    const candidates = [...this.#claims].filter((claim) => 'port' in claim.end && claim.end.port === end.port);
    return candidates.length === 1 ? candidates[0] : undefined;
  }
}

function endOf({ channelType, body }: IncomingOpen): End | undefined {
  if (channelType === 'forwarded-tcpip') {
    const { host, port } = ForwardedTcpip.decode(body);
    return { host, port };
  }
  if (channelType === 'forwarded-streamlocal@openssh.com') return { path: ForwardedStreamlocal.decode(body).path };
  return undefined;
}
