/**
 * session-bind@openssh.com (OpenSSH PROTOCOL.agent section 1): tells an agent which host a connection to it serves, so
 * that keys restricted to certain destinations can be used for those and are hidden from others. An agent that does not
 * know the request refuses it, and nothing is lost.
 */

import type { Duplex } from 'node:stream';
import { type Binding, encodeUtf8, Reader, SshError, sessionBind, sessionBindName, Writer } from '../protocol/index.ts';
import type { AgentConnection } from '../transport/index.ts';

type Log = ((level: 0 | 1 | 2 | 3, text: string) => void) | undefined;

const contents = ({ hostKey, sessionId, signature }: Binding, isForwarding: boolean): Uint8Array =>
  sessionBind.encode({ hostKey, sessionId, signature, isForwarding });

/** Binds our own connection to the agent, for a log-in. */
export async function bindAgent(agent: AgentConnection, binding: Binding, log: Log): Promise<void> {
  try {
    await agent.extension(sessionBindName, contents(binding, false));
    log?.(1, 'get_agent_identities: bound agent to hostkey');
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    log?.(2, `get_agent_identities: ssh_agent_bind_hostkey: ${error.message}`);
  }
}

/** SSH_AGENTC_EXTENSION. */
const EXTENSION = 27;
/** The answer is a single byte, or the extension's name with nothing: more is another protocol. */
const ANSWER_BYTES = 1024;
const PATIENCE = 10_000;

/**
 * Binds a connection to the agent that a server is going to use, before anything of the server's passes. True when the
 * agent took it; false when it refused: to be told to the user at most. Rejects when it says nothing or hangs up.
 */
export function bindForwardedAgent(socket: Duplex, binding: Binding, patience = PATIENCE): Promise<boolean> {
  const message = new Writer(1024)
    .u8(EXTENSION)
    .string(encodeUtf8(sessionBindName))
    .raw(contents(binding, true))
    .finish();
  return new Promise((resolve, reject) => {
    let held = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable).off('close', onClose).off('error', onClose);
      settle();
    };
    const fail = (text: string): void => done(() => reject(new SshError('agent', text)));
    const onClose = (): void => fail('the agent went away');
    const timer = setTimeout(() => fail('the agent does not answer'), patience);
    const onReadable = (): void => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        held = Buffer.concat([held, chunk]);
        if (held.length < 4) continue;
        const length = new Reader(held).u32();
        if (length === 0 || length > ANSWER_BYTES) return fail('the agent talks nonsense');
        if (held.length < 4 + length) continue;
        const rest = held.subarray(4 + length);
        const taken = held[4] !== 5 && held[4] !== 28;
        return done(() => {
          if (rest.length > 0) socket.unshift(rest);
          resolve(taken);
        });
      }
    };
    socket.on('readable', onReadable).on('close', onClose).on('error', onClose);
    socket.write(new Writer(message.length + 4).u32(message.length).raw(message).finish());
  });
}
