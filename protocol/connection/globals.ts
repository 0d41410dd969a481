/** Bodies of global requests: RFC 4254 section 7.1, OpenSSH PROTOCOL sections 2.4 and 2.5. */

import { text, u32 } from '../wire/fields.ts';
import { defineBody } from '../wire/message.ts';

/** RFC 4254 section 7.1; also the body of cancel-tcpip-forward. */
export const TcpipForward = defineBody('tcpip-forward', { host: text, port: u32 });
/** The reply to a tcpip-forward with port 0. */
export const TcpipForwardReply = defineBody('tcpip-forward reply', { port: u32 });
/** OpenSSH PROTOCOL section 2.4; also the body of cancel-streamlocal-forward@openssh.com. */
export const StreamlocalForward = defineBody('streamlocal-forward@openssh.com', { path: text });
