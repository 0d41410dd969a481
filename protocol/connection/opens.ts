/** Bodies of CHANNEL_OPEN: RFC 4254 sections 6 and 7, OpenSSH PROTOCOL section 2.4. */

import { text, u32 } from '../wire/fields.ts';
import { defineBody } from '../wire/message.ts';

/** RFC 4254 section 7.2 */
export const DirectTcpip = defineBody('direct-tcpip', { host: text, port: u32, originHost: text, originPort: u32 });
export const ForwardedTcpip = defineBody('forwarded-tcpip', {
  host: text,
  port: u32,
  originHost: text,
  originPort: u32,
});
/** OpenSSH PROTOCOL section 2.4 */
export const DirectStreamlocal = defineBody('direct-streamlocal@openssh.com', {
  path: text,
  reserved: text,
  reservedPort: u32,
});
export const ForwardedStreamlocal = defineBody('forwarded-streamlocal@openssh.com', { path: text, reserved: text });
/** RFC 4254 section 6.3.2 */
export const X11Open = defineBody('x11', { originHost: text, originPort: u32 });
