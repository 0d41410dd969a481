/** Bodies of channel requests: RFC 4254 sections 6 and 8, RFC 8160, OpenSSH PROTOCOL. */

import { bool, string, text, u32 } from '../wire/fields.ts';
import { defineBody } from '../wire/message.ts';

/** RFC 4254 section 6.2; `modes` is the encoded list of section 8. */
export const PtyReq = defineBody('pty-req', {
  term: text,
  columns: u32,
  rows: u32,
  widthPixels: u32,
  heightPixels: u32,
  modes: string,
});
/** RFC 4254 section 6.3.1 */
export const X11Req = defineBody('x11-req', { single: bool, protocol: text, cookie: text, screen: u32 });
/** RFC 4254 section 6.4 */
export const Env = defineBody('env', { name: text, value: text });
/** RFC 4254 section 6.5; the command is bytes, not text. */
export const Exec = defineBody('exec', { command: string });
export const Subsystem = defineBody('subsystem', { name: text });
/** RFC 4254 section 6.7 */
export const WindowChange = defineBody('window-change', {
  columns: u32,
  rows: u32,
  widthPixels: u32,
  heightPixels: u32,
});
/** RFC 4254 section 6.9 */
export const Signal = defineBody('signal', { name: text });
/** RFC 4254 section 6.10 */
export const ExitStatus = defineBody('exit-status', { status: u32 });
export const ExitSignal = defineBody('exit-signal', { name: text, coreDumped: bool, message: text, language: text });

/** RFC 4254 section 8 and RFC 8160: opcodes of encoded terminal modes. */
export const terminalModes = {
  VINTR: 1,
  VQUIT: 2,
  VERASE: 3,
  VKILL: 4,
  VEOF: 5,
  VEOL: 6,
  VEOL2: 7,
  VSTART: 8,
  VSTOP: 9,
  VSUSP: 10,
  VDSUSP: 11,
  VREPRINT: 12,
  VWERASE: 13,
  VLNEXT: 14,
  VFLUSH: 15,
  VSWTCH: 16,
  VSTATUS: 17,
  VDISCARD: 18,
  IGNPAR: 30,
  PARMRK: 31,
  INPCK: 32,
  ISTRIP: 33,
  INLCR: 34,
  IGNCR: 35,
  ICRNL: 36,
  IUCLC: 37,
  IXON: 38,
  IXANY: 39,
  IXOFF: 40,
  IMAXBEL: 41,
  IUTF8: 42,
  ISIG: 50,
  ICANON: 51,
  XCASE: 52,
  ECHO: 53,
  ECHOE: 54,
  ECHOK: 55,
  ECHONL: 56,
  NOFLSH: 57,
  TOSTOP: 58,
  IEXTEN: 59,
  ECHOCTL: 60,
  ECHOKE: 61,
  PENDIN: 62,
  OPOST: 70,
  OLCUC: 71,
  ONLCR: 72,
  OCRNL: 73,
  ONOCR: 74,
  ONLRET: 75,
  CS7: 90,
  CS8: 91,
  PARENB: 92,
  PARODD: 93,
  ISPEED: 128,
  OSPEED: 129,
} as const;
export type TerminalMode = keyof typeof terminalModes;

/** RFC 4254 section 8: opcode and uint32 each, ended by TTY_OP_END (0). */
export function encodeTerminalModes(modes: Readonly<Partial<Record<TerminalMode, number>>>): Uint8Array {
  const names = Object.keys(modes) as TerminalMode[];
  const out = new Uint8Array(names.length * 5 + 1);
  names.forEach((name, i) => {
    const value = modes[name]!;
    out[i * 5] = terminalModes[name];
    out[i * 5 + 1] = value >>> 24;
    out[i * 5 + 2] = value >>> 16;
    out[i * 5 + 3] = value >>> 8;
    out[i * 5 + 4] = value;
  });
  return out;
}
