/**
 * Agent forwarding (draft-ietf-sshm-ssh-agent section 4): the server's channels lead to our agent's socket. The agent's
 * messages pass unread, after one of ours that binds it to the server (session-bind@openssh.com); no key is ever seen here, let alone sent.
 */

import type { Socket } from 'node:net';
import { OpenFailure } from '../../protocol/index.ts';
import type { ChannelIo } from '../../transport/index.ts';
import { bindForwardedAgent } from '../agent-binding.ts';
import type { HostPlan } from '../config/plan.ts';
import type { Connection } from '../connection.ts';
import { systemError } from '../system-error.ts';
import { bridge, forwardChannel } from './bridge.ts';
import { connectEnd, Sockets } from './sockets.ts';
import type { ForwardOptions } from './types.ts';

export interface AgentForwarding {
  /** For `ExecOptions.before`: asks for forwarding in a session, best effort. */
  readonly request: (io: ChannelIo) => void;
  readonly connections: number;
  /** Refuses further channels and ends those that are open. */
  close(): void;
}

/** The agent socket that a plan lets a server use: ForwardAgent's own, else the one we log in with. */
export const forwardedAgent = (plan: HostPlan): string | undefined =>
  plan.forwards.agent.on ? (plan.forwards.agent.path ?? plan.auth.agentSocket) : undefined;

/** Lets the server reach the agent at `path`. Sessions then ask for it with `request`. */
export function forwardAgent(
  connection: Connection,
  path: string,
  { log }: Pick<ForwardOptions, 'log'> = {},
): AgentForwarding {
  const sockets = new Sockets();
  connection.onOpen('auth-agent@openssh.com', async (_, accept) => {
    let socket: Socket | undefined;
    try {
      socket = await connectEnd({ kind: 'unix', path }, sockets);
      // The agent is told for whom it works before it hears a word of the server's.
      const bound = await bindForwardedAgent(socket, connection.session.binding);
      log?.(2, bound ? 'bound agent to hostkey' : 'the agent does not take bindings');
      void bridge(accept(forwardChannel), socket);
      return undefined;
    } catch (error) {
      socket?.destroy();
      const text = systemError(error);
      log?.(1, `agent at ${path}: ${text}`);
      return { reason: OpenFailure.connectFailed, text };
    }
  });
  return {
    request: (io) => {
      log?.(1, 'Requesting authentication agent forwarding.');
      io.notify('auth-agent-req@openssh.com', new Uint8Array(0));
    },
    get connections() {
      return sockets.size;
    },
    close() {
      connection.onOpen('auth-agent@openssh.com', undefined);
      sockets.destroy();
    },
  };
}
